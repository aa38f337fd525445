package maps

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"
)

const ourTunnel = 0x1234

// control is a control message of the given type with n more bytes of AVPs; type 0
// is a ZLB.
func control(tunnel, typ uint16, n int) []byte {
	b := []byte{0xC8, 0x02, 0, 0}
	b = binary.BigEndian.AppendUint16(b, tunnel)
	b = append(b, 0, 0, 0, 1, 0, 1)
	if typ != 0 {
		b = append(b, 0x80, 8, 0, 0, 0, 0, byte(typ>>8), byte(typ))
	}
	b = append(b, data(n)...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// spoiled is a control message with one 16-bit word changed.
func spoiled(at int, v uint16) []byte { return fromPeer(put16(control(ourTunnel, 6, 30), at, v)) }

// sentBy is a datagram of another sender.
func sentBy(from string, message []byte) []byte {
	src := netip.MustParseAddrPort(from)
	return ether(lacMAC, peerMAC, 0x0800, header{src: src.Addr(), dst: local.Addr(), protocol: 17}.packet(udp(src, local, message)))
}

// closed lets in the given LACs only.
func closed(prefixes ...string) func(*world, *testing.T) {
	return func(w *world, t *testing.T) {
		var list []netip.Prefix
		for _, p := range prefixes {
			list = append(list, netip.MustParsePrefix(p))
		}
		if err := w.m.AddLACs(list); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := w.m.AllowAll(); err != nil {
				t.Error(err)
			}
		})
	}
}

const (
	stranger = "192.0.2.77:1701"
	sccrq    = 1
	stopCCN  = 4
	hello    = 6
	icrq     = 10
	iccn     = 12
)

// shieldCases are about who may speak to the daemon, and of what.
func shieldCases() []testCase {
	pass := func(name string, frame []byte) testCase {
		return testCase{name: name, in: frame, reason: "punt_control"}
	}
	drop := func(name string, frame []byte, reason string) testCase {
		return testCase{name: name, in: frame, reason: reason}
	}
	list := []testCase{
		pass("a HELLO of a live tunnel", fromPeer(control(ourTunnel, hello, 0))),
		pass("an acknowledgement of a live tunnel", fromPeer(control(ourTunnel, 0, 0))),
		pass("a StopCCN of a live tunnel", fromPeer(control(ourTunnel, stopCCN, 20))),
		pass("a call in a live tunnel", fromPeer(control(ourTunnel, icrq, 20))),
		pass("padding behind Length", fromPeer(append(control(ourTunnel, hello, 0), 1, 2, 3))),
		pass("a message without a type is the daemon's to refuse", spoiled(16, 9)),
		pass("a type too short for an AVP is the daemon's to refuse", fromPeer(control(ourTunnel, 0, 5))),
		pass("the P bit is let through", spoiled(0, 0xC902)),
		pass("an SCCRQ of anybody", sentBy(stranger, control(0, sccrq, 40))),
		pass("a StopCCN of who has not learnt our id", fromPeer(control(0, stopCCN, 20))),
		drop("without L", spoiled(0, 0x8802), "drop_control"),
		drop("without S", spoiled(0, 0xC002), "drop_control"),
		drop("with O", spoiled(0, 0xCA02), "drop_control"),
		drop("a Length below the header", spoiled(2, 11), "drop_control"),
		drop("a Length beyond the datagram", spoiled(2, 51), "drop_control"),
		drop("a header that is cut short", fromPeer(control(ourTunnel, 0, 0)[:11]), "drop_control"),
		drop("a tunnel that is not there", fromPeer(control(ourTunnel+1, hello, 0)), "drop_tunnel"),
		drop("another address than the peer's", sentBy("192.0.2.77:17010", control(ourTunnel, hello, 0)), "drop_tunnel"),
		drop("another port than the peer's", sentBy("192.0.2.2:17011", control(ourTunnel, stopCCN, 0)), "drop_tunnel"),
		drop("a HELLO to tunnel 0", fromPeer(control(0, hello, 0)), "drop_tunnel"),
		drop("an acknowledgement to tunnel 0", fromPeer(control(0, 0, 0)), "drop_tunnel"),
		drop("data of a session that is not installed, by a stranger", sentBy(stranger, put16(message, 6, 0x5679)), "drop_tunnel"),
		drop("data of a tunnel that is not there", fromPeer(put16(message, 4, 0x1235)), "drop_tunnel"),
	}
	only := closed("192.0.2.64/29", "192.0.2.9/32") // the tunnel's peer is none of them
	for _, c := range []testCase{
		pass("an SCCRQ of a LAC in the list", sentBy("192.0.2.71:1", control(0, sccrq, 40))),
		pass("an SCCRQ of another LAC in the list", sentBy("192.0.2.9:1", control(0, sccrq, 40))),
		pass("a tunnel lives on whose LAC is in the list no more", fromPeer(control(ourTunnel, icrq, 0))),
		{name: "and its data does", in: good, reason: "sent_up", out: toCore(inner), slot: up},
		drop("an SCCRQ of who is not in the list", sentBy(stranger, control(0, sccrq, 40)), "drop_lac"),
		drop("a HELLO of who is not in the list", sentBy(stranger, control(ourTunnel, hello, 0)), "drop_lac"),
		drop("data of who is not in the list", sentBy(stranger, put16(message, 6, 0x5679)), "drop_lac"),
		drop("a fragment of who is not in the list", ether(lacMAC, peerMAC, 0x0800,
			header{src: netip.MustParseAddr("192.0.2.77"), dst: local.Addr(), protocol: 17, frag: 0x2000}.packet(udp(peer, local, message))), "drop_lac"),
		{name: "a fragment of a LAC in the list", reason: "punt_fragment", in: ether(lacMAC, peerMAC, 0x0800,
			header{src: netip.MustParseAddr("192.0.2.9"), dst: local.Addr(), protocol: 17, frag: 0x2000}.packet(udp(peer, local, message)))},
		drop("a wrong tunnel of a LAC in the list", sentBy("192.0.2.71:1", control(ourTunnel, hello, 0)), "drop_tunnel"),
	} {
		c.name, c.with = "listed: "+c.name, only
		list = append(list, c)
	}
	return list
}

