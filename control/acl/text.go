package acl

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Command returns the line that begins the list's definition.
func (l *List) Command() string {
	return fmt.Sprintf("%v access-list %v %s", l.Family, l.Kind, l.Name)
}

// Text returns a rule of the list as Rule reads it.
func (l *List) Text(r Rule) string {
	words := []string{"deny"}
	if r.Permit {
		words[0] = "permit"
	}
	if l.Kind == Standard {
		words = append(words, r.Source.text())
		if !r.Destination.isAny() {
			words = append(words, r.Destination.text())
		}
		return strings.Join(words, " ")
	}
	words = append(words, protocolText(l.Family, r.Protocol), r.Source.text())
	words = append(words, r.SourcePorts.words()...)
	words = append(words, r.Destination.text())
	words = append(words, r.DestinationPorts.words()...)
	words = append(words, r.TCP.words()...)
	if r.Fragments {
		words = append(words, "fragments")
	}
	return strings.Join(words, " ")
}

func protocolText(f Family, n uint16) string {
	for name, known := range protocolNames(f) {
		if known == n {
			return name
		}
	}
	return strconv.Itoa(int(n))
}

func (m Match) text() string {
	if m.isAny() {
		return "any"
	}
	if bits, ok := maskLen(m.Mask); ok && bits == m.Mask.BitLen() {
		return "host " + m.Address.String()
	} else if m.Mask.Is6() {
		return netip.PrefixFrom(m.Address, bits).String()
	}
	return m.Address.String() + " " + complement(m.Mask).String()
}

// maskLen is how many leading bits a mask has; ok is false if others follow.
func maskLen(m netip.Addr) (bits int, ok bool) {
	b := m.AsSlice()
	for bits < 8*len(b) && b[bits/8]&(0x80>>(bits%8)) != 0 {
		bits++
	}
	for i := bits; i < 8*len(b); i++ {
		if b[i/8]&(0x80>>(i%8)) != 0 {
			return bits, false
		}
	}
	return bits, true
}

func (p Ports) words() []string {
	low, high := strconv.Itoa(int(p.Low)), strconv.Itoa(int(p.High))
	switch {
	case !p.Given:
		return nil
	case p.Not:
		return []string{"neq", low}
	case p.Low == p.High:
		return []string{"eq", low}
	default:
		return []string{"range", low, high}
	}
}

func (t TCP) words() []string {
	switch {
	case t == TCP{}:
		return nil
	case t == established():
		return []string{"established"}
	case t.AnySet|t.AnyClear != 0:
		return append([]string{"match-any"}, flagWords(t.AnySet, t.AnyClear)...)
	default:
		return append([]string{"match-all"}, flagWords(t.AllSet, t.AllClear)...)
	}
}

func flagWords(set, clear uint8) []string {
	var words []string
	for i, name := range flagNames() {
		switch {
		case set&(1<<i) != 0:
			words = append(words, "+"+name)
		case clear&(1<<i) != 0:
			words = append(words, "-"+name)
		}
	}
	return words
}
