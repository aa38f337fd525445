package perf

import (
	"encoding/binary"
	"fmt"
	"net"
	"testing"

	"github.com/lnsd/lnsd/test/netlab"
)

func testStream(d Direction, tunnelled bool) *stream {
	side := func(last byte) *side {
		mac := func(end byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, last, end} }
		return &side{near: port{mac: mac(1)}, far: port{mac: mac(2)}}
	}
	return &stream{
		direction: d, tunnelled: tunnelled, size: 80, from: side(1), to: side(2),
		table: &table{sessions: MakeSessions(5, 5)},
	}
}

// sent is a frame of session index as the generator makes it.
func (s *stream) sent(index uint32) []byte {
	l := s.layout()
	session := s.table.sessions[index]
	if l.call > 0 {
		binary.BigEndian.PutUint16(l.frame[l.call:], session.TunnelID)
		binary.BigEndian.PutUint16(l.frame[l.call+2:], session.SessionID)
	}
	copy(l.frame[l.addr:], session.Address[:])
	binary.NativeEndian.PutUint32(l.frame[l.stamp:], index)
	binary.NativeEndian.PutUint32(l.frame[l.stamp+4:], 77)
	binary.NativeEndian.PutUint16(l.frame[l.ip:], ^fold(l.ipSum()))
	binary.NativeEndian.PutUint16(l.frame[l.udp:], ^fold(l.udpSum()))
	return l.frame
}

// forwarded is what must become of it.
func (s *stream) forwarded(index uint32, p passage) []byte {
	frame := s.sent(index)
	if p == untouched {
		return frame
	}
	inner := frame[s.layout().inner:]
	inner[8]--
	inner[10], inner[11] = 0, 0
	binary.NativeEndian.PutUint16(inner[10:], ^fold(sum(inner[:ipLen])))
	out := append(append([]byte{}, s.to.near.mac...), s.to.far.mac...)
	out = append(out, 0x08, 0x00)
	if p == tunnelling && s.direction == Down {
		session := s.table.sessions[index]
		out = appendIP(out, outerLen+len(inner), netlab.LNSAddr.As4(), netlab.LACAddr.As4(), true)
		out = appendUDP(out, l2tpPort, outerLen-ipLen+len(inner))
		out = append(out, 0x40, 0x02)
		out = binary.BigEndian.AppendUint16(out, uint16(l2tpLen+pppLen+len(inner)))
		out = binary.BigEndian.AppendUint16(out, session.PeerTunnelID)
		out = binary.BigEndian.AppendUint16(out, session.PeerSessionID)
		out = append(out, 0xFF, 0x03, 0x00, 0x21)
	}
	return append(out, inner...)
}

// The right frame is accepted, and not one with any single bit of it changed, a byte
// less or a byte more: verification looks at everything.
func TestVerificationSeesEveryBit(t *testing.T) {
	for _, c := range []struct {
		name      string
		direction Direction
		tunnelled bool
		passage   passage
	}{
		{"untouched up", Up, true, untouched},
		{"untouched down", Down, false, untouched},
		{"tunnelling up", Up, true, tunnelling},
		{"tunnelling down", Down, false, tunnelling},
		{"routing up", Up, false, routing},
		{"routing down", Down, false, routing},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testStream(c.direction, c.tunnelled)
			frame := s.forwarded(3, c.passage)
			if err := s.verify(frame, c.passage); err != nil {
				t.Fatalf("the right frame: %v", err)
			}
			for bit := range 8 * len(frame) {
				frame[bit/8] ^= 1 << (bit % 8)
				if s.verify(frame, c.passage) == nil {
					t.Errorf("bit %d of byte %d is not looked at", bit%8, bit/8)
				}
				frame[bit/8] ^= 1 << (bit % 8)
			}
			if s.verify(frame[:len(frame)-1], c.passage) == nil || s.verify(append(frame, 0), c.passage) == nil {
				t.Error("the frame's length is not looked at")
			}
		})
	}
}

// A frame of another session is told apart by ids alone.
func TestVerificationKnowsTheSession(t *testing.T) {
	s := testStream(Down, false)
	frame := s.forwarded(3, tunnelling)
	s.table.sessions[3].PeerSessionID++
	if err := s.verify(frame, tunnelling); err == nil {
		t.Error("wrong ids are accepted")
	}
}

func TestSessionsDiffer(t *testing.T) {
	calls, hosts := make(map[string]bool), make(map[[4]byte]bool)
	const n = 100_000
	for _, s := range MakeSessions(n, n) {
		calls[fmt.Sprint(s.TunnelID, s.SessionID)] = true
		hosts[s.Address] = true
		if s.TunnelID == 0 || s.SessionID == 0 {
			t.Fatalf("id 0: %+v", s)
		}
	}
	if len(calls) != n || len(hosts) != n {
		t.Errorf("%d ids and %d addresses for %d sessions", len(calls), len(hosts), n)
	}
}