func TestShield(t *testing.T) {
	w := newWorld(t)
	runCases(t, w, reached{}, shieldCases())
}

// clock sets the gates' clock; 0 is the kernel's.
func (w *world) clock(t testing.TB, at time.Duration) {
	t.Helper()
	facts := w.m.facts
	facts.Now = uint64(at)
	if err := w.m.objs.LnsLive.Put(uint32(0), &facts); err != nil {
		t.Fatal(err)
	}
}

// spent sends a frame until the gate is shut, as n places, at one moment.
func spent(n int, frame []byte) func(*world, *testing.T) {
	return func(w *world, t *testing.T) {
		w.clock(t, time.Hour)
		for i := range n {
			if verdict, _ := w.run(t, "lac0", frame); verdict != xdpPass {
				t.Fatalf("number %d of %d: %s", i, n, xdpNames[verdict])
			}
		}
		t.Cleanup(func() {
			w.clock(t, 0)
			key := kernelLnsSource{Addr: peer.Addr().As4()}
			if err := deleteQuietly(w.m.objs.LnsRates, &key); err != nil {
				t.Error(err)
			}
		})
	}
}

var testRates = Rates{SCCRQ: 3, Call: 10, Control: 20, Setup: 7, PPP: 5}

var (
	newTunnel  = fromPeer(control(0, sccrq, 40))
	newCall    = fromPeer(control(ourTunnel, icrq, 40))
	callUp     = fromPeer(control(ourTunnel, iccn, 40))
	newLCP     = put16(lcp(echo(1, 1, 0, 0)), atL2TP+6, 0x5679)
	newData    = put16(uplinkFrame(inner), atL2TP+6, 0x5679)
	sessionLCP = lcp(echo(5, 1, 0, 0))
)

// rateCases come after each rate's places have been taken, under testRates.
func rateCases() []testCase {
	keep := func(n int, taken []byte, name string, in []byte, reason string) testCase {
		return testCase{name: name, in: in, reason: reason, with: spent(n, taken)}
	}
	list := []testCase{
		keep(3, newTunnel, "a fourth tunnel in a second", newTunnel, "drop_sccrq_rate"),
		keep(3, newTunnel, "another LAC has tunnels of its own", sentBy("192.0.2.9:1701", control(0, sccrq, 40)), "punt_control"),
		keep(3, newTunnel, "calls go on when no more tunnels may come", newCall, "punt_control"),
		keep(10, newCall, "an eleventh call in a second", newCall, "drop_call_rate"),
		keep(10, newCall, "calls that are there go on when no more may come", callUp, "punt_control"),
		keep(20, callUp, "other messages have a rate", callUp, "drop_control_rate"),
		keep(7, newLCP, "an eighth frame of set-up", newLCP, "drop_setup_rate"),
		keep(7, newLCP, "users' packets of other sessions go on", newData, "punt_unknown"),
		keep(7, newLCP, "frames of installed sessions go on", sessionLCP, "punt_ppp_control"),
		keep(5, sessionLCP, "a sixth frame of a session", sessionLCP, "drop_ppp_rate"),
		{name: "echoes are answered at any rate", in: lcp(request), reason: "sent_echo", slot: []string{"slot 7 echo seen"},
			out: carried(echoSession().Policy, reply), with: func(w *world, t *testing.T) {
				answering(nil)(w, t)
				spent(5, sessionLCP)(w, t)
			}},
	}
	for name, protected := range map[string][]byte{"HELLO": control(ourTunnel, hello, 0), "ZLB": control(ourTunnel, 0, 0), "StopCCN": control(ourTunnel, stopCCN, 20)} {
		list = append(list, testCase{name: name + " passes whatever else does not", in: fromPeer(protected), reason: "punt_control",
			with: func(w *world, t *testing.T) {
				spent(20, callUp)(w, t)
				spent(10, newCall)(w, t)
				spent(30, fromPeer(protected))(w, t)
			}})
	}
	return list
}

