package perf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/lnsd/lnsd/test/netlab"
)

// passage is what a forwarder makes of packets.
type passage uint8

const (
	tunnelling passage = iota // L2TP on the LAC's side, plain on the core's
	routing                   // plain on both sides
	untouched                 // frames leave as they came
)

// verify compares a received frame with what must have become of a packet of s.
// Nothing that the frame says is believed but the session's index and the sequence
// number in its payload.
func (s *stream) verify(frame []byte, p passage) error {
	if p == untouched {
		return s.verifySent(frame)
	}
	rest, err := s.verifyEthernet(frame)
	if err != nil {
		return err
	}
	if p == routing || s.direction == Up {
		_, err := s.verifyInner(rest, sentTTL-1)
		return err
	}
	return s.verifyTunnelled(rest)
}

func (s *stream) verifyEthernet(frame []byte) ([]byte, error) {
	if len(frame) < etherLen {
		return nil, fmt.Errorf("frame of %d bytes", len(frame))
	}
	want := append(bytes.Clone(s.to.near.mac), s.to.far.mac...)
	want = append(want, 0x08, 0x00)
	if !bytes.Equal(frame[:etherLen], want) {
		return nil, fmt.Errorf("link header % x, want % x", frame[:etherLen], want)
	}
	return frame[etherLen:], nil
}

// verifySent expects the frame as the generator made it.
func (s *stream) verifySent(frame []byte) error {
	l := s.layout()
	if len(frame) != len(l.frame) {
		return fmt.Errorf("frame of %d bytes, want %d", len(frame), len(l.frame))
	}
	session, err := s.verifyInner(frame[l.inner:], sentTTL)
	if err != nil {
		return err
	}
	if l.call > 0 {
		binary.BigEndian.PutUint16(l.frame[l.call:], session.TunnelID)
		binary.BigEndian.PutUint16(l.frame[l.call+2:], session.SessionID)
	}
	if !bytes.Equal(frame[:l.inner], l.frame[:l.inner]) {
		return fmt.Errorf("headers % x, want % x", frame[:l.inner], l.frame[:l.inner])
	}
	return nil
}

// verifyInner expects the subscriber's packet and nothing behind it.
func (s *stream) verifyInner(p []byte, ttl byte) (*Session, error) {
	if len(p) != s.size {
		return nil, fmt.Errorf("inner packet of %d bytes, want %d", len(p), s.size)
	}
	stamp := p[ipLen+udpLen:]
	index := binary.NativeEndian.Uint32(stamp)
	if int(index) >= len(s.table.sessions) {
		return nil, fmt.Errorf("packet of session %d of %d", index, len(s.table.sessions))
	}
	session := &s.table.sessions[index]
	src, dst := session.Address, Server.As4()
	if s.direction == Down {
		src, dst = dst, src
	}
	want := appendIP(nil, s.size, src, dst, false)
	want[8] = ttl
	binary.NativeEndian.PutUint16(want[10:], ^fold(sum(want)))
	if !bytes.Equal(p[:ipLen], want) {
		return nil, fmt.Errorf("inner IPv4 header % x, want % x", p[:ipLen], want)
	}
	if err := verifyUDP(p, Port, true); err != nil {
		return nil, fmt.Errorf("inner %w", err)
	}
	for i, b := range stamp[stampLen:] {
		if b != payloadByte(i+stampLen) {
			return nil, fmt.Errorf("payload byte %d is %#x", i+stampLen, b)
		}
	}
	return session, nil
}

// verifyUDP checks the datagram behind a header without options.
func verifyUDP(ip []byte, port uint16, checksum bool) error {
	udp := ip[ipLen:]
	if a, b := binary.BigEndian.Uint16(udp), binary.BigEndian.Uint16(udp[2:]); a != port || b != port {
		return fmt.Errorf("UDP ports %d and %d, want %d", a, b, port)
	}
	if n := binary.BigEndian.Uint16(udp[4:]); int(n) != len(udp) {
		return fmt.Errorf("UDP length %d, want %d", n, len(udp))
	}
	if none := udp[6]|udp[7] == 0; none && !checksum {
		return nil
	}
	if fold(pseudoSum(ip, len(udp))+sum(udp)) != 0xFFFF {
		return errors.New("UDP checksum is wrong")
	}
	return nil
}

// verifyTunnelled expects an L2TP data message (RFC 2661 section 3.1) to the LAC, in
// any framing, with the subscriber's packet in it.
func (s *stream) verifyTunnelled(p []byte) error {
	if len(p) < ipLen+udpLen+6+1+s.size {
		return fmt.Errorf("outer packet of %d bytes", len(p))
	}
	src, dst := netlab.LNSAddr.As4(), netlab.LACAddr.As4()
	switch {
	case p[0] != 0x45 || p[9] != 17 || int(binary.BigEndian.Uint16(p[2:])) != len(p) || p[8] == 0:
		return fmt.Errorf("outer IPv4 header % x", p[:ipLen])
	case !bytes.Equal(p[12:16], src[:]) || !bytes.Equal(p[16:20], dst[:]):
		return fmt.Errorf("outer addresses %v to %v", p[12:16], p[16:20])
	case fold(sum(p[:ipLen])) != 0xFFFF:
		return errors.New("outer IPv4 checksum is wrong")
	}
	if err := verifyUDP(p, l2tpPort, false); err != nil {
		return fmt.Errorf("outer %w", err)
	}
	tunnelID, sessionID, packet, err := parseL2TP(p[ipLen+udpLen:])
	if err != nil {
		return err
	}
	session, err := s.verifyInner(packet, sentTTL-1)
	if err != nil {
		return err
	}
	if tunnelID != session.PeerTunnelID || sessionID != session.PeerSessionID {
		return fmt.Errorf("ids %d/%d, want %d/%d", tunnelID, sessionID, session.PeerTunnelID, session.PeerSessionID)
	}
	return nil
}

// parseL2TP reads an L2TP data message that holds an IPv4 packet. There is no
// padding between virtual devices, so Length must be exact.
func parseL2TP(b []byte) (tunnelID, sessionID uint16, packet []byte, err error) {
	const length = 0x40
	if b[0]&^length != 0 || b[1] != 2 {
		return 0, 0, nil, fmt.Errorf("L2TP flags % x", b[:2])
	}
	at := 2
	if b[0]&length != 0 {
		if n := binary.BigEndian.Uint16(b[at:]); int(n) != len(b) {
			return 0, 0, nil, fmt.Errorf("L2TP length %d, want %d", n, len(b))
		}
		at += 2
	}
	tunnelID, sessionID = binary.BigEndian.Uint16(b[at:]), binary.BigEndian.Uint16(b[at+2:])
	ppp := bytes.TrimPrefix(b[at+4:], []byte{0xFF, 0x03})
	for _, protocol := range [][]byte{{0x00, 0x21}, {0x21}} {
		if packet, ok := bytes.CutPrefix(ppp, protocol); ok {
			return tunnelID, sessionID, packet, nil
		}
	}
	return 0, 0, nil, fmt.Errorf("PPP frame begins % x", ppp[:4])
}
