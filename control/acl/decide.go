package acl

import (
	"encoding/binary"
	"net/netip"
)

// Decision is what a set of lists says of a packet.
type Decision struct {
	Permit bool
	Family Family
	// Rule is the index of the rule that matched; the number of rules when none
	// did, or when the packet could not be read.
	Rule int
}

// Decide judges an IP packet from its header on. A family without a list is denied.
func (s *Set) Decide(packet []byte) Decision {
	var k key
	d := Decision{}
	if len(packet) > 0 && packet[0]>>4 == 6 {
		d.Family = IPv6
	}
	rules := s.Rules(d.Family)
	d.Rule = len(rules)
	if !k.read(packet) {
		return d
	}
	for i := range rules {
		if rules[i].matches(&k) {
			d.Rule, d.Permit = i, rules[i].Permit
			return d
		}
	}
	return d
}

// key is what rules look at.
type key struct {
	source, destination         netip.Addr
	protocol                    uint8
	later                       bool // a fragment, and not the first
	sourcePort, destinationPort uint16
	flags                       uint8 // of TCP
}

// matches holds the rule for fragments: what follows the first has no ports, so a
// rule that permits some ports lets the fragments of all ports pass, which are of no
// use without their first, and one that denies ports is passed over.
func (r *Rule) matches(k *key) bool {
	if r.Protocol != Any && r.Protocol != uint16(k.protocol) {
		return false
	}
	if !r.Source.Contains(k.source) || !r.Destination.Contains(k.destination) {
		return false
	}
	if k.later {
		return r.Permit || !r.looksDeeper()
	}
	return !r.Fragments && r.SourcePorts.Contains(k.sourcePort) &&
		r.DestinationPorts.Contains(k.destinationPort) && r.TCP.Contains(k.flags)
}

const (
	ipv4Header = 20
	ipv6Header = 40
	// MaxExtensions is how many extension headers of IPv6 are looked through.
	MaxExtensions = 6
)

// read takes a packet apart; false when it is too short for what a rule may ask.
func (k *key) read(b []byte) bool {
	switch {
	case len(b) >= ipv4Header && b[0]>>4 == 4:
		return k.read4(b)
	case len(b) >= ipv6Header && b[0]>>4 == 6:
		return k.read6(b)
	}
	return false
}

func (k *key) read4(b []byte) bool {
	header, total := int(b[0]&0x0F)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < ipv4Header || total < header || total > len(b) {
		return false
	}
	k.source, k.destination = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	k.protocol = b[9]
	return k.readRest(b[header:total], int(binary.BigEndian.Uint16(b[6:])&0x1FFF))
}

// Extension headers of IPv6 (RFC 8200 section 4) that stand before the payload.
const (
	hopByHop    = 0
	routing     = 43
	fragment    = 44
	destination = 60
)

func (k *key) read6(b []byte) bool {
	total := ipv6Header + int(binary.BigEndian.Uint16(b[4:]))
	if total > len(b) {
		return false
	}
	k.source, k.destination = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
	k.protocol = b[6]
	rest, offset := b[ipv6Header:total], 0
	// What follows an offset is a piece of something that began elsewhere.
	for i := 0; i < MaxExtensions && isExtension(k.protocol) && offset == 0; i++ {
		if len(rest) < 8 {
			return false
		}
		size := 8
		if k.protocol == fragment {
			offset = int(binary.BigEndian.Uint16(rest[2:]) >> 3)
		} else {
			size += int(rest[1]) * 8
		}
		if size > len(rest) {
			return false
		}
		k.protocol, rest = rest[0], rest[size:]
	}
	if isExtension(k.protocol) && offset == 0 {
		return false
	}
	return k.readRest(rest, offset)
}

func isExtension(protocol uint8) bool {
	return protocol == hopByHop || protocol == routing || protocol == fragment || protocol == destination
}

// Bytes of a payload that rules look at.
const (
	portsLen = 4
	flagsLen = 14
)

// readRest reads the head of a payload; offset is its place in the whole packet, in
// units of 8 bytes.
func (k *key) readRest(b []byte, offset int) bool {
	if offset > 0 {
		k.later = true
		// The second eight bytes of a TCP header hold its flags; sent apart, they
		// could change what the first fragment was let in for (RFC 1858 section 3.2.2).
		return k.protocol != TCPIP || offset > 1
	}
	switch k.protocol {
	case TCPIP:
		if len(b) < flagsLen {
			return false
		}
		k.flags = b[13] & 0x3F
	case UDP:
		if len(b) < portsLen {
			return false
		}
	default:
		return true
	}
	k.sourcePort, k.destinationPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	return true
}
