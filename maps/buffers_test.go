package maps

import (
	"testing"

	"github.com/vishvananda/netlink"
)

// TestLargeFrames: frames that lie in several buffers are forwarded both ways, whole
// and with a right checksum over all of it.
func TestLargeFrames(t *testing.T) {
	w := newWorld(t)
	s := subscriberSession()
	s.Policy.Mtu = 9000
	w.install(t, s)
	for _, l := range w.link {
		w.must(netlink.LinkSetMTU(l, 9100))
	}
	p, err := w.m.forBuffers()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.m.forBuffers(); again != p || err != nil {
		t.Errorf("another program: %v", err)
	}
	// Whatever this kernel would do with them afterwards.
	if p, err = w.m.loadBuffers(kernelLnsBuffersLNS_BUFFERS_SENT); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	usual := w.m.objs.LnsXdp
	w.m.objs.LnsXdp = p
	defer func() { w.m.objs.LnsXdp = usual }()
	for _, n := range []int{0, 100, 1400, 3000, 3500, 3600, 4000, 4095, 4096, 4097, 5000, 8000, 8191, 8192, 8900} {
		up := fromSubscriber(n)
		testCase{in: uplinkFrame(up), reason: "sent_up", out: toCore(up), slot: counted(7, "up", len(up))}.check(t, w, reached{})
		down := toSubscriber(n)
		testCase{dev: "core0", in: downlinkFrame(down), reason: "sent_down", out: toPeer(s.Policy, down),
			slot: counted(7, "down", len(down))}.check(t, w, reached{})
		if t.Failed() {
			t.Fatalf("%d bytes", n)
		}
	}
}

// leftCases are about kernels that do not redirect such frames.
func leftCases() []testCase {
	large, small := fromSubscriber(8000), fromSubscriber(1000)
	return []testCase{
		{name: "a frame in several buffers is left to the kernel", in: uplinkFrame(large), reason: "punt_buffers"},
		{name: "one in one buffer is forwarded", in: uplinkFrame(small), reason: "sent_up", out: toCore(small), slot: counted(7, "up", len(small))},
	}
}

func TestLargeFramesLeft(t *testing.T) {
	w := newWorld(t)
	p, err := w.m.loadBuffers(kernelLnsBuffersLNS_BUFFERS_LEFT)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	usual := w.m.objs.LnsXdp
	w.m.objs.LnsXdp = p
	defer func() { w.m.objs.LnsXdp = usual }()
	runCases(t, w, reached{}, leftCases())
}
