// Package dhcp6 is a DHCPv6 server for one subscriber's link (RFC 8415): addresses
// (IA_NA), delegated prefixes (IA_PD) and name servers. It is sans I/O: messages and
// a clock in, messages out.
//
// What a session may give out is decided before, by RADIUS or from pools, and is
// the session's until it ends. So the server need not remember anything for the
// subscriber to keep its prefixes: it only tells which of a client's identity
// associations has which of them.
package dhcp6

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

// Ports of servers and clients (RFC 8415 section 7.2).
const (
	ServerPort = 547
	ClientPort = 546
)

// Message types (RFC 8415 section 7.3).
const (
	typeSolicit     = 1
	typeAdvertise   = 2
	typeRequest     = 3
	typeConfirm     = 4
	typeRenew       = 5
	typeRebind      = 6
	typeReply       = 7
	typeRelease     = 8
	typeDecline     = 9
	typeInformation = 11
)

// Option codes (RFC 8415 section 21, RFC 3646, RFC 6603).
const (
	optClientID    = 1
	optServerID    = 2
	optIANA        = 3
	optIATA        = 4
	optAddress     = 5
	optRequest     = 6
	optStatus      = 13
	optRapidCommit = 14
	optDNS         = 23
	optDomains     = 24
	optIAPD        = 25
	optPrefix      = 26
	optPDExclude   = 67
)

// Status codes (RFC 8415 section 21.13).
const (
	statusSuccess       = 0
	statusNoAddrs       = 2
	statusNoBinding     = 3
	statusNotOnLink     = 4
	statusUseMulticast  = 5
	statusNoPrefixAvail = 6
)

// maxDUID bounds a client identifier: two bytes of type and 128 more (RFC 8415
// section 11.1).
const maxDUID = 130

// maxIAs and maxLeases bound what is read of one message; no client has as many.
const (
	maxIAs    = 16
	maxLeases = 16
)

// message is a client's message.
type message struct {
	kind   uint8
	xid    [3]byte
	client []byte
	server []byte
	ias    []ia
	// wants are the codes of the options asked for.
	wants       []uint16
	rapidCommit bool
}

// ia is an identity association of a client's message.
type ia struct {
	// option is optIANA, optIATA or optIAPD.
	option uint16
	id     uint32
	// leases are what the client says it has, or would like: addresses as prefixes
	// of 128 bits. In a hint for a prefix, :: stands for any.
	leases []netip.Prefix
}

var (
	errShort = errors.New("dhcp6: truncated")
	errForm  = errors.New("dhcp6: malformed option")
	errMany  = errors.New("dhcp6: too many options")
)

// options calls f with each option in b.
func options(b []byte, f func(code uint16, data []byte) error) error {
	for len(b) > 0 {
		if len(b) < 4 {
			return errShort
		}
		code, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+n {
			return errShort
		}
		if err := f(code, b[4:4+n]); err != nil {
			return err
		}
		b = b[4+n:]
	}
	return nil
}

// parse reads a client's message. Slices of the result alias b. Any option that can't
// be read makes the whole message invalid: half of a wish is another wish.
func parse(b []byte) (*message, error) {
	if len(b) < 4 {
		return nil, errShort
	}
	m := &message{kind: b[0], xid: [3]byte(b[1:4])}
	return m, options(b[4:], m.option)
}

func (m *message) option(code uint16, data []byte) error {
	switch code {
	case optClientID:
		return identifier(&m.client, data)
	case optServerID:
		return identifier(&m.server, data)
	case optRequest:
		if len(data)%2 != 0 {
			return errForm
		}
		for ; len(data) > 0; data = data[2:] {
			m.wants = append(m.wants, binary.BigEndian.Uint16(data))
		}
	case optRapidCommit:
		m.rapidCommit = true
	case optIANA, optIATA, optIAPD:
		a, err := parseIA(code, data)
		if err != nil {
			return err
		}
		if len(m.ias) == maxIAs {
			return errMany
		}
		m.ias = append(m.ias, a)
	}
	return nil
}

// identifier takes a DUID, which occurs once (RFC 8415 section 21.2).
func identifier(to *[]byte, data []byte) error {
	if *to != nil || len(data) < 3 || len(data) > maxDUID {
		return errForm
	}
	*to = data
	return nil
}

