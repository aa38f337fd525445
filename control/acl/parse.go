package acl

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Error is a fault in a rule.
type Error struct {
	// Word is the index of the word at fault; the number of words when something
	// is missing behind them.
	Word    int
	Message string
	// Known are the words that could stand there; nil where there is no such list.
	Known []string
}

func (e *Error) Error() string { return e.Message }

// CheckName reports what is wrong with the name of a list.
func CheckName(name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("must have 1 to %d characters", MaxName)
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' || strings.IndexByte(`"'#`, c) >= 0 {
			return fmt.Errorf("must be of visible ASCII characters other than quotes and #")
		}
	}
	return nil
}

// Rule reads a rule from its words, the first of which is permit or deny:
//
//	standard: permit|deny SOURCE [DESTINATION]
//	extended: permit|deny PROTOCOL SOURCE [PORTS] DESTINATION [PORTS] [FLAGS]
//
// An address is "any", "host ADDRESS", "ADDRESS WILDCARD" or "ADDRESS/LENGTH".
func (l *List) Rule(words []string) (Rule, error) {
	p := parser{words: words, family: l.Family}
	r := p.rule(l.Kind)
	if p.err != nil {
		return Rule{}, p.err
	}
	return r, nil
}

// parser reads words; the first error ends it, and everything after it is void.
type parser struct {
	words  []string
	at     int
	family Family
	err    *Error
}

func (p *parser) fail(word int, known []string, format string, args ...any) {
	if p.err == nil {
		p.err = &Error{Word: word, Message: fmt.Sprintf(format, args...), Known: known}
	}
}

// more reports whether there is another word to read.
func (p *parser) more() bool { return p.err == nil && p.at < len(p.words) }

// next returns the next word in lower case.
func (p *parser) next(what string) string {
	if !p.more() {
		p.fail(p.at, nil, "%s is missing", what)
		return ""
	}
	p.at++
	return strings.ToLower(p.words[p.at-1])
}

// peek returns the next word without reading it; "" when there is none.
func (p *parser) peek() string {
	if !p.more() {
		return ""
	}
	return strings.ToLower(p.words[p.at])
}

func (p *parser) rule(kind Kind) Rule {
	r := Rule{Protocol: Any}
	switch w := p.next("permit or deny"); w {
	case "permit":
		r.Permit = true
	case "deny":
	default:
		p.fail(0, []string{"permit", "deny"}, "must be permit or deny")
	}
	if kind == Standard {
		r.Source = p.match("the source address")
		if p.more() {
			r.Destination = p.match("the destination address")
		}
	} else {
		p.extended(&r)
	}
	if p.more() {
		p.fail(p.at, nil, "nothing more can follow here")
	}
	return r
}

func (p *parser) extended(r *Rule) {
	r.Protocol = p.protocol()
	r.Source = p.match("the source address")
	r.SourcePorts = p.ports(r.Protocol)
	r.Destination = p.match("the destination address")
	r.DestinationPorts = p.ports(r.Protocol)
	switch start := p.at; p.peek() {
	case "":
	case "established":
		p.at++
		r.TCP = established()
		p.onlyTCP(start, r.Protocol)
	case "match-any", "match-all":
		r.TCP = p.flags()
		p.onlyTCP(start, r.Protocol)
	case "fragments":
		p.at++
		r.Fragments = true
		if r.looksDeeper() {
			p.fail(start, nil, "fragments cannot be matched together with ports")
		}
	default:
		p.fail(start, []string{"eq", "neq", "gt", "lt", "range", "established", "match-any", "match-all", "fragments"},
			"must be ports, TCP flags or fragments, or the end")
	}
}

func (p *parser) onlyTCP(word int, protocol uint16) {
	if protocol != TCPIP {
		p.fail(word, nil, "is for rules of TCP only")
	}
}

// protocolNames are the names of protocols in rules, by family.
func protocolNames(f Family) map[string]uint16 {
	names := map[string]uint16{
		f.String(): Any, "tcp": TCPIP, "udp": UDP, "icmp": ICMP, "gre": GRE, "esp": ESP, "ahp": AH,
	}
	if f == IPv6 {
		names["icmp"] = ICMPv6
	}
	return names
}

func (p *parser) protocol() uint16 {
	word := p.next("the protocol")
	names := protocolNames(p.family)
	if n, ok := names[word]; ok {
		return n
	}
	n, err := strconv.ParseUint(word, 10, 8)
	if err != nil {
		var known []string
		for name := range names {
			known = append(known, name)
		}
		slices.Sort(known)
		p.fail(p.at-1, known, "must be a protocol: %s or a number up to 255", strings.Join(known, ", "))
	}
	return uint16(n)
}

