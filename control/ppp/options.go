package ppp

import "encoding/binary"

// option is one Configuration Option (RFC 1661 section 6). It aliases the packet.
type option struct {
	kind uint8
	data []byte
	// whole is the option with its Type and Length octets.
	whole []byte
}

// nextOption cuts the first option off b. ok is false when its Length is below
// two, which could never be stepped over, or runs past the packet: then the whole
// packet is to be silently discarded (RFC 1661 section 6).
func nextOption(b []byte) (o option, rest []byte, ok bool) {
	if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
		return option{}, nil, false
	}
	n := int(b[1])
	return option{kind: b[0], data: b[2:n], whole: b[:n]}, b[n:], true
}

// wellFormed reports whether b is a sequence of whole options.
func wellFormed(b []byte) bool {
	for len(b) > 0 {
		var ok bool
		if _, b, ok = nextOption(b); !ok {
			return false
		}
	}
	return true
}

// typeSet is the set of option types seen in one packet.
type typeSet [4]uint64

func (s *typeSet) has(kind uint8) bool { return s[kind>>6]&(1<<(kind&63)) != 0 }
func (s *typeSet) add(kind uint8)      { s[kind>>6] |= 1 << (kind & 63) }

// verdict is what we think of one option in the peer's Configure-Request.
type verdict uint8

const (
	// accept: acknowledge it as it is.
	accept verdict = iota
	// suggest: Nak it with another value; after Max-Failure it is rejected.
	suggest
	// insist: Nak it with another value, never reject it.
	insist
	// refuse: reject it.
	refuse
)

// env is what negotiation needs besides its own state.
type env struct {
	cfg *Config
	// random reads unpredictable bytes.
	random func([]byte)
}

// random32 returns a random number that is not zero, since a zero magic number is
// illegal (RFC 1661 section 6.4).
func (e *env) random32() uint32 {
	var b [4]byte
	e.random(b[:])
	return max(1, binary.BigEndian.Uint32(b[:]))
}

// negotiator is the option part of one control protocol. The automaton part is
// the same for all and does not know what the options mean.
type negotiator interface {
	// begin forgets the last negotiation and chooses what to ask for.
	begin(e *env)
	// request appends the options of our Configure-Request to b. It gives the
	// same bytes until nak, drop or begin is called, so the last request need
	// not be stored to compare an Ack with it.
	request(e *env, b []byte) []byte
	// examine judges one option of the peer's Configure-Request. For suggest
	// and insist it appends the option with a value that we would accept.
	examine(e *env, o option, b []byte) (verdict, []byte)
	// missing appends the options that we need to see in the peer's
	// Configure-Request and that are not in seen.
	missing(e *env, seen *typeSet, b []byte) []byte
	// adopt makes the options that we acknowledge the peer's.
	adopt(options []byte)
	// nak changes what we ask for as the peer's Configure-Nak suggests; drop
	// stops asking for an option that the peer has rejected.
	nak(e *env, o option)
	drop(e *env, o option)
}

// containsOptions reports whether every option of part is in whole, unmodified
// and in the same order.
func containsOptions(whole, part []byte) bool {
	for len(part) > 0 {
		p, rest, ok := nextOption(part)
		if !ok {
			return false
		}
		for found := false; !found; {
			var w option
			if w, whole, ok = nextOption(whole); !ok {
				return false
			}
			found = string(w.whole) == string(p.whole)
		}
		part = rest
	}
	return true
}
