package maps

import (
	"runtime"
	"sync"
	"testing"

	"github.com/vishvananda/netns"
)

// TestCountersAreExact: two CPUs that serve the same session at once lose no
// packet and no byte, while a third party reads.
func TestCountersAreExact(t *testing.T) {
	w := newWorld(t)
	w.install(t, subscriberSession())
	onLoopback := Port{Ifindex: 1, Device: 1} // where Program.Benchmark takes frames in
	copy(onLoopback.MAC[:], lacMAC)
	w.must(w.m.AddPort(onLoopback))
	const runs = 20000
	frame := uplinkFrame(header{src: server, dst: server}.packet(nil)) // spoofed: repeats unchanged
	var wg sync.WaitGroup
	for cpu := range 2 {
		wg.Go(func() {
			// Never unlocked: the thread ends with the goroutine.
			runtime.LockOSThread()
			if err := netns.Set(w.ns); err != nil {
				t.Error(err)
				return
			}
			for range 20 {
				if _, _, err := w.m.objs.LnsXdp.Benchmark(frame, runs/20, nil); err != nil {
					t.Errorf("worker %d: %v", cpu, err)
				}
				w.run(t, "lac0", uplinkFrame(fromSubscriber(72)))
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	var last uint64
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		u := w.m.Usage(7)
		if u.Up.Packets < last {
			t.Fatalf("the counter went back from %d to %d", last, u.Up.Packets)
		}
		last = u.Up.Packets
	}
	// An interrupted test run is begun again, so the number of runs is told by
	// the counters by reason, which each CPU keeps for itself.
	count := map[string]uint64{}
	for _, tally := range w.snapshot(t).tallies {
		count[tally.Name] = tally.Packets
	}
	if count["drop_source"] < 2*runs || count["sent_up"] < 40 {
		t.Fatalf("only %v ran", count)
	}
	u := w.m.Usage(7)
	if u.Up.Packets != count["sent_up"] || u.Up.Bytes != count["sent_up"]*100 || u.Up.Dropped() != count["drop_source"] {
		t.Errorf("counted %+v, want %d packets of 100 bytes and %d dropped", u.Up, count["sent_up"], count["drop_source"])
	}
}
