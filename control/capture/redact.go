package capture

import (
	"encoding/binary"

	"github.com/lnsd/lnsd/control/l2tp"
)

// PPP's protocols of authentication.
const (
	pppPAP  = 0xc023
	pppCHAP = 0xc223
	pppEAP  = 0xc227
)

func blank(b []byte) {
	for i := range b {
		b[i] = '*'
	}
}

// redactFrame overwrites passwords, challenges and the answers to them in a PPP frame.
func redactFrame(frame []byte) {
	protocol, body, ok := l2tp.ParsePPP(frame)
	const header = 4 // code, id, length
	if !ok || len(body) <= header {
		return
	}
	code, rest := body[0], body[header:]
	switch int(protocol) {
	case pppPAP:
		// Request: the name and the password, each behind its length.
		if code == 1 && 1+int(rest[0]) < len(rest) {
			blank(rest[2+int(rest[0]):])
		} else if code == 1 {
			blank(rest)
		}
	case pppCHAP:
		switch code {
		case 1, 2: // challenge and response: the value behind its length, then the name
			blank(rest[1:min(1+int(rest[0]), len(rest))])
		default: // a success of MS-CHAP proves the password too
			blank(rest)
		}
	case pppEAP:
		const identity, notification = 1, 2
		if rest[0] > notification || rest[0] < identity {
			blank(rest[1:])
		}
	}
}

// Attributes of control messages that are secrets, or proofs of them (RFC 2661
// section 4.4).
var secretAVPs = map[uint16]bool{
	11: true, // Challenge
	13: true, // Challenge Response
	31: true, // Proxy Authen Challenge
	33: true, // Proxy Authen Response
}

// redactControl overwrites secrets in a control message, and whatever could be one:
// what is hidden, and what other vendors have defined.
func redactControl(b []byte) {
	const messageHeader, header = 12, 6
	const hidden, lengthMask = 0x4000, 0x03ff
	for at := messageHeader; at+header <= len(b); {
		word := binary.BigEndian.Uint16(b[at:])
		size := int(word & lengthMask)
		if size < header || at+size > len(b) {
			blank(b[at:])
			return
		}
		vendor, kind := binary.BigEndian.Uint16(b[at+2:]), binary.BigEndian.Uint16(b[at+4:])
		if word&hidden != 0 || vendor != 0 || secretAVPs[kind] {
			blank(b[at+header : at+size])
		}
		at += size
	}
}

// withoutFrames cuts a packet between LAC and LNS, unless what it carries is plainly a
// subscriber's IP packet: PPP's own could hold a password.
func withoutFrames(packet []byte) []byte {
	const udpHeader = 8
	at := 0
	switch {
	case len(packet) >= 20 && packet[0]>>4 == 4:
		at = int(packet[0]&0xf) * 4
		if binary.BigEndian.Uint16(packet[6:])&0x1fff != 0 {
			return packet[:min(at, len(packet))] // a fragment but the first
		}
	case len(packet) >= 40 && packet[0]>>4 == 6:
		at = 40
		if packet[6] != 17 {
			return packet[:at]
		}
	}
	at = min(at+udpHeader, len(packet))
	if at <= udpHeader {
		return packet[:0]
	}
	if _, body, err := l2tp.ParseHeader(packet[at:]); err == nil {
		if _, ok := l2tp.DataIP(body); ok {
			return packet
		}
	}
	return packet[:at]
}
