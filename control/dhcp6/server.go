package dhcp6

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Config is what servers are made with; it is shared and not changed.
type Config struct {
	// DUID names the server. Clients keep it with what they were given, so it must
	// stay the same over restarts, and be the same on all servers of a cluster.
	DUID []byte
	// Preferred and Valid are the lifetimes of what is given out.
	Preferred, Valid time.Duration
	Domains          []string
}

// Grant is what one session may give out. It is not changed.
type Grant struct {
	// Addresses are for IA_NA. Without any, an address is made up in the first of
	// Link that has 64 bits.
	Addresses []netip.Addr
	Delegated []netip.Prefix
	// Link are the prefixes of the link itself, by which Confirm is answered.
	Link []netip.Prefix
	DNS  []netip.Addr
}

// madeUp bounds the addresses that are made up for a session, declined ones
// included.
const madeUp = 8

// lease is something that can be given out.
type lease struct {
	prefix netip.Prefix
	option uint16 // optIANA or optIAPD
	bound  bool   // to iaid of the server's client
	// declined: somebody else on the subscriber's network has the address.
	declined bool
	iaid     uint32
	until    int64 // Unix seconds, while bound
}

// Server serves one link. It is not safe for concurrent use.
type Server struct {
	cfg    *Config
	grant  Grant
	random func([]byte)
	client []byte // whom the leases are bound to
	leases []*lease
}

// New returns a server. random reads unpredictable bytes.
func New(cfg *Config, g Grant, random func([]byte)) *Server {
	s := &Server{cfg: cfg, grant: g, random: random}
	for _, a := range g.Addresses {
		s.leases = append(s.leases, &lease{prefix: netip.PrefixFrom(a, 128), option: optIANA})
	}
	for _, p := range g.Delegated {
		s.leases = append(s.leases, &lease{prefix: p, option: optIAPD})
	}
	return s
}

// Lease is an address, of 128 bits, or a delegated prefix that the client has.
type Lease struct {
	Prefix netip.Prefix
	// Until is when it ends unless the client renews it.
	Until time.Time
}

// Leases lists what the client has, or had until its time ended.
func (s *Server) Leases() []Lease {
	var out []Lease
	for _, l := range s.leases {
		if l.bound {
			out = append(out, Lease{l.prefix, time.Unix(l.until, 0)})
		}
	}
	return out
}

// Receive takes a message from the link and returns the answer, nil for none.
// multicast is whether it was sent to All_DHCP_Relay_Agents_and_Servers.
func (s *Server) Receive(now time.Time, b []byte, multicast bool) []byte {
	m, err := parse(b)
	if err != nil || !s.acceptable(m) {
		return nil
	}
	if !multicast {
		// RFC 8415 section 18.4: those that begin something are discarded, the
		// others told to use multicast, as we never sent a Server Unicast option.
		switch m.kind {
		case typeRequest, typeRenew, typeRelease, typeDecline:
			return appendStatus(s.reply(m, typeReply), statusUseMulticast, "use multicast")
		}
		return nil
	}
	switch m.kind {
	case typeSolicit:
		return s.solicit(now, m)
	case typeRequest:
		return s.others(m, s.assign(now, m, true, s.reply(m, typeReply)))
	case typeRenew, typeRebind:
		return s.others(m, s.extend(now, m, s.reply(m, typeReply)))
	case typeConfirm:
		return s.confirm(m)
	case typeRelease, typeDecline:
		return s.giveBack(m)
	}
	return s.others(m, s.reply(m, typeReply)) // Information-request
}

// acceptable holds a message to RFC 8415 section 16: who names another server, or
// none where one must be named, or a server where none may be, is not answered.
func (s *Server) acceptable(m *message) bool {
	switch m.kind {
	case typeSolicit, typeConfirm, typeRebind: // sections 16.2, 16.5, 16.7
		return m.client != nil && m.server == nil
	case typeRequest, typeRenew, typeRelease, typeDecline: // 16.4, 16.6, 16.9, 16.8
		return m.client != nil && bytes.Equal(m.server, s.cfg.DUID)
	case typeInformation: // 16.12
		return (m.server == nil || bytes.Equal(m.server, s.cfg.DUID)) && len(m.ias) == 0
	}
	return false
}

