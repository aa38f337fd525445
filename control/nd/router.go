package nd

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/lnsd/lnsd/control/ip6"
)

// Config is what routers are made with; it is shared and not changed.
type Config struct {
	// Interval is the longest time between two unsolicited advertisements
	// (MaxRtrAdvInterval); the shortest is a third of it (RFC 4861 section 6.2.1).
	Interval time.Duration
	// Lifetime is for how long we remain a default router.
	Lifetime time.Duration
	// Valid and Preferred are the lifetimes of prefixes.
	Valid, Preferred time.Duration
	// Managed and Other send hosts to DHCPv6 for addresses, or for all but those.
	Managed, Other bool
	Domains        []string
	// DNSLifetime is that of the name servers and the search list.
	DNSLifetime time.Duration
}

// Constants of RFC 4861 section 10.
const (
	maxInitialAdverts  = 3
	maxInitialInterval = 16 * time.Second
	maxAnswerDelay     = 500 * time.Millisecond // MAX_RA_DELAY_TIME
	minBetweenAdverts  = 3 * time.Second        // MIN_DELAY_BETWEEN_RAS
)

// withdrawals is how often a prefix that was taken back is named with no lifetime
// left: hosts may miss one advertisement, hardly three.
const withdrawals = 3

// allNodes is where advertisements go (RFC 4291 section 2.7.1).
var allNodes = netip.IPv6LinkLocalAllNodes()

// Link is what a router says on one link.
type Link struct {
	// ID is our interface identifier, as IPV6CP agreed on it.
	ID [8]byte
	// MTU in bytes; 0 says nothing.
	MTU uint16
	// Managed sends hosts to DHCPv6 for addresses on this link.
	Managed  bool
	Prefixes []netip.Prefix
	DNS      []netip.Addr
}

// Router advertises us on one link. It is not safe for concurrent use.
type Router struct {
	cfg    *Config
	random func([]byte)
	link   Link
	// next is when the next unsolicited advertisement is due, answerAt when one
	// that was solicited is, sent when the last one left.
	next, answerAt, sent time.Time
	initial              int8
	// gone are the prefixes taken back, of which goneLeft advertisements are to
	// tell.
	gone     []netip.Prefix
	goneLeft int8
}

// NewRouter returns a router that begins to advertise at now: Timer is due at once.
func NewRouter(cfg *Config, l Link, random func([]byte), now time.Time) *Router {
	return &Router{cfg: cfg, random: random, link: l, next: now, initial: maxInitialAdverts}
}

// Deadline is when Timer is to be called next.
func (r *Router) Deadline() time.Time {
	if !r.answerAt.IsZero() && r.answerAt.Before(r.next) {
		return r.answerAt
	}
	return r.next
}

// Timer returns the advertisement that is due at now, if one is.
func (r *Router) Timer(now time.Time) []byte {
	if now.Before(r.Deadline()) {
		return nil
	}
	return r.advertise(now)
}

// Update changes what is said, at once: prefixes that are gone are deprecated (RFC
// 4861 section 6.2.4 lets what changes be told like something new).
func (r *Router) Update(now time.Time, l Link) {
	r.gone = slices.DeleteFunc(append(r.gone, r.link.Prefixes...), func(p netip.Prefix) bool {
		return slices.Contains(l.Prefixes, p)
	})
	if len(r.gone) > 0 {
		r.goneLeft = withdrawals
	}
	r.link, r.next, r.initial = l, now, maxInitialAdverts
}

// Close returns the last advertisement: we are no default router any more (RFC 4861
// section 6.2.5), and our prefixes are not to be used for new connections.
func (r *Router) Close() []byte {
	a := r.message()
	a.Lifetime, a.DNSLifetime = 0, 0
	for i := range a.Prefixes {
		a.Prefixes[i].Preferred, a.Prefixes[i].Valid = 0, 0
	}
	return r.packet(&a)
}

func (r *Router) advertise(now time.Time) []byte {
	a := r.message()
	r.sent, r.answerAt = now, time.Time{}
	if r.goneLeft > 0 {
		if r.goneLeft--; r.goneLeft == 0 {
			r.gone = nil
		}
	}
	if r.initial > 0 {
		r.initial--
	}
	r.next = now.Add(r.interval())
	return r.packet(&a)
}

// interval is a random time between the least and the largest interval (RFC 4861
// section 6.2.4), so that a server's sessions don't speak all at once.
func (r *Router) interval() time.Duration {
	most := r.cfg.Interval
	least := most / 3
	d := least + r.fraction(most-least)
	if r.initial > 0 {
		d = min(d, maxInitialInterval)
	}
	return max(d, minBetweenAdverts)
}

// fraction is a random part of d.
func (r *Router) fraction(d time.Duration) time.Duration {
	var b [4]byte
	r.random(b[:])
	return time.Duration(uint64(d) / 0x10000 * uint64(binary.BigEndian.Uint16(b[:])))
}

func (r *Router) message() Advertisement {
	a := Advertisement{
		Lifetime: r.cfg.Lifetime, Managed: r.cfg.Managed || r.link.Managed, Other: r.cfg.Other, MTU: r.link.MTU,
		DNS: r.link.DNS, Domains: r.cfg.Domains, DNSLifetime: r.cfg.DNSLifetime,
	}
	for _, p := range r.link.Prefixes {
		a.Prefixes = append(a.Prefixes, Prefix{p, r.cfg.Valid, r.cfg.Preferred})
	}
	for _, p := range r.gone {
		a.Prefixes = append(a.Prefixes, Prefix{Prefix: p})
	}
	return a
}

func (r *Router) packet(a *Advertisement) []byte {
	return ip6.AppendICMP(nil, ip6.LinkLocal(r.link.ID), allNodes, a.Append(nil))
}

// Receive takes an ICMPv6 packet from the link and returns the answer, if one is to
// be given at once. m is the payload of the packet with header h.
func (r *Router) Receive(now time.Time, h *ip6.Header, m []byte) []byte {
	if h.Next != ip6.ProtoICMPv6 || len(m) == 0 {
		return nil
	}
	switch m[0] {
	case typeRouterSolicit:
		if _, ok := valid(h, m, 8); ok {
			r.solicited(now)
		}
	case typeNeighbourSolicit:
		return r.neighbour(h, m)
	}
	return nil
}

// solicited has an advertisement sent, after a random delay, and not sooner after
// the last one than RFC 4861 section 6.2.6 allows, however many ask.
func (r *Router) solicited(now time.Time) {
	if !r.answerAt.IsZero() {
		return
	}
	at := now.Add(r.fraction(maxAnswerDelay))
	if first := r.sent.Add(minBetweenAdverts); at.Before(first) {
		at = first
	}
	r.answerAt = at
}

// neighbour answers a solicitation for our link-local address. There are no
// link-layer addresses on the link to ask for, but hosts probe whether we are
// there, and whether an address is taken (RFC 4861 section 7.2.4).
func (r *Router) neighbour(h *ip6.Header, m []byte) []byte {
	const fixed = 24
	if _, ok := valid(h, m, fixed); !ok {
		return nil
	}
	us := ip6.LinkLocal(r.link.ID)
	if netip.AddrFrom16([16]byte(m[8:fixed])) != us {
		return nil
	}
	to, flags := h.Src, byte(flagRouter|flagSolicited|flagOverride)
	if h.Src.IsUnspecified() {
		to, flags = allNodes, flagRouter|flagOverride
	}
	a := us.As16()
	answer := append([]byte{typeNeighbourAdvert, 0, 0, 0, flags, 0, 0, 0}, a[:]...)
	return ip6.AppendICMP(nil, us, to, answer)
}
