// Package nd is the router's end of neighbour discovery on one subscriber's link:
// router advertisements (RFC 4861, RFC 4862, RFC 8106) and the answers to the few
// questions that a host puts on a point-to-point link. It is sans I/O: packets and
// a clock in, packets out.
package nd

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"time"

	"github.com/lnsd/lnsd/control/ip6"
)

// ICMPv6 types (RFC 4861 section 4).
const (
	typeRouterSolicit    = 133
	typeRouterAdvert     = 134
	typeNeighbourSolicit = 135
	typeNeighbourAdvert  = 136
)

// Option types (RFC 4861 section 4.6, RFC 8106 section 5).
const (
	optSourceLink = 1
	optPrefix     = 3
	optMTU        = 5
	optRDNSS      = 25
	optDNSSL      = 31
)

// Flags.
const (
	flagManaged = 0x80 // of an advertisement: addresses by DHCPv6
	flagOther   = 0x40 // other things by DHCPv6

	flagOnLink     = 0x80 // of a prefix
	flagAutonomous = 0x40

	flagRouter    = 0x80 // of a neighbour advertisement
	flagSolicited = 0x40
	flagOverride  = 0x20
)

// slaacBits is the length of a prefix that hosts make addresses in: an interface
// identifier has 64 bits (RFC 4862 section 5.5.3 (d), RFC 5072 section 4.1).
const slaacBits = 64

// Advertisement is what a router advertisement says.
type Advertisement struct {
	// Lifetime is for how long we are a default router; 0 is no longer.
	Lifetime       time.Duration
	Managed, Other bool
	// MTU of the link in bytes; 0 says nothing.
	MTU      uint16
	Prefixes []Prefix
	// DNS and Domains are valid for DNSLifetime.
	DNS         []netip.Addr
	Domains     []string
	DNSLifetime time.Duration
}

// Prefix is one prefix information option (RFC 4861 section 4.6.2).
type Prefix struct {
	netip.Prefix
	Valid, Preferred time.Duration
}

// Append appends the ICMPv6 message, with its checksum still to be filled in.
func (a *Advertisement) Append(b []byte) []byte {
	const hopLimit = 64 // what the host should send with
	flags := byte(0)
	if a.Managed {
		flags |= flagManaged
	}
	if a.Other {
		flags |= flagOther
	}
	b = append(b, typeRouterAdvert, 0, 0, 0, hopLimit, flags)
	b = binary.BigEndian.AppendUint16(b, uint16(min(seconds(a.Lifetime), 0xFFFF)))
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // reachable and retransmission times: the host's own
	if a.MTU != 0 {
		b = append(b, optMTU, 1, 0, 0, 0, 0, byte(a.MTU>>8), byte(a.MTU))
	}
	for i := range a.Prefixes {
		b = a.Prefixes[i].append(b)
	}
	if len(a.DNS) > 0 {
		b = append(b, optRDNSS, byte(1+2*len(a.DNS)), 0, 0)
		b = binary.BigEndian.AppendUint32(b, seconds(a.DNSLifetime))
		for _, s := range a.DNS {
			x := s.As16()
			b = append(b, x[:]...)
		}
	}
	return a.appendDomains(b)
}

func (p *Prefix) append(b []byte) []byte {
	flags := byte(flagOnLink)
	if p.Bits() == slaacBits {
		flags |= flagAutonomous
	}
	b = append(b, optPrefix, 4, byte(p.Bits()), flags)
	b = binary.BigEndian.AppendUint32(b, seconds(p.Valid))
	b = binary.BigEndian.AppendUint32(b, seconds(p.Preferred))
	b = append(b, 0, 0, 0, 0)
	x := p.Addr().As16()
	return append(b, x[:]...)
}

// appendDomains appends the search list, padded to eight bytes (RFC 8106 section
// 5.2).
func (a *Advertisement) appendDomains(b []byte) []byte {
	if len(a.Domains) == 0 {
		return b
	}
	at := len(b)
	b = append(b, optDNSSL, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, seconds(a.DNSLifetime))
	for _, d := range a.Domains {
		b = AppendDomain(b, d)
	}
	for (len(b)-at)%8 != 0 {
		b = append(b, 0)
	}
	b[at+1] = byte((len(b) - at) / 8)
	return b
}

// AppendDomain appends a domain name as DNS has it on the wire (RFC 1035 section
// 3.1), uncompressed.
func AppendDomain(b []byte, name string) []byte {
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}

// Forever is the lifetime that never ends (RFC 4861 section 4.6.2).
const Forever = 0xFFFFFFFF * time.Second

func seconds(d time.Duration) uint32 {
	return uint32(min(max(d/time.Second, 0), 0xFFFFFFFF))
}

// valid checks what RFC 4861 sections 6.1.1 and 7.1.1 ask of solicitations: nobody
// on another link can have sent it, the checksum is right, no option has length 0.
// It returns the options behind the fixed part of the given length.
func valid(h *ip6.Header, m []byte, fixed int) (options []byte, ok bool) {
	if h.HopLimit != 255 || len(m) < fixed || m[1] != 0 || ip6.Checksum(h.Src, h.Dst, ip6.ProtoICMPv6, m) != 0 {
		return nil, false
	}
	for o := m[fixed:]; len(o) > 0; {
		if len(o) < 8 || o[1] == 0 || int(o[1])*8 > len(o) {
			return nil, false
		}
		if o[0] == optSourceLink && h.Src.IsUnspecified() {
			return nil, false
		}
		o = o[int(o[1])*8:]
	}
	return m[fixed:], true
}