// reply begins an answer.
func (s *Server) reply(m *message, kind uint8) []byte {
	b := begin(nil, kind, m.xid)
	if m.client != nil {
		b = appendOption(b, optClientID, m.client...)
	}
	return appendOption(b, optServerID, s.cfg.DUID...)
}

// others appends the name servers and the search list that the client asked for
// (RFC 3646 section 5).
func (s *Server) others(m *message, b []byte) []byte {
	if len(s.grant.DNS) > 0 && slices.Contains(m.wants, optDNS) {
		var at int
		b, at = open(b, optDNS)
		for _, a := range s.grant.DNS {
			x := a.As16()
			b = append(b, x[:]...)
		}
		b = shut(b, at)
	}
	if len(s.cfg.Domains) > 0 && slices.Contains(m.wants, optDomains) {
		var at int
		b, at = open(b, optDomains)
		for _, d := range s.cfg.Domains {
			b = appendDomain(b, d)
		}
		b = shut(b, at)
	}
	return b
}

// appendDomain appends a name as DNS has it, uncompressed (RFC 8415 section 10).
func appendDomain(b []byte, name string) []byte {
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}

// solicit answers with an offer, or at once with what is given (RFC 8415 section
// 18.3.1).
func (s *Server) solicit(now time.Time, m *message) []byte {
	if !m.rapidCommit {
		return s.others(m, s.assign(now, m, false, s.reply(m, typeAdvertise)))
	}
	b := appendOption(s.reply(m, typeReply), optRapidCommit)
	return s.others(m, s.assign(now, m, true, b))
}

// assign appends what each identity association of m gets; commit makes it so.
func (s *Server) assign(now time.Time, m *message, commit bool, b []byte) []byte {
	if commit {
		s.adopt(m.client)
	}
	shares := s.deal(m)
	for i := range m.ias {
		a := &m.ias[i]
		if len(shares[i]) == 0 {
			b = appendRefused(b, a)
			continue
		}
		if commit {
			for _, l := range shares[i] {
				l.bound, l.iaid = true, a.id
				l.until = now.Add(s.cfg.Valid).Unix()
			}
		}
		b = s.appendIA(b, m, a, shares[i], nil)
	}
	return b
}

// appendRefused appends an identity association that gets nothing.
func appendRefused(b []byte, a *ia) []byte {
	b, at := openIA(b, a, 0, 0)
	if a.option == optIAPD {
		b = appendStatus(b, statusNoPrefixAvail, "no prefix")
	} else {
		b = appendStatus(b, statusNoAddrs, "no address")
	}
	return shut(b, at)
}

// adopt makes a client the one that leases are bound to. Another one before it had
// the same end of the line, with other software in it: its claims end.
func (s *Server) adopt(client []byte) {
	if bytes.Equal(client, s.client) {
		return
	}
	s.client = append([]byte(nil), client...)
	for _, l := range s.leases {
		l.bound = false
	}
}

// owned are the leases that are bound to an identity association of m's client.
func (s *Server) owned(m *message, a *ia) []*lease {
	if !bytes.Equal(m.client, s.client) {
		return nil
	}
	var out []*lease
	for _, l := range s.leases {
		if l.bound && l.option == a.option && l.iaid == a.id {
			out = append(out, l)
		}
	}
	return out
}

// deal gives every identity association of m what it has already, and shares out
// the rest to those that have nothing, evenly, those they ask for first. What is
// bound to an association that m does not name counts as free: there is one client
// on the link, and it has begun anew.
func (s *Server) deal(m *message) [][]*lease {
	shares := make([][]*lease, len(m.ias))
	taken := map[*lease]bool{}
	for i := range m.ias {
		if m.ias[i].option == optIATA {
			continue
		}
		shares[i] = s.owned(m, &m.ias[i])
		for _, l := range shares[i] {
			taken[l] = true
		}
	}
	for _, option := range [...]uint16{optIANA, optIAPD} {
		var needy []int
		for i := range m.ias {
			if m.ias[i].option == option && len(shares[i]) == 0 {
				needy = append(needy, i)
			}
		}
		for n, i := range needy {
			free := s.free(option, taken)
			if len(free) == 0 && option == optIANA {
				free = s.makeUp()
			}
			if len(free) == 0 {
				break
			}
			prefer(free, m.ias[i].leases)
			left := len(needy) - n
			shares[i] = free[:(len(free)+left-1)/left]
			for _, l := range shares[i] {
				taken[l] = true
			}
		}
	}
	return shares
}