// parseIA reads an identity association (RFC 8415 sections 21.4, 21.5 and 21.21).
func parseIA(code uint16, data []byte) (ia, error) {
	fixed := 12 // IAID, T1, T2
	if code == optIATA {
		fixed = 4
	}
	if len(data) < fixed {
		return ia{}, errForm
	}
	a := ia{option: code, id: binary.BigEndian.Uint32(data)}
	err := options(data[fixed:], func(inner uint16, d []byte) error {
		p, ok, err := parseLease(code, inner, d)
		if err != nil || !ok {
			return err
		}
		if len(a.leases) == maxLeases {
			return errMany
		}
		a.leases = append(a.leases, p)
		return nil
	})
	return a, err
}

// parseLease reads an IA Address (section 21.6) or an IA Prefix (section 21.22); ok
// is false for every other option.
func parseLease(outer, inner uint16, d []byte) (p netip.Prefix, ok bool, err error) {
	switch {
	case inner == optAddress && outer != optIAPD:
		if len(d) < 24 {
			return p, false, errForm
		}
		return netip.PrefixFrom(netip.AddrFrom16([16]byte(d[:16])), 128), true, nil
	case inner == optPrefix && outer == optIAPD:
		if len(d) < 25 || d[8] > 128 {
			return p, false, errForm
		}
		return netip.PrefixFrom(netip.AddrFrom16([16]byte(d[9:25])), int(d[8])), true, nil
	}
	return p, false, nil
}

// begin appends a message without options.
func begin(b []byte, kind uint8, xid [3]byte) []byte {
	return append(b, kind, xid[0], xid[1], xid[2])
}

// appendOption appends an option of known content.
func appendOption(b []byte, code uint16, data ...byte) []byte {
	b, at := open(b, code)
	return shut(append(b, data...), at)
}

// open appends the head of an option whose length is filled in by shut.
func open(b []byte, code uint16) (_ []byte, at int) {
	b = binary.BigEndian.AppendUint16(b, code)
	return append(b, 0, 0), len(b) + 2
}

func shut(b []byte, at int) []byte {
	binary.BigEndian.PutUint16(b[at-2:], uint16(len(b)-at))
	return b
}

// appendStatus appends a status code with a text for people (RFC 8415 section 21.13).
func appendStatus(b []byte, code uint16, text string) []byte {
	b, at := open(b, optStatus)
	b = binary.BigEndian.AppendUint16(b, code)
	return shut(append(b, text...), at)
}

// appendLease appends an IA Address or an IA Prefix. exclude, if valid, is left out
// of the delegation (RFC 6603 section 4.2).
func appendLease(b []byte, option uint16, p netip.Prefix, preferred, valid time.Duration, exclude netip.Prefix) []byte {
	a := p.Addr().As16()
	if option != optIAPD {
		b, at := open(b, optAddress)
		b = append(b, a[:]...)
		b = appendLifetimes(b, preferred, valid)
		return shut(b, at)
	}
	b, at := open(b, optPrefix)
	b = appendLifetimes(b, preferred, valid)
	b = append(append(b, byte(p.Bits())), a[:]...)
	if exclude.IsValid() {
		b = appendExclude(b, p, exclude)
	}
	return shut(b, at)
}

// appendExclude appends a Prefix Exclude option: the length of the excluded prefix,
// and its bits behind the delegated one, left-aligned.
func appendExclude(b []byte, whole, part netip.Prefix) []byte {
	b, at := open(b, optPDExclude)
	b = append(b, byte(part.Bits()))
	a := part.Addr().As16()
	for bit := whole.Bits(); bit < part.Bits(); bit += 8 {
		var octet byte
		for i := bit; i < min(bit+8, part.Bits()); i++ {
			octet |= a[i/8] >> (7 - i%8) & 1 << (7 - (i - bit))
		}
		b = append(b, octet)
	}
	return shut(b, at)
}

func appendLifetimes(b []byte, preferred, valid time.Duration) []byte {
	b = binary.BigEndian.AppendUint32(b, seconds(preferred))
	return binary.BigEndian.AppendUint32(b, seconds(valid))
}

// seconds is a lifetime on the wire; all ones are for ever (RFC 8415 section 7.7).
func seconds(d time.Duration) uint32 {
	return uint32(min(max(d/time.Second, 0), 0xFFFFFFFF))
}
