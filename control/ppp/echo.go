package ppp

import "encoding/binary"

// alive notes that the peer was heard.
func (l *Link) alive(s step) {
	l.heard = s.now
	l.echoes = 0
}

func (l *Link) startEcho(s step) {
	l.alive(s)
	l.looped = false
	if d := l.env.cfg.EchoInterval; d > 0 && !l.noEcho {
		l.echoTimer = s.now + d
	}
}

// receiveEcho takes Echo-Request, Echo-Reply and Discard-Request.
func (l *Link) receiveEcho(s step, p packet) {
	if len(p.data) < 4 {
		return
	}
	// RFC 1661 section 6.4: our own magic number means that the link is looped
	// back. Such a packet is no sign of the peer's life, so that the count of
	// unanswered echoes ends the link. A reply with our number is another thing:
	// on a looped link our request would have come back and no reply at all, so
	// it is from a peer that copies the number instead of using its own.
	if own := l.lcp.local.magic; p.code != echoReply && own != 0 && binary.BigEndian.Uint32(p.data) == own {
		l.looped = true
		return
	}
	l.alive(s)
	l.fire(s, lcp, stimulus{event: evRXR, packet: p})
}

// sendEchoReply is the action ser, which only Opened has. Of the three codes of
// the event only Echo-Request has a reply (RFC 1661 section 4.3).
func (l *Link) sendEchoReply(s step, p packet) {
	if p.code != echoRequest {
		return
	}
	// Section 5.8: Identifier and Data are the request's, the magic number is ours.
	b := l.build(s, lcp, echoReply, p.id)
	b.uint32(l.lcp.local.magic).bytes(p.data[4:]...).send(l.limit())
}

// echoExpired looks whether the peer was heard in the last interval, and asks it
// if not.
func (l *Link) echoExpired(s step) {
	interval := l.env.cfg.EchoInterval
	if next := l.heard + interval; next > s.now {
		l.echoTimer = next
		return
	}
	if int(l.echoes) >= max(1, min(l.env.cfg.EchoFailures, 255)) {
		l.echoFailed(s)
		return
	}
	l.echoes++
	l.echoID++
	l.echoTimer = s.now + interval
	l.build(s, lcp, echoRequest, l.echoID).uint32(l.lcp.local.magic).send(l.limit())
}

// echoFailed treats a peer that is gone as a lower layer that is down: there is
// nobody left to exchange Terminate packets with.
func (l *Link) echoFailed(s step) {
	cause := CauseEcho
	if l.looped {
		cause = CauseLoop
	}
	l.blame(cause, "")
	l.fire(s, lcp, stimulus{event: evDown})
	l.finish(s, cause)
}
