package maps

import (
	"fmt"
	"net/netip"
	"slices"
)

// prefix and prefix6 are routed prefixes as keys.
type (
	prefix  = kernelLnsPrefix
	prefix6 = kernelLnsPrefix6
)

// routeKeys is what is routed to a session besides what its policy holds: its
// address and its /64.
type routeKeys struct {
	v4 []prefix
	v6 []prefix6
}

// routeCount is how many routes of each kind there are.
type routeCount struct{ v4, v6 uint32 }

// ownNetBits is the length of the one prefix that the policy holds.
const ownNetBits = 64

// ownNet6 splits a session's prefixes into the first /64, zero if there is none,
// and the others. ::/64 is nobody's and never chosen.
func ownNet6(list []netip.Prefix) (net [8]uint8, rest []netip.Prefix) {
	for i, p := range list {
		if p.Bits() != ownNetBits || !p.Addr().Is6() {
			continue
		}
		addr := p.Addr().As16()
		if net = [8]uint8(addr[:8]); net != [8]uint8{} {
			return net, slices.Concat(list[:i], list[i+1:])
		}
	}
	return [8]uint8{}, list
}

// prefixes6 turns IPv6 prefixes into keys, without repetitions.
func prefixes6(vrf uint32, list []netip.Prefix) ([]prefix6, error) {
	var out []prefix6
	for _, p := range list {
		if !p.IsValid() || !p.Addr().Is6() || p.Addr().Is4In6() {
			return nil, fmt.Errorf("prefix %v: not an IPv6 prefix", p)
		}
		key := prefix6{
			Prefixlen: uint32(vrfBits + p.Bits()),
			Vrf:       vrf,
			Addr:      p.Masked().Addr().As16(),
		}
		if !slices.Contains(out, key) {
			out = append(out, key)
		}
	}
	return out, nil
}

// prefixes6Of is the reverse of ownNet6 and prefixes6.
func prefixes6Of(net [8]uint8, rest []prefix6) []netip.Prefix {
	var out []netip.Prefix
	if net != [8]uint8{} {
		var addr [16]byte
		copy(addr[:], net[:])
		out = append(out, netip.PrefixFrom(netip.AddrFrom16(addr), ownNetBits))
	}
	for _, p := range rest {
		out = append(out, p.netip())
	}
	return out
}

func (k kernelLnsPrefix6) netip() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom16(k.Addr), int(k.Prefixlen)-vrfBits)
}

// How keys are called in errors.

func (k kernelLnsPrefix6) String() string { return "prefix " + k.netip().String() }
func (k kernelLnsNet6) String() string {
	return "prefix " + prefixes6Of(k.Net, nil)[0].String()
}
