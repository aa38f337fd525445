package lac

import "encoding/binary"

// ICMP types (RFC 792).
const (
	icmpEchoReply   = 0
	icmpUnreachable = 3
	icmpEcho        = 8
	icmpExceeded    = 11
	icmpParameter   = 12
)

const icmpHeaderLen = 8

type icmpKind struct{ kind, code uint8 }

// icmpOf returns the ICMP message in an IPv4 packet without options whose length
// field has been checked.
func icmpOf(p []byte) []byte {
	p = p[:binary.BigEndian.Uint16(p[2:])]
	if p[9] != protoICMP || len(p) < ipv4HeaderLen+icmpHeaderLen || isFragment(p) {
		return nil
	}
	return p[ipv4HeaderLen:]
}

// icmpError reads type and code of an ICMP error message.
func icmpError(p []byte) (kind, code uint8, ok bool) {
	m := icmpOf(p)
	if m == nil {
		return 0, 0, false
	}
	switch m[0] {
	case icmpUnreachable, icmpExceeded, icmpParameter:
		return m[0], m[1], true
	}
	return 0, 0, false
}

func isPing(p []byte) bool {
	m := icmpOf(p)
	return m != nil && m[0] == icmpEcho
}

// pong turns an echo request into its reply, in place.
func pong(p []byte) []byte {
	p = p[:binary.BigEndian.Uint16(p[2:])]
	var source [4]byte
	copy(source[:], p[12:])
	copy(p[12:16], p[16:20])
	copy(p[16:20], source[:])
	p[8] = ttl
	be := binary.BigEndian
	be.PutUint16(p[10:], 0)
	be.PutUint16(p[10:], ipChecksum(p[:ipv4HeaderLen]))
	m := p[ipv4HeaderLen:]
	m[0] = icmpEchoReply
	be.PutUint16(m[2:], 0)
	be.PutUint16(m[2:], fold(sum(0, m)))
	return p
}
