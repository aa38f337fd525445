package maps

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// bpffs mounts a BPF file system for the length of the test and returns a path
// in it.
func bpffs(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a BPF file system needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		t.Fatalf("mount a BPF file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "lns")
}

func open(t *testing.T, cfg Config) *Maps {
	t.Helper()
	m, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestReopen: sessions, counters and routes are found again by the next process.
func TestReopen(t *testing.T) {
	t.Parallel()
	w := newNetwork(t)
	cfg := Config{Sessions: 64, Routes: 16, PinPath: bpffs(t)}
	w.m = open(t, cfg)
	if w.m.Reused() {
		t.Error("new maps are said to be reused")
	}
	w.fill()
	s := withRoutes("10.80.0.0/16", "10.81.0.0/24")
	w.must(w.m.Install(s))
	w.run(t, "core0", downlinkFrame(toSubscriber(5)))
	w.must(w.m.Close())

	w.m = open(t, cfg)
	if !w.m.Reused() {
		t.Error("pinned maps are not reused")
	}
	got, ok := w.m.Session(7)
	if !ok || len(got.Routes) != 2 {
		t.Fatalf("found %v %+v", ok, got)
	}
	s.Routes = got.Routes // the trie does not keep their order
	w.expect(t, s)
	if u := w.m.Usage(7); u.Down.Packets != 1 {
		t.Errorf("counters are lost: %+v", u)
	}
	inner := toSubscriber(6)
	testCase{dev: "core0", in: downlinkFrame(inner), reason: "sent_down", out: toPeer(s.Policy, inner), slot: counted(7, "down", 34)}.check(t, w, reached{})
	w.must(w.m.Close())
	w.must(Unpin(cfg.PinPath))
	if _, err := os.Stat(cfg.PinPath); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Unpin: %v", err)
	}
	w.must(Unpin(cfg.PinPath))
}

// TestSweep: what a process that died within Install or Remove left behind is
// cleared away, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	w := newNetwork(t)
	cfg := Config{Sessions: 64, Routes: 16, PinPath: bpffs(t)}
	w.m = open(t, cfg)
	w.must(w.m.Install(another()))
	// Keys entered, state not yet opened.
	half := withRoutes("10.80.0.0/16")
	w.must(w.m.Install(half))
	w.m.setState(half.Slot, kernelLnsStateLNS_CLOSED)
	// Keys of an older session that lead to a slot of a new one, and nowhere.
	w.must(w.m.objs.LnsCalls.Put(&kernelLnsCall{TunnelId: 1, SessionId: 2}, uint32(8)))
	w.must(w.m.objs.LnsHosts.Put(&kernelLnsHost{Addr: [4]uint8{1, 2, 3, 4}}, uint32(8)))
	w.must(w.m.objs.LnsCalls.Put(&kernelLnsCall{TunnelId: 1, SessionId: 3}, uint32(4000)))
	w.must(w.m.Close())

	w.m = open(t, cfg)
	w.expect(t, another())
	w.must(w.m.Close())
}

// TestIncompatible: maps of other sizes or another layout are refused and left
// as they are.
func TestIncompatible(t *testing.T) {
	t.Parallel()
	newNetwork(t)
	path := bpffs(t)
	m := open(t, Config{Sessions: 64, Routes: 16, PinPath: path})
	if _, err := Open(Config{Sessions: 128, Routes: 16, PinPath: path}); !errors.Is(err, ErrIncompatible) {
		t.Errorf("other size: %v, want ErrIncompatible", err)
	}
	facts := kernelLnsFacts{Layout: kernelLnsLayoutLNS_LAYOUT + 1}
	if err := m.objs.LnsLive.Put(uint32(0), &facts); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Sessions: 64, Routes: 16, PinPath: path}); !errors.Is(err, ErrIncompatible) {
		t.Errorf("other layout: %v, want ErrIncompatible", err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	for _, sessions := range []uint32{0, MaxSessions + 1} {
		if _, err := Open(Config{Sessions: sessions}); err == nil {
			t.Errorf("%d sessions were accepted", sessions)
		}
	}
}

// TestNoBPFFileSystem: a path elsewhere is refused with a word on why.
func TestNoBPFFileSystem(t *testing.T) {
	newNetwork(t)
	if _, err := Open(Config{Sessions: 64, PinPath: filepath.Join(t.TempDir(), "lns")}); err == nil {
		t.Error("a path that is in no BPF file system was accepted")
	} else {
		t.Log(err)
	}
}

// TestDump: bpftool shows the fields of what is pinned by name.
func TestDump(t *testing.T) {
	t.Parallel()
	bpftool, err := exec.LookPath("bpftool")
	if err != nil {
		t.Skip("bpftool is not installed")
	}
	w := newNetwork(t)
	cfg := Config{Sessions: 64, Routes: 16, PinPath: bpffs(t)}
	w.m = open(t, cfg)
	defer w.m.Close()
	w.fill()
	w.must(w.m.Install(withRoutes("10.80.0.0/16")))
	for name, words := range map[string][]string{
		"lns_uplinks":   {"tunnel_id", "session_id", "4660", "packets", "last_seen"},
		"lns_downlinks": {"address", "mtu", "clamp_mss"},
		"lns_routes":    {"prefixlen", "addr"},
		"lns_sessions":  {"peer_tunnel_id", "mtu", "clamp_mss", "LNS_OPEN"},
		"lns_counters":  {"up", "down", "drops"},
		"lns_reasons":   {"packets", "bytes"},
		"lns_locals":    {"addr", "port", "1701"},
		"lns_ingress":   {"device", "vlan", "ifindex", "mac"},
		"lns_egress":    {"device", "tags"},
		"lns_live":      {"LNS_LAYOUT", "routes"},
	} {
		out, err := exec.Command(bpftool, "map", "dump", "pinned", filepath.Join(cfg.PinPath, name)).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
			continue
		}
		for _, word := range words {
			if !bytes.Contains(out, []byte(word)) {
				t.Errorf("%s: the dump does not show %q:\n%.400s", name, word, out)
			}
		}
	}
}

