package ppp

import "encoding/binary"

// Codes that only LCP has (RFC 1661 section 5).
const (
	protocolReject = 8
	echoRequest    = 9
	echoReply      = 10
	discardRequest = 11
)

func (l *Link) receiveLCP(s step, payload []byte) {
	p, ok := parsePacket(payload)
	if !ok {
		return
	}
	switch p.code {
	case echoRequest, echoReply, discardRequest:
		l.receiveEcho(s, p)
		return
	}
	l.alive(s)
	switch {
	case l.receiveControl(s, lcp, p):
	case p.code == protocolReject:
		l.receiveProtocolReject(s, p)
	default:
		l.fire(s, lcp, stimulus{event: evRUC, packet: p})
	}
}

// receiveProtocolReject: outside the Opened state it is silently discarded
// (RFC 1661 section 5.7).
func (l *Link) receiveProtocolReject(s step, p packet) {
	if l.automata[lcp].state != opened || len(p.data) < 2 {
		return
	}
	switch rejected := Protocol(binary.BigEndian.Uint16(p.data)); rejected {
	case ProtoLCP:
		l.fire(s, lcp, stimulus{event: evRXJbad, packet: p})
		return
	case ProtoIPCP, ProtoIPv4:
		l.refuseNCP(s, ipcp)
	case ProtoIPV6CP, ProtoIPv6:
		l.refuseNCP(s, ipv6cp)
	case ProtoPAP, ProtoCHAP:
		// The peer has acknowledged the method and now does not know it.
		if !l.env.cfg.Client && rejected == l.method().protocol() {
			l.shut(s, CauseAuthRefused, "authentication required")
			return
		}
	}
	l.fire(s, lcp, stimulus{event: evRXJgood, packet: p})
}

// sendProtocolReject answers a protocol that is not supported or not configured.
// It is only called with LCP opened (RFC 1661 section 5.7).
func (l *Link) sendProtocolReject(s step, p Protocol, payload []byte) {
	l.rejectID++
	b := l.build(s, lcp, protocolReject, l.rejectID)
	b.bytes(byte(p>>8), byte(p)).bytes(payload...).send(l.limit())
}