func TestShieldRates(t *testing.T) {
	w := newWorldWith(t, Config{Sessions: 64, Routes: 16, Rates: testRates})
	runCases(t, w, reached{}, rateCases())
}

// TestGateIsExact: over any time a gate lets through its rate and a second's worth
// besides, to the message, however the messages come and however long it rested.
func TestGateIsExact(t *testing.T) {
	for _, rate := range []uint32{1, 2, 1000, 50} {
		w := newWorldWith(t, Config{Sessions: 64, Rates: Rates{SCCRQ: rate}})
		now := 24 * time.Hour
		flood := func(n int) (passed int) {
			t.Helper()
			w.clock(t, now)
			for range n {
				if verdict, _ := w.run(t, "lac0", newTunnel); verdict == xdpPass {
					passed++
				}
			}
			return passed
		}
		if n := flood(int(rate) + 10); n != int(rate) {
			t.Errorf("rate %d: %d at once", rate, n)
		}
		// Three seconds in steps that are no multiple of the interval.
		passed, start := 0, now
		for now-start < 3*time.Second {
			now = now + 8*time.Millisecond
			passed += flood(10)
		}
		if passed != 3*int(rate) {
			t.Errorf("rate %d: %d in three seconds", rate, passed)
		}
		now += 100 * 24 * time.Hour
		if n := flood(int(rate) + 10); n != int(rate) {
			t.Errorf("rate %d: %d at once after a rest", rate, n)
		}
	}
}

// TestNoRate: 0 is no limit.
func TestNoRate(t *testing.T) {
	w := newWorld(t)
	w.clock(t, time.Hour)
	for range 100 {
		for _, frame := range [][]byte{newTunnel, newCall, callUp, newLCP} {
			if verdict, _ := w.run(t, "lac0", frame); verdict != xdpPass {
				t.Fatalf("%s", xdpNames[verdict])
			}
		}
	}
}

// TestGateUnderContention: two CPUs at one gate get no more than its rate together.
func TestGateUnderContention(t *testing.T) {
	const rate = 5000
	w := newWorldWith(t, Config{Sessions: 64, Rates: Rates{SCCRQ: rate}})
	onLoopback := Port{Ifindex: 1, Device: 1}
	copy(onLoopback.MAC[:], lacMAC)
	w.must(w.m.AddPort(onLoopback))
	w.clock(t, time.Hour)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if _, _, err := w.m.objs.LnsXdp.Benchmark(newTunnel, 4*rate, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, tally := range w.snapshot(t).tallies {
		if tally.Name == "punt_control" && tally.Packets != rate {
			t.Errorf("%d have passed, want %d", tally.Packets, rate)
		}
	}
}

// TestTunnels: a tunnel is known from its first day to its last, and others are not.
func TestTunnels(t *testing.T) {
	w := newWorld(t)
	frame := fromPeer(control(0xFFFF, hello, 0))
	want := func(reason string) {
		t.Helper()
		testCase{in: frame, reason: reason}.check(t, w, reached{})
	}
	want("drop_tunnel")
	w.m.AddTunnel(0xFFFF, netip.AddrPortFrom(netip.AddrFrom16(peer.Addr().As16()), peer.Port())) // mapped into IPv6
	want("punt_control")
	w.m.AddTunnel(0xFFFF, netip.MustParseAddrPort("192.0.2.3:1701"))
	want("drop_tunnel")
	w.m.AddTunnel(0xFFFF, peer)
	w.m.RemoveTunnel(0xFFFF)
	want("drop_tunnel")
	w.m.AddTunnel(0xFFFF, netip.MustParseAddrPort("[2001:db8::1]:1701"))
	want("drop_tunnel")
}

// TestLACsInvalid: only prefixes can be listed.
func TestLACsInvalid(t *testing.T) {
	w := newWorld(t)
	for _, p := range []netip.Prefix{{}, netip.MustParsePrefix("::ffff:192.0.2.0/120")} {
		if err := w.m.AddLACs([]netip.Prefix{p}); err == nil {
			t.Errorf("%v was accepted", p)
		}
	}
	if i := interval(3); i != 333_333_333 || interval(0) != 0 || interval(1) != uint64(time.Second) {
		t.Errorf("intervals: %d %d %d", i, interval(0), interval(1))
	}
}
