package maps

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// throttled returns the movement of what a slot lost by its rate.
func throttled(slot int, dir string) []string {
	return []string{fmt.Sprintf("slot %d throttled %s +1", slot, dir)}
}

// limited installs the subscriber's session with limits.
func limited(up, down Limit) func(*world, *testing.T) {
	return func(w *world, t *testing.T) {
		s := session6()
		s.Up, s.Down = up, down
		w.install(t, s)
	}
}

// throttleCases are sessions that may send nothing yet, and others.
func throttleCases() []testCase {
	none, much := Limit{Bits: 1000}, Limit{Bits: 1e9, Burst: time.Second}
	across, answer := toAnother(header{}, 100), toSubscriber(90)
	return []testCase{
		{name: "what is beyond the rate upwards is dropped", in: uplinkFrame(inner), reason: "drop_throttle",
			slot: throttled(7, "up"), with: limited(none, Limit{})},
		{name: "and downwards", dev: "core0", in: downlinkFrame(answer), reason: "drop_throttle",
			slot: throttled(7, "down"), with: limited(Limit{}, none)},
		{name: "what is within it is sent", in: uplinkFrame(inner), reason: "sent_up", out: toCore(inner),
			slot: counted(7, "up", len(inner)), with: limited(much, none)},
		{name: "the other direction is not held", in: uplinkFrame(inner), reason: "sent_up", out: toCore(inner),
			slot: counted(7, "up", len(inner)), with: limited(Limit{}, none)},
		{name: "what the slow path gets is not judged", in: uplinkFrame(header{src: subscriber, dst: server, protocol: 17, ttl: 1}.packet(nil)),
			reason: "punt_ttl", with: limited(none, none)},
		{name: "a subscriber's rate holds towards another", in: uplinkFrame(across), reason: "drop_throttle",
			slot: throttled(7, "up"), with: func(w *world, t *testing.T) { facing(nil)(w, t); limited(none, Limit{})(w, t) }},
		{name: "and so does the other's", in: uplinkFrame(across), reason: "drop_throttle",
			slot: throttled(8, "down"), with: facing(func(s *Session) { s.Down = none })},
	}
}

func TestThrottle(t *testing.T) {
	w := newWorld(t)
	runCases(t, w, reached{}, throttleCases())
}

// flood sends packets of size bytes, one each step, from the clock's from on until its
// until, and returns the bytes that passed in each of windows equal parts.
func flood(t *testing.T, w *world, dev string, frame []byte, size int, from, until, step time.Duration, windows int) []int {
	t.Helper()
	passed := make([]int, windows)
	for at := from; at < until; at += step {
		w.clock(t, at)
		if verdict, _ := w.run(t, dev, frame); verdict == xdpRedirect {
			passed[int((at-from)*time.Duration(windows)/(until-from))] += size
		}
	}
	return passed
}

// TestThrottleIsExact: over any time there pass the rate and the burst at most, and
// what an overloading flow gets is the rate, at any rate, after any pause and when the
// ticks of the shaper's clock wrap.
func TestThrottleIsExact(t *testing.T) {
	const wrap = time.Duration(1 << 54) // ns at which 64 bits of ticks begin anew
	w := newWorld(t)
	packet := toSubscriber(1372) // 1400 bytes
	for _, rate := range []uint64{64e3, 10e6, 1e9, 100e9} {
		for name, start := range map[string]time.Duration{"early": time.Hour, "wrap": wrap, "twice": 2*wrap - time.Millisecond} {
			t.Run(fmt.Sprintf("%d_%s", rate, name), func(t *testing.T) {
				w.enter(t)
				cost := time.Duration(float64(len(packet)) * 8e9 / float64(rate)) // of a packet
				burst := max(1000*cost, MinBurst)
				if burst > MaxBurst {
					burst = MaxBurst
				}
				s := session6()
				s.Down = Limit{Bits: rate, Burst: burst}
				w.install(t, s)
				span := min(400*cost, 60*time.Second)
				if rate == 100e9 {
					span = 2 * burst // shorter than a packet's worth of bursts
					span = min(span, 20000*cost)
				}
				for _, idle := range []time.Duration{0, 24 * time.Hour} {
					from := start - span/2 + idle
					got := flood(t, w, "core0", downlinkFrame(packet), len(packet), from, from+span, max(cost/3, 1), 4)
					total := 0
					for _, n := range got {
						total += n
					}
					want := float64(rate) / 8 * span.Seconds()
					most := want + float64(rate)/8*burst.Seconds() + float64(len(packet))
					if float64(total) > most {
						t.Errorf("after %v: %d bytes in %v, the rate and the burst are %.0f", idle, total, span, most)
					}
					// The last half has settled: to a packet.
					half := float64(got[2] + got[3])
					if slack := float64(2*len(packet)) + want/2*0.015; half < want/2-slack || half > want/2+slack {
						t.Errorf("after %v: %.0f bytes in %v, want %.0f (quarters %v)", idle, half, span/2, want/2, got)
					}
				}
			})
		}
	}
}

