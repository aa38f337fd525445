package maps

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
)

// A test run that is repeated goes on with what the last repetition left of the
// packet. So the packets are made such that each repetition does the same work:
//
//   - up: packets nested in each other; what is decapsulated is an uplink packet
//     of the same session again
//   - both: what is decapsulated is addressed to a second subscriber, whose peer
//     seems to be us, so that what is encapsulated is an uplink packet of the
//     first; half of the runs go up, half go down
//
// For that every next hop has the MAC address of the port that all comes in on.
const (
	upRepeat   = 30  // bounded by the frame's length
	bothRepeat = 200 // bounded by the TTL
	passRepeat = 1000
)

var (
	loop   = netip.MustParseAddr("192.0.2.50") // peer, subscriber and next hop
	second = netip.MustParseAddr("192.0.2.51") // the second subscriber
)

// newBench is a world for Program.Benchmark, which takes frames in on the
// loopback device.
func newBench(b *testing.B, flags kernelLnsFlag, rate uint64) *world {
	b.Helper()
	w := newWorld(b)
	lo, err := netlink.LinkByName("lo")
	w.must(err)
	w.must(netlink.LinkSetUp(lo))
	w.must(netlink.LinkSetMTU(w.link["lac0"], 9000))
	port := Port{Ifindex: 1, Device: 1}
	copy(port.MAC[:], lacMAC)
	w.must(w.m.AddPort(port))
	w.must(w.m.AddLocal(netip.AddrPortFrom(loop, local.Port())))
	for _, addr := range []netip.Addr{loop, second} {
		w.addNeigh("lac0", addr.String(), lacMAC)
	}
	s := subscriberSession()
	s.Policy.Flags, s.Policy.Mtu = flags, 3000
	s.Up = Limit{Bits: rate, Burst: time.Second}
	s.Down = s.Up
	s.Policy.Peer, s.Policy.Local, s.Policy.Address = loop.As4(), loop.As4(), loop.As4()
	w.must(w.m.Install(s))
	back := s
	back.Slot, back.Policy.SessionId, back.Policy.Address = 8, 1, second.As4()
	back.Policy.PeerTunnelId, back.Policy.PeerSessionId = s.Policy.TunnelId, s.Policy.SessionId
	back.Policy.LocalPort, back.Policy.PeerPort = s.Policy.PeerPort, s.Policy.LocalPort
	w.must(w.m.Install(back))
	return w
}

// nested is an uplink frame that can be decapsulated n times, with size bytes of
// payload at the end.
func nested(n, size int, last netip.Addr) []byte {
	from, to := netip.AddrPortFrom(loop, peer.Port()), netip.AddrPortFrom(loop, local.Port())
	inner := header{src: loop, dst: last, protocol: 17, ttl: 255}.packet(udp(from, to, data(size)))
	for range n {
		inner = header{src: loop, dst: loop, protocol: 17}.packet(udp(from, to, usualPPP.message(inner)))
	}
	return ether(lacMAC, peerMAC, 0x0800, inner)
}

// nsPerRun is the median, over many batches, of the time that one of repeat runs
// on frame takes, and the least: what else the machine does can only add to it.
func nsPerRun(b *testing.B, p *ebpf.Program, frame []byte, repeat int) (median, least float64) {
	b.Helper()
	times := make([]time.Duration, max(b.N/repeat, 50))
	for i := range times {
		_, d, err := p.Benchmark(frame, repeat, nil)
		if err != nil {
			b.Fatal(err)
		}
		times[i] = d
	}
	slices.Sort(times)
	return float64(times[len(times)/2].Nanoseconds()), float64(times[0].Nanoseconds())
}

// emptyProgram passes every packet: what a test run costs by itself.
func emptyProgram(b *testing.B) *ebpf.Program {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Close() })
	return p
}

// path is one way through the program, taken by every repetition.
type path struct {
	name    string
	flags   kernelLnsFlag
	repeat  int
	frame   []byte
	reasons []string
	rate    uint64 // bit/s each way, 0 for none
}

func paths() []path {
	const usual = FlagLength | FlagAddressControl | FlagDontFragment
	up, both := []string{"sent_up"}, []string{"sent_up", "sent_down"}
	to := func(dst netip.Addr, payload []byte) []byte {
		return ether(lacMAC, peerMAC, 0x0800, header{src: peer.Addr(), dst: dst, protocol: 17}.packet(payload))
	}
	return []path{
		{"up/64", usual, upRepeat, nested(upRepeat, 64, server), up, 0},
		{"up/1400", usual, upRepeat, nested(upRepeat, 1400, server), up, 0},
		{"both/64", usual, bothRepeat, nested(1, 64, second), both, 0},
		{"both/1400", usual, bothRepeat, nested(1, 1400, second), both, 0},
		{"both_checksum/64", usual | FlagUDPChecksum, bothRepeat, nested(1, 64, second), both, 0},
		{"both_checksum/1400", usual | FlagUDPChecksum, bothRepeat, nested(1, 1400, second), both, 0},
		{"throttled_up/64", usual, upRepeat, nested(upRepeat, 64, server), up, 1e12},
		{"throttled_both/64", usual, bothRepeat, nested(1, 64, second), both, 1e12},
		{"drop_peer", usual, passRepeat, to(loop, udp(peer, netip.AddrPortFrom(loop, local.Port()), usualPPP.message(data(64)))), []string{"drop_peer"}, 0},
		{"punt_too_big", usual, passRepeat, to(second, data(3000)), []string{"punt_too_big"}, 0},
		{"pass_not_ours", usual, passRepeat, to(server, data(64)), []string{"pass_not_ours"}, 0},
		{"pass_not_ip", usual, passRepeat, ether(lacMAC, peerMAC, 0x0806, data(46)), []string{"pass_not_ip"}, 0},
	}
}