// TestAttach: the program hangs on a device across processes, is replaced while
// it does, and forwards real frames, all of which are counted.
func TestAttach(t *testing.T) {
	w := newNetwork(t)
	cfg := Config{Sessions: 64, Routes: 16, PinPath: bpffs(t)}
	w.m = open(t, cfg)
	s := subscriberSession()
	w.must(w.m.Install(s))
	w.must(w.m.AddLocal(local))
	attach := func() {
		t.Helper()
		for _, dev := range []string{"lac0", "core0"} {
			// A veth takes redirected frames only if its other end reads
			// by NAPI, which the program being attached there does too.
			for _, end := range []string{dev, dev + "x"} {
				at, err := w.m.Attach(w.ifindex(end))
				w.must(err)
				if at.Mode != Native {
					t.Errorf("%s: %v mode: %v", end, at.Mode, at.WhyGeneric)
				}
			}
			w.must(w.m.AddPort(w.port(dev)))
		}
	}
	traffic := func(n int) {
		t.Helper()
		w.wire(t, "lac0x", "core0x", uplinkFrame(fromSubscriber(n)), toCore(fromSubscriber(n)))
		w.wire(t, "core0x", "lac0x", downlinkFrame(toSubscriber(n)), toPeer(s.Policy, toSubscriber(n)))
	}
	attach()
	traffic(60)
	w.must(w.m.Close())
	traffic(61) // with nobody there

	w.m = open(t, cfg)
	attach()
	traffic(62)
	list, err := w.m.Attached()
	w.must(err)
	if len(list) != 4 {
		t.Errorf("attached: %+v, want 4 devices", list)
	}
	u := w.m.Usage(7)
	if want := uint64(3*28 + 60 + 61 + 62); u.Up.Packets != 3 || u.Down.Packets != 3 || u.Up.Bytes != want || u.Down.Bytes != want {
		t.Errorf("counted %+v, want 3 packets of %d bytes each way", u, want)
	}
	for _, dev := range []string{"lac0", "core0", "core0x"} {
		w.must(w.m.Detach(w.ifindex(dev)))
		w.must(w.m.Detach(w.ifindex(dev)))
	}
	if list, err = w.m.Attached(); err != nil || len(list) != 1 {
		t.Errorf("after Detach: %+v, %v", list, err)
	}
	w.must(w.m.Close())
	w.must(Unpin(cfg.PinPath))
	w.detached(t, "lac0x")
}

// detached waits until no program is on a device: the kernel lets go of a link
// that nobody holds in its own time.
func (w *world) detached(t *testing.T, dev string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		l, err := netlink.LinkByName(dev)
		w.must(err)
		xdp := l.Attrs().Xdp
		if xdp == nil || !xdp.Attached {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: %+v is still there", dev, xdp)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestAttachAgain: once the program is off a device, by whichever way, another
// can be attached at once.
func TestAttachAgain(t *testing.T) {
	w := newNetwork(t)
	cfg := Config{Sessions: 64, PinPath: bpffs(t)}
	dev := w.ifindex("lac0")
	attach := func(m *Maps) {
		t.Helper()
		if at, err := m.Attach(dev); err != nil || at.Mode != Native {
			t.Fatalf("%+v, %v", at, err)
		}
	}
	other := open(t, Config{Sessions: 64})
	defer other.Close()
	for range 4 {
		m := open(t, cfg)
		attach(m)
		w.must(m.Detach(dev)) // of a link that is held
		attach(other)
		w.must(other.Detach(dev))

		attach(m)
		w.must(m.Close())
		m = open(t, cfg)
		w.must(m.Detach(dev)) // of one that is only pinned
		attach(other)
		w.must(other.Detach(dev))

		attach(m)
		w.must(m.Close())
		w.must(Unpin(cfg.PinPath))
		attach(other)
		w.must(other.Detach(dev))
	}
}

// TestAttachGeneric: where the driver refuses, the program runs behind it, and
// the refusal is told.
func TestAttachGeneric(t *testing.T) {
	w := newNetwork(t)
	m := open(t, Config{Sessions: 64})
	defer m.Close()
	at, err := m.Attach(1) // the loopback device has no native mode
	w.must(err)
	if at.Mode != Generic || at.WhyGeneric == nil {
		t.Errorf("attached %+v", at)
	}
	if again, err := m.Attach(1); err != nil || again.Mode != Generic {
		t.Errorf("attached again: %+v, %v", again, err)
	}
	if _, err := m.Attach(9999); err == nil {
		t.Error("attached to a device that is not there")
	}
	if s := fmt.Sprint(Native, Generic, Mode(0)); s != "native generic none" {
		t.Errorf("modes are called %s", s)
	}
}
