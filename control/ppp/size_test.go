package ppp

import (
	"runtime"
	"testing"
	"time"
	"unsafe"
)

// maxLinkSize bounds a link, in bytes. A load tester has hundreds of thousands.
const maxLinkSize = 320

func TestLinkSize(t *testing.T) {
	size := unsafe.Sizeof(Link{})
	t.Logf("a Link has %d bytes", size)
	if size > maxLinkSize {
		t.Errorf("a Link has %d bytes, want at most %d", size, maxLinkSize)
	}
}

// TestLinkKeepsNothing: in the network phase a link holds no memory but its own,
// whatever its negotiation took.
func TestLinkKeepsNothing(t *testing.T) {
	const links = 2000
	for _, method := range []Auth{PAP, CHAPMD5, MSCHAPv2} {
		lns, client := lnsConfig(method), clientConfig(method)
		kept := make([]*Link, 0, 2*links)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for range links {
			p := newPair(lns, client)
			p.start(nil)
			if p.lns.link.Phase() != "network" || p.client.link.Phase() != "network" {
				t.Fatal("the link is not up")
			}
			kept = append(kept, p.lns.link, p.client.link)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		each := float64(after.HeapAlloc-before.HeapAlloc) / float64(len(kept))
		t.Logf("%v: %.0f bytes for each link", method, each)
		// The test's source of randomness belongs to the link here.
		if each > 500 {
			t.Errorf("%v: %.0f bytes for each link, want at most 500", method, each)
		}
		runtime.KeepAlive(kept)
	}
}

// TestHotPathsDoNotAllocate: echoes either way, user traffic noted, timers asked.
func TestHotPathsDoNotAllocate(t *testing.T) {
	cfg := lnsConfig(PAP)
	cfg.EchoInterval, cfg.EchoFailures = 10*time.Second, 3
	s := networked(t, cfg)
	request := frameOf(ProtoLCP, echoRequest, 1, 1, 2, 3, 4, 0xAA)
	reply := frameOf(ProtoLCP, echoReply, 1, 1, 2, 3, 4)
	bare := append([]byte{0x21}, make([]byte, 40)...)
	now := s.now
	for name, do := range map[string]func(){
		"echo answered": func() { s.link.Receive(now, request, &s.out); s.out.Reset() },
		"echo sent": func() {
			now = s.link.Deadline()
			s.link.Timer(now, &s.out)
			s.link.Receive(now, reply, &s.out)
			s.out.Reset()
		},
		"heard":      func() { s.link.Heard(now) },
		"deadline":   func() { s.link.Deadline() },
		"ParseFrame": func() { ParseFrame(bare) },
	} {
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if s.link.Phase() != "network" {
		t.Errorf("phase %s", s.link.Phase())
	}
}