// BenchmarkProgram reports ns per packet of each path, less those of an empty
// program in the same number of runs; "both" is the mean of up and down.
func BenchmarkProgram(b *testing.B) {
	for _, p := range paths() {
		b.Run(p.name, func(b *testing.B) {
			w := newBench(b, p.flags, p.rate)
			empty, emptyLeast := nsPerRun(b, emptyProgram(b), p.frame, p.repeat)
			before := w.snapshot(b)
			median, least := nsPerRun(b, w.m.objs.LnsXdp, p.frame, p.repeat)
			for i, t := range w.snapshot(b).tallies {
				if t != before.tallies[i] && !slices.Contains(p.reasons, t.Name) {
					b.Fatalf("%d packets ended with %s, want %v only", t.Packets, t.Name, p.reasons)
				}
			}
			b.ReportMetric(median-empty, "ns/packet")
			b.ReportMetric(least-emptyLeast, "least-ns/packet")
			b.ReportMetric(empty, "ns/empty")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkInstall: the time that one session of a thousand takes to be installed.
func BenchmarkInstall(b *testing.B) {
	newNetwork(b)
	const batch = 1000
	m, err := Open(Config{Sessions: batch})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	slots := make([]uint32, batch)
	s := subscriberSession()
	var spent time.Duration
	for b.Loop() {
		start := time.Now()
		for i := range slots {
			slots[i] = uint32(i + 1)
			s.Slot, s.Policy.SessionId, s.Policy.Address = slots[i], uint16(i), [4]uint8{10, 1, byte(i >> 8), byte(i)}
			if err := m.Install(s); err != nil {
				b.Fatal(err)
			}
		}
		spent += time.Since(start)
		if _, err := m.Remove(slots); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N)/batch, "ns/session")
}

// BenchmarkRemove: a batch of one, which is mostly the grace period.
func BenchmarkRemove(b *testing.B) {
	newNetwork(b)
	m, err := Open(Config{Sessions: 10})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	for b.Loop() {
		if err := m.Install(subscriberSession()); err != nil {
			b.Fatal(err)
		}
		if _, err := m.Remove([]uint32{7}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUsage: the counters of one session, read from shared memory.
func BenchmarkUsage(b *testing.B) {
	newNetwork(b)
	m, err := Open(Config{Sessions: 1000})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	b.ReportAllocs()
	var sum uint64
	for b.Loop() {
		u := m.Usage(7)
		sum += u.Up.Bytes
	}
	_ = sum
}

// BenchmarkThrottle: what a packet of a throttled session that is within its rate costs
// more than one of the same session without a limit. Turns of each alternate, so that
// what else the machine does hits both alike; and since the first packets of a turn find
// cold caches and a new jiffy, a packet's cost is what a longer turn takes more.
func BenchmarkThrottle(b *testing.B) {
	const usual = FlagLength | FlagAddressControl | FlagDontFragment
	for _, size := range []int{64, 1400} {
		b.Run(fmt.Sprintf("both/%d", size), func(b *testing.B) {
			w, frame := newBench(b, usual, 0), nested(1, size, second)
			turns := [...]int{bothRepeat / 4, bothRepeat}
			var times [2][len(turns)][]float64
			for range min(max(b.N/bothRepeat, 20), 200) {
				for i, rate := range [...]uint64{0, 1e12} {
					w.limit(rate)
					for j, n := range turns {
						_, d, err := w.m.objs.LnsXdp.Benchmark(frame, n, nil)
						if err != nil {
							b.Fatal(err)
						}
						times[i][j] = append(times[i][j], float64(d.Nanoseconds())*float64(n))
					}
				}
			}
			cost := func(t [len(turns)][]float64, share int) float64 {
				for j := range t {
					slices.Sort(t[j])
				}
				of := func(j int) float64 { return t[j][len(t[j])*share/100] }
				return (of(1) - of(0)) / float64(turns[1]-turns[0])
			}
			free, held := cost(times[0], 50), cost(times[1], 50)
			b.ReportMetric(free, "ns/free")
			b.ReportMetric(held, "ns/throttled")
			b.ReportMetric(held-free, "ns/more")
			b.ReportMetric(cost(times[1], 10)-cost(times[0], 10), "ns/more-10th-percentile")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// limit gives both sessions of newBench a rate, 0 for none.
func (w *world) limit(rate uint64) {
	for _, slot := range []uint32{7, 8} {
		w.m.setLimits(slot, [2]Limit{{Bits: rate, Burst: time.Second}, {Bits: rate, Burst: time.Second}})
		flags := w.m.sessions.values[slot].Flags &^ (flagThrottleUp | flagThrottleDown)
		if rate > 0 {
			flags |= flagThrottleUp | flagThrottleDown
		}
		w.m.setFlags(slot, flags)
	}
}