func (s *Server) free(option uint16, taken map[*lease]bool) []*lease {
	var out []*lease
	for _, l := range s.leases {
		if l.option == option && !l.declined && !taken[l] {
			out = append(out, l)
		}
	}
	return out
}

// makeUp adds an address of the link's own prefix, where no address was granted.
func (s *Server) makeUp() []*lease {
	if len(s.grant.Addresses) > 0 {
		return nil
	}
	at := slices.IndexFunc(s.grant.Link, func(p netip.Prefix) bool { return p.Bits() == 64 })
	made := 0
	for _, l := range s.leases {
		if l.option == optIANA {
			made++
		}
	}
	if at < 0 || made >= madeUp {
		return nil
	}
	a := s.grant.Link[at].Addr().As16()
	s.random(a[8:])
	// A "u" bit of 1 would claim an IEEE identifier; with it clear, and a first
	// byte that is not 0, no anycast address is hit (RFC 2526 section 2).
	a[8] = a[8]&^0x02 | 0x10
	return s.addAddress(netip.AddrFrom16(a))
}

func (s *Server) addAddress(a netip.Addr) []*lease {
	l := &lease{prefix: netip.PrefixFrom(a, 128), option: optIANA}
	s.leases = append(s.leases, l)
	return []*lease{l}
}

// prefer sorts leases by how well they fit what the client would like: the very
// prefix first, then one of the length, then the next longer, then the next shorter
// (RFC 8168 section 3).
func prefer(leases []*lease, hints []netip.Prefix) {
	if len(hints) == 0 {
		return
	}
	distance := func(l *lease) int {
		least := 1 << 10
		for _, h := range hints {
			d := l.prefix.Bits() - h.Bits()
			switch {
			case l.prefix == h:
				return -1
			case d < 0:
				d = 1<<8 - d
			}
			least = min(least, d)
		}
		return least
	}
	slices.SortStableFunc(leases, func(a, b *lease) int { return distance(a) - distance(b) })
}

// openIA appends the head of an identity association.
func openIA(b []byte, a *ia, t1, t2 time.Duration) ([]byte, int) {
	b, at := open(b, a.option)
	b = binary.BigEndian.AppendUint32(b, a.id)
	if a.option != optIATA {
		b = appendLifetimes(b, t1, t2)
	}
	return b, at
}

// appendIA appends an identity association with its leases, and with those that the
// client has to give up. It renews after half of the preferred lifetime and rebinds
// after four fifths (RFC 8415 sections 21.4 and 21.21).
func (s *Server) appendIA(b []byte, m *message, a *ia, leases []*lease, gone []netip.Prefix) []byte {
	b, at := openIA(b, a, s.cfg.Preferred/2, s.cfg.Preferred/5*4)
	for _, l := range leases {
		b = appendLease(b, a.option, l.prefix, s.cfg.Preferred, s.cfg.Valid, s.excluded(m, l.prefix))
	}
	for _, p := range gone {
		b = appendLease(b, a.option, p, 0, 0, netip.Prefix{})
	}
	return shut(b, at)
}

// excluded is the part of a delegated prefix that the link itself uses, for a client
// that knows how to leave it out (RFC 6603 section 5.2).
func (s *Server) excluded(m *message, p netip.Prefix) netip.Prefix {
	if !slices.Contains(m.wants, optPDExclude) {
		return netip.Prefix{}
	}
	for _, l := range s.grant.Link {
		if l.Bits() > p.Bits() && p.Contains(l.Addr()) {
			return l
		}
	}
	return netip.Prefix{}
}