// TestThrottleOnAllCPUs: however many CPUs serve a session, no packet more passes than
// on one.
func TestThrottleOnAllCPUs(t *testing.T) {
	const sent = 4000
	w := newWorld(t)
	packet := toSubscriber(1372)
	s := session6()
	s.Down = Limit{Bits: 10e6, Burst: time.Second}
	w.install(t, s)
	w.clock(t, time.Hour)
	var wg sync.WaitGroup
	var passed atomic.Int64
	for range 4 {
		wg.Go(func() {
			runtime.LockOSThread() // for good: the thread ends with the goroutine
			if err := netns.Set(w.ns); err != nil {
				t.Error(err)
				return
			}
			for range sent {
				if verdict, _ := w.run(t, "core0", downlinkFrame(packet)); verdict == xdpRedirect {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	// At one moment what passes is the credit of an idle session.
	bits := passed.Load() * int64(len(packet)) * 8
	if bits > 10e6/2*1.02 || bits == 0 {
		t.Errorf("%d bits at one moment", bits)
	}
	usage := w.m.Usage(7)
	if int64(usage.Down.Packets) != passed.Load() || usage.Down.Packets+usage.ThrottledDown != 4*sent {
		t.Errorf("%d passed, counted %d, and %d dropped", passed.Load(), usage.Down.Packets, usage.ThrottledDown)
	}
}

// TestThrottleKeepsState: a new rate, or burst, gives nobody a second burst.
func TestThrottleKeepsState(t *testing.T) {
	w := newWorld(t)
	packet := downlinkFrame(toSubscriber(1372))
	s := session6()
	s.Down = Limit{Bits: 10e6, Burst: time.Second}
	w.install(t, s)
	burst := flood(t, w, "core0", packet, 1, time.Hour, time.Hour+5*time.Millisecond, time.Microsecond, 1)[0]
	if burst == 0 {
		t.Fatal("nothing passed")
	}
	s.Down.Bits = 20e6
	w.install(t, s)
	if n := flood(t, w, "core0", packet, 1, time.Hour+5*time.Millisecond, time.Hour+6*time.Millisecond, time.Microsecond, 1)[0]; n > 4 {
		t.Errorf("%d packets at once after a change of rate", n)
	}
	if now := w.m.Usage(7).ThrottledDown; now == 0 {
		t.Error("the count of drops began anew")
	}
}

// TestThrottleLeavesRoom: beside a flow that takes all it can get another one that
// sends little loses nothing.
func TestThrottleLeavesRoom(t *testing.T) {
	w := newWorld(t)
	s := session6()
	s.Down = Limit{Bits: 10e6, Burst: time.Second}
	w.install(t, s)
	greedy := downlinkFrame(toSubscriber(1372))
	ping := downlinkFrame(header{src: server, dst: subscriber, protocol: 1}.packet(data(64)))
	lost := 0
	for i := range 3000 {
		at := time.Hour + time.Duration(i)*time.Millisecond
		w.clock(t, at)
		for range 3 {
			w.run(t, "core0", greedy)
		}
		if i%20 == 0 {
			if verdict, _ := w.run(t, "core0", ping); verdict != xdpRedirect {
				lost++
			}
		}
	}
	if lost > 0 {
		t.Errorf("%d pings of 150 were lost", lost)
	}
}

// TestThrottleMarks: a flow that understands ECN is marked first, and dropped when it
// does not listen.
func TestThrottleMarks(t *testing.T) {
	w := newWorld(t)
	s := session6()
	s.Down = Limit{Bits: 10e6, Burst: time.Second}
	w.install(t, s)
	w.clock(t, time.Hour)
	frame := downlinkFrame(header{src: server, dst: subscriber, protocol: 6, tos: 2}.packet(data(1372)))
	marks, drops := 0, 0
	for range 600 {
		verdict, out := w.run(t, "core0", frame)
		if verdict != xdpRedirect {
			drops++
		} else if inner := out[len(out)-len(frame)+14:]; inner[1]&3 == 3 {
			marks++
			if sum := fold16(inner[:20]); sum != 0xFFFF {
				t.Fatalf("the checksum of a marked packet is wrong: %#x", sum)
			}
		}
	}
	if marks == 0 || drops == 0 {
		t.Errorf("%d marks and %d drops: want marks first, and then drops of who does not listen", marks, drops)
	}
}

func fold16(b []byte) uint32 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum > 0xFFFF {
		sum = sum&0xFFFF + sum>>16
	}
	return sum
}

// packetCases come after a tenth of a second's worth of packets.
func packetCases() []testCase {
	spent := func(w *world, t *testing.T) {
		s := session6()
		s.Policy.Flags |= FlagPacketLimit
		w.install(t, s)
		w.clock(t, time.Hour)
		t.Cleanup(func() { w.clock(t, 0) })
		for range 5 {
			w.run(t, "core0", downlinkFrame(toSubscriber(20)))
		}
	}
	return []testCase{
		{name: "a sixth packet in a tenth of a second is dropped", dev: "core0", in: downlinkFrame(toSubscriber(20)),
			reason: "drop_packets", slot: throttled(7, "down"), with: spent},
		{name: "packets of the subscriber are not counted", in: uplinkFrame(inner), reason: "sent_up", out: toCore(inner),
			slot: counted(7, "up", len(inner)), with: spent},
	}
}

func TestPacketLimit(t *testing.T) {
	w := newWorldWith(t, Config{Sessions: 64, Routes: 16, IPv6: true, PacketLimit: 5})
	runCases(t, w, reached{}, packetCases())
}
