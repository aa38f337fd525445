// Package acl holds named access lists: what they say, how that is written, and
// what they decide about a packet.
//
// The language is that of l2tpns, which is that of Cisco's routers: rules are tried
// in their order, the first that matches decides, and what none matches is denied.
package acl

import (
	"net/netip"
	"slices"
)

// Limits of what the forwarding paths hold.
const (
	// MaxRules is the most rules in one list.
	MaxRules = 64
	// MaxLists is the most names; a list for IPv4 and one for IPv6 may share one.
	MaxLists = 128
	// MaxName is the longest name, in bytes.
	MaxName = 31
)

// Family is the IP version that a list judges.
type Family uint8

// The families.
const (
	IPv4 Family = iota
	IPv6
	Families
)

// String returns the word that begins a list's definition.
func (f Family) String() string { return [...]string{"ip", "ipv6"}[f] }

// Kind is how a list's rules are written.
type Kind uint8

// The kinds.
const (
	// Standard rules know addresses only.
	Standard Kind = iota
	// Extended rules know protocols, ports, TCP flags and fragments too.
	Extended
)

// String returns "standard" or "extended".
func (k Kind) String() string { return [...]string{"standard", "extended"}[k] }

// List is one named access list. It is not changed once it is made.
type List struct {
	Name   string
	Family Family
	Kind   Kind
	Rules  []Rule
}

// Rule is one line of a list.
type Rule struct {
	Permit bool
	// Protocol is IP's number for the payload, Any for all.
	Protocol            uint16
	Source, Destination Match
	// SourcePorts and DestinationPorts are for TCP and UDP.
	SourcePorts, DestinationPorts Ports
	TCP                           TCP
	// Fragments matches fragments but the first, which alone has ports.
	Fragments bool
}

// Any stands for every protocol.
const Any = 1 << 8

// Numbers of protocols that have names in rules.
const (
	ICMP   = 1
	TCPIP  = 6
	UDP    = 17
	GRE    = 47
	ESP    = 50
	AH     = 51
	ICMPv6 = 58
)

// Match is a set of addresses: those that agree with Address where Mask has bits.
// The zero value matches every address.
type Match struct {
	Address, Mask netip.Addr
}

// isAny reports whether every address matches.
func (m Match) isAny() bool { return !m.Mask.IsValid() || m.Mask.IsUnspecified() }

// Contains reports whether a, of the list's family, matches.
func (m Match) Contains(a netip.Addr) bool {
	if m.isAny() {
		return true
	}
	want, mask, have := m.Address.As16(), m.Mask.As16(), a.As16()
	for i := range mask {
		// The first 12 bytes of IPv4 addresses are alike.
		if have[i]&mask[i] != want[i]&mask[i] {
			return false
		}
	}
	return true
}

// Ports is a set of port numbers, from Low to High, or all others. The zero value
// is every port.
type Ports struct {
	Given     bool
	Low, High uint16
	Not       bool
}

// Contains reports whether port is in the set.
func (p Ports) Contains(port uint16) bool {
	return !p.Given || (port >= p.Low && port <= p.High) != p.Not
}

// TCP flags, as they lie in a header's byte 13.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
)

// TCP is a condition on flags: one of those in AnySet set or of AnyClear clear, if
// there are any, and all of AllSet set and all of AllClear clear. The zero value
// matches whatever is there.
type TCP struct {
	AnySet, AnyClear, AllSet, AllClear uint8
}

// Contains reports whether flags meet the condition.
func (t TCP) Contains(flags uint8) bool {
	if t.AnySet|t.AnyClear != 0 && flags&t.AnySet == 0 && ^flags&t.AnyClear == 0 {
		return false
	}
	return flags&t.AllSet == t.AllSet && flags&t.AllClear == 0
}

// established are segments of a connection that is not just being opened.
func established() TCP { return TCP{AnySet: ACK | RST, AllClear: SYN} }

// looksDeeper reports whether the rule asks for what only the head of a TCP or UDP
// packet has.
func (r *Rule) looksDeeper() bool {
	return r.SourcePorts.Given || r.DestinationPorts.Given || r.TCP != TCP{}
}

// Set is what one name stands for: a list for each family, perhaps nil. It is not
// changed once it is made.
type Set struct {
	Name  string
	Lists [Families]*List
}

// Sets groups lists by their names, in the order of the names.
func Sets(lists []List) []Set {
	var sets []Set
	for i := range lists {
		l := &lists[i]
		at, found := slices.BinarySearchFunc(sets, l.Name, func(s Set, name string) int {
			switch {
			case s.Name < name:
				return -1
			case s.Name > name:
				return 1
			}
			return 0
		})
		if !found {
			sets = slices.Insert(sets, at, Set{Name: l.Name})
		}
		sets[at].Lists[l.Family] = l
	}
	return sets
}

// Equal reports whether both decide alike, rule by rule.
func (s *Set) Equal(o *Set) bool {
	for f := range s.Lists {
		if !slices.Equal(s.Rules(Family(f)), o.Rules(Family(f))) {
			return false
		}
	}
	return s.Name == o.Name
}

// Rules are those for a family; none deny it all.
func (s *Set) Rules(f Family) []Rule {
	if s.Lists[f] == nil {
		return nil
	}
	return s.Lists[f].Rules
}
