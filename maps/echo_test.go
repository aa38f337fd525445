package maps

import (
	"encoding/binary"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

const ownMagic = 0xA1B2C3D4

// echo is an LCP Echo packet with n bytes of data.
func echo(code, id byte, magic uint32, n int) []byte {
	b := binary.BigEndian.AppendUint16([]byte{code, id}, uint16(8+n))
	return append(binary.BigEndian.AppendUint32(b, magic), data(n)...)
}

var (
	longLCP = []byte{0xFF, 0x03, 0xC0, 0x21}
	request = echo(9, 0x42, 0x01020304, 12)
	reply   = append(slices.Clone(longLCP), echo(10, 0x42, ownMagic, 12)...)
)

// echoSession is the subscriber's session with echoes answered.
func echoSession() Session {
	s := subscriberSession()
	s.Policy.Flags |= FlagEcho
	s.Policy.Magic = ownMagic
	return s
}

// answering is the state of the echo cases, changed. Removed first, so that the
// stamp is that of no earlier case.
func answering(change func(s *Session)) func(*world, *testing.T) {
	return func(w *world, t *testing.T) {
		if _, err := w.m.Remove([]uint32{7}); err != nil {
			t.Fatal(err)
		}
		s := echoSession()
		if change != nil {
			change(&s)
		}
		if err := w.m.Install(s); err != nil {
			t.Fatal(err)
		}
	}
}

// lcp is a frame from the peer with an LCP packet.
func lcp(packet []byte) []byte {
	return fromPeer(l2tpData{length: true, offset: -1, ppp: longLCP}.message(packet))
}

func echoCases() []testCase {
	seen := []string{"slot 7 echo seen"}
	answered := carried(echoSession().Policy, reply)
	left := func(name string, packet []byte) testCase {
		return testCase{name: name, in: lcp(packet), reason: "punt_ppp_control", with: answering(nil)}
	}
	short := slices.Clone(request)
	short[3] = 7
	long := slices.Clone(request)
	long[3]++
	big := echo(9, 1, 5, 1452) // of 1460 bytes, the MTU
	return []testCase{
		{name: "an Echo-Request is answered", in: lcp(request), reason: "sent_echo", out: answered, slot: seen, with: answering(nil)},
		{name: "an Echo-Request without data is answered", in: lcp(echo(9, 7, 0, 0)), reason: "sent_echo", slot: seen, with: answering(nil),
			out: carried(echoSession().Policy, append(slices.Clone(longLCP), echo(10, 7, ownMagic, 0)...))},
		{name: "padding behind the packet is not sent back", in: lcp(append(slices.Clone(request), 1, 2, 3)), reason: "sent_echo",
			out: answered, slot: seen, with: answering(nil)},
		{name: "the largest that the peer takes is answered", in: lcp(big), reason: "sent_echo", slot: seen, with: answering(nil),
			out: carried(echoSession().Policy, append(slices.Clone(longLCP), echo(10, 1, ownMagic, 1452)...))},
		{name: "without a magic number the answer has none", in: lcp(echo(9, 1, 0, 4)), reason: "sent_echo", slot: seen,
			with: answering(func(s *Session) { s.Policy.Magic = 0 }),
			out:  carried(echoSession().Policy, append(slices.Clone(longLCP), echo(10, 1, 0, 4)...))},
		left("our own magic number is a loop, the daemon's to count", echo(9, 1, ownMagic, 0)),
		left("a larger one than the peer takes is the daemon's", echo(9, 1, 5, 1453)),
		left("a Length below the header is the daemon's to refuse", short),
		left("a Length beyond the frame is the daemon's to refuse", long),
		left("a packet that is cut short is the daemon's to refuse", request[:7]),
		left("an Echo-Reply is the daemon's", echo(10, 1, 5, 0)),
		left("a Terminate-Request is the daemon's", echo(5, 1, 5, 0)),
		{name: "where it is off the daemon answers", in: lcp(request), reason: "punt_ppp_control",
			with: answering(func(s *Session) { s.Policy.Flags &^= FlagEcho })},
		{name: "code 9 of another protocol is the daemon's", reason: "punt_ppp_control", with: answering(nil),
			in: fromPeer(l2tpData{offset: -1, ppp: []byte{0xFF, 3, 0x80, 0x21}}.message(request))},
		{name: "a stranger's Echo-Request is dropped", in: put16(lcp(request), atUDP, 1), reason: "drop_peer",
			slot: dropped(7, "up", CausePeer), with: answering(nil)},
		{name: "a session being changed does not answer", in: lcp(request), reason: "punt_closed",
			with: func(w *world, t *testing.T) { answering(nil)(w, t); closeSlot(t, w, 7) }},
		{name: "the kernel resolves the way back", in: lcp(request), reason: "punt_no_neigh", with: func(w *world, t *testing.T) {
			answering(nil)(w, t)
			hop := &netlink.Neigh{LinkIndex: w.ifindex("lac0"), IP: net.IP(peer.Addr().AsSlice()), HardwareAddr: peerMAC, State: netlink.NUD_PERMANENT}
			if err := netlink.NeighDel(hop); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { w.addNeigh("lac0", peer.Addr().String(), peerMAC) })
		}},
	}
}

func TestEcho(t *testing.T) {
	w := newWorld(t)
	runCases(t, w, reached{}, echoCases())
}

// TestEchoFraming: however the request is dressed, the answer is framed as LCP
// always is and as the peer wants L2TP.
func TestEchoFraming(t *testing.T) {
	w := newWorld(t)
	for bits := range 4 {
		s := echoSession()
		s.Policy.Flags = FlagEcho | FlagPFC | FlagDontFragment
		if bits&1 != 0 {
			s.Policy.Flags |= FlagLength
		}
		if bits&2 != 0 {
			s.Policy.Flags |= FlagUDPChecksum
		}
		if err := w.m.Install(s); err != nil {
			t.Fatal(err)
		}
		for variant := range 8 {
			for _, offset := range []int{-1, 0, 1, 40} {
				for _, ppp := range [][]byte{longLCP, longLCP[2:]} {
					d := l2tpData{variant&1 != 0, variant&2 != 0, variant&4 != 0, offset, ppp, 9}
					verdict, out := w.run(t, "lac0", fromPeer(d.message(request)))
					if verdict != xdpRedirect {
						t.Fatalf("%+v: verdict %s", d, xdpNames[verdict])
					}
					if compare(t, out, carried(s.Policy, reply)); t.Failed() {
						t.Fatalf("flags %#x, %+v", s.Policy.Flags, d)
					}
				}
			}
		}
	}
}

// TestEchoSeen: each answer moves the stamp, and a new session begins without one.
func TestEchoSeen(t *testing.T) {
	w := newWorld(t)
	answering(nil)(w, t)
	if at := w.m.EchoSeen(7); at != 0 {
		t.Errorf("seen at %d before any request", at)
	}
	w.run(t, "lac0", lcp(request))
	first := w.m.EchoSeen(7)
	time.Sleep(20 * time.Millisecond) // more than a tick
	w.run(t, "lac0", lcp(request))
	if second := w.m.EchoSeen(7); first == 0 || second <= first {
		t.Errorf("seen at %d, then at %d", first, second)
	}
	answering(nil)(w, t)
	if at := w.m.EchoSeen(7); at != 0 {
		t.Errorf("a new session was seen at %d", at)
	}
	if w.m.EchoSeen(0) != 0 || w.m.EchoSeen(65) != 0 {
		t.Error("a slot that is not there was seen")
	}
}