func (p *parser) match(what string) Match {
	switch word := p.next(what); word {
	case "any":
		return Match{}
	case "host":
		a := p.address("the host's address")
		return Match{Address: a, Mask: ones(p.family)}
	default:
		if strings.Contains(word, "/") {
			return p.prefix(word)
		}
		p.at = max(p.at-1, 0)
		a := p.address(what)
		if p.family == IPv6 {
			p.fail(p.at-1, nil, "must be any, host ADDRESS or ADDRESS/LENGTH")
			return Match{}
		}
		mask := complement(p.address("the wildcard (0.0.0.0 for the one address)"))
		if mask.IsUnspecified() {
			return Match{}
		}
		return Match{Address: and(a, mask), Mask: mask}
	}
}

func (p *parser) prefix(word string) Match {
	n, err := netip.ParsePrefix(word)
	if err != nil || n.Addr().Is4() != (p.family == IPv4) || n.Addr().Is4In6() {
		p.fail(p.at-1, nil, "must be an %s prefix", p.versionName())
		return Match{}
	}
	all, _ := ones(p.family).Prefix(n.Bits())
	if all.Addr().IsUnspecified() {
		return Match{}
	}
	return Match{Address: n.Masked().Addr(), Mask: all.Addr()}
}

func (p *parser) versionName() string { return [...]string{"IPv4", "IPv6"}[p.family] }

func (p *parser) address(what string) netip.Addr {
	if p.err != nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(p.next(what))
	if err != nil || a.Is4() != (p.family == IPv4) || a.Zone() != "" || a.Is4In6() {
		p.fail(p.at-1, nil, "must be any, host ADDRESS or an %s address", p.versionName())
		return netip.Addr{}
	}
	return a
}

func ones(f Family) netip.Addr {
	if f == IPv4 {
		return netip.AddrFrom4([4]byte{255, 255, 255, 255})
	}
	var b [16]byte
	for i := range b {
		b[i] = 255
	}
	return netip.AddrFrom16(b)
}

func complement(a netip.Addr) netip.Addr {
	if !a.Is4() {
		return a
	}
	b := a.As4()
	binary.BigEndian.PutUint32(b[:], ^binary.BigEndian.Uint32(b[:]))
	return netip.AddrFrom4(b)
}

func and(a, mask netip.Addr) netip.Addr {
	if !a.Is4() || !mask.Is4() {
		return a
	}
	x, y := a.As4(), mask.As4()
	for i := range x {
		x[i] &= y[i]
	}
	return netip.AddrFrom4(x)
}

func (p *parser) ports(protocol uint16) Ports {
	start := p.at
	var ports Ports
	switch op := p.peek(); op {
	case "eq", "neq":
		p.at++
		n := p.port()
		ports = Ports{Given: true, Low: n, High: n, Not: op == "neq"}
	case "gt":
		p.at++
		n := p.port()
		if n == 65535 {
			p.fail(p.at-1, nil, "no port is above 65535")
		}
		ports = Ports{Given: true, Low: n + 1, High: 65535}
	case "lt":
		p.at++
		n := p.port()
		if n == 0 {
			p.fail(p.at-1, nil, "no port is below 0")
		}
		ports = Ports{Given: true, High: n - 1}
	case "range":
		p.at++
		low := p.port()
		high := p.port()
		if low > high {
			p.fail(p.at-1, nil, "must not be below the first port of the range")
		}
		ports = Ports{Given: true, Low: low, High: high}
	default:
		return ports
	}
	if protocol != TCPIP && protocol != UDP {
		p.fail(start, nil, "ports are for rules of TCP and UDP only")
	}
	return ports
}

func (p *parser) port() uint16 {
	n, err := strconv.ParseUint(p.next("the port"), 10, 16)
	if err != nil {
		p.fail(p.at-1, nil, "must be a port number from 0 to 65535")
	}
	return uint16(n)
}

// flagNames are the names of TCP's flags, from the lowest bit.
func flagNames() []string { return []string{"fin", "syn", "rst", "psh", "ack", "urg"} }

// flags reads match-any or match-all and what follows.
func (p *parser) flags() TCP {
	op := p.next("match-any or match-all")
	var set, clear uint8
	for p.more() {
		word := p.next("a flag")
		bit := slices.Index(flagNames(), strings.TrimLeft(word, "+-"))
		if bit < 0 || len(word) != 4 {
			p.fail(p.at-1, nil, "must be + or - and one of %s", strings.Join(flagNames(), ", "))
		} else if (set|clear)&(1<<bit) != 0 {
			p.fail(p.at-1, nil, "is given twice")
		} else if word[0] == '+' {
			set |= 1 << bit
		} else {
			clear |= 1 << bit
		}
	}
	if set|clear == 0 {
		p.fail(p.at, nil, "a flag is missing")
	}
	if op == "match-any" {
		return TCP{AnySet: set, AnyClear: clear}
	}
	return TCP{AllSet: set, AllClear: clear}
}
