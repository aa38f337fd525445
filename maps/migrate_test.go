package maps

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// layout2 is in the test itself, which also runs where the sources are not.
//
//go:embed testdata/layout2.o
var layout2 []byte

// previous is the program of the layout before, kept as it was built, as a daemon
// of its time would have left it: loaded, pinned, attached.
type previous struct {
	*ebpf.Collection
	t *testing.T
}

func loadPrevious(t *testing.T, w *world, cfg Config) *previous {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(layout2))
	if err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]uint32{"lns_calls": cfg.Sessions, "lns_hosts": cfg.Sessions,
		"lns_routes": cfg.Routes, "lns_sessions": cfg.Sessions + 1, "lns_counters": cfg.Sessions + 1,
		"lns_lines": cfg.Sessions + 1} {
		spec.Maps[name].MaxEntries = size
	}
	for name, m := range spec.Maps {
		if strings.HasPrefix(name, "lns_") {
			m.Pinning = ebpf.PinByName
		}
	}
	w.must(unix.Mkdir(cfg.PinPath, 0o700))
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: cfg.PinPath}})
	if err != nil {
		t.Fatal(err)
	}
	p := &previous{c, t}
	p.live(uint32(previousLayout))
	return p
}

// live writes a layout number, the first word of lns_live.
func (p *previous) live(layout uint32) {
	p.t.Helper()
	facts := make([]byte, p.Maps["lns_live"].ValueSize())
	binary.NativeEndian.PutUint32(facts, layout)
	p.put("lns_live", uint32(0), facts)
}

func (p *previous) put(name string, key, value any) {
	p.t.Helper()
	if err := p.Maps[name].Put(key, value); err != nil {
		p.t.Fatal(err)
	}
}

// serve enters a session, our socket and the ports, and attaches the program.
func (p *previous) serve(w *world, s Session, path string) {
	p.t.Helper()
	s.Policy.State = kernelLnsStateLNS_OPEN
	p.put("lns_sessions", s.Slot, &s.Policy)
	call := callOf(&s.Policy)
	host, _ := hostOf(&s.Policy)
	p.put("lns_hosts", &host, s.Slot)
	p.put("lns_calls", &call, s.Slot)
	key, err := localKey(local)
	w.must(err)
	p.put("lns_locals", &key, uint32(1))
	for _, dev := range []string{"lac0", "core0"} {
		where, port, exit, err := w.port(dev).entries()
		w.must(err)
		p.put("lns_ingress", &where, &port)
		p.put("lns_egress", port.Ifindex, &exit)
		for _, end := range []string{dev, dev + "x"} {
			index := w.ifindex(end)
			l, err := link.AttachXDP(link.XDPOptions{Program: p.Programs["lns_xdp"], Interface: index, Flags: link.XDPDriverMode})
			w.must(err)
			w.must(l.Pin(filepath.Join(path, linkName(index, Native))))
			w.must(l.Close())
			p.put("lns_devices", uint32(index), &kernelBpfDevmapVal{Ifindex: uint32(index)})
		}
	}
}

// stream is numbered packets of the subscriber, as long as it is not stopped, and those
// that come to the core, each once.
type stream struct {
	window
	stop chan struct{}
	sent chan int // once
	done chan int // once
}

func (w *world) stream(t *testing.T) *stream {
	t.Helper()
	out, in := w.packetSocket(t, "lac0x"), w.packetSocket(t, "core0x")
	w.must(unix.SetsockoptTimeval(in, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 500_000}))
	s := &stream{stop: make(chan struct{}), sent: make(chan int, 1), done: make(chan int, 1)}
	to := &unix.SockaddrLinklayer{Ifindex: w.ifindex("lac0x")}
	go func() {
		defer unix.Close(out)
		s.sent <- s.send(t, out, to)
	}()
	go func() {
		defer unix.Close(in)
		s.done <- s.receive(in)
	}()
	return s
}

func (s *stream) send(t *testing.T, out int, to unix.Sockaddr) (n int) {
	for {
		if !s.room(int64(n)) {
			t.Error("nothing arrives any more")
			return n
		}
		select {
		case <-s.stop:
			return n
		default:
		}
		packet := header{src: subscriber, dst: server, protocol: 253}.packet(binary.BigEndian.AppendUint32(nil, uint32(n)))
		if err := unix.Sendto(out, uplinkFrame(packet), 0, to); err != nil {
			t.Errorf("send: %v", err)
			return n
		}
		n++
	}
}

// receive ends when nothing has come for a while after the last was sent, and for a long
// while when some are missing.
func (s *stream) receive(in int) int {
	seen := map[uint32]bool{}
	buf := make([]byte, 2048)
	for sent, silent := -1, 0; ; {
		n, _, err := unix.Recvfrom(in, buf, 0)
		if err != nil {
			select {
			case sent = <-s.sent:
				s.sent <- sent // for end
			default:
				continue
			}
			if silent++; len(seen) == sent || silent > mostSilence {
				return len(seen)
			}
			continue
		}
		if n != 14+20+4 || buf[14+9] != 253 {
			continue
		}
		if number := binary.BigEndian.Uint32(buf[34:]); !seen[number] {
			seen[number] = true
			s.arrived.Add(1)
		}
	}
}

// end stops the stream and returns how many packets it has sent, and how many have come.
func (s *stream) end() (sent, arrived int) {
	close(s.stop)
	arrived = <-s.done
	return <-s.sent, arrived
}

// attachAll attaches to both ends of both links, for a veth takes redirected frames
// only where its other end reads by NAPI.
func (w *world) attachAll(t *testing.T) {
	t.Helper()
	for _, dev := range []string{"lac0", "core0"} {
		for _, end := range []string{dev, dev + "x"} {
			if _, err := w.m.Attach(w.ifindex(end)); err != nil {
				t.Fatal(err)
			}
		}
		w.must(w.m.AddPort(w.port(dev)))
	}
}

// TestHotReplace: while packets flow one process after the other takes over, each
// with a program of its own, and every packet is forwarded and counted once.
func TestHotReplace(t *testing.T) {
	w := newNetwork(t)
	cfg := Config{Sessions: 64, Routes: 16, PinPath: bpffs(t)}
	w.m = open(t, cfg)
	w.must(w.m.Install(subscriberSession()))
	w.must(w.m.AddLocal(local))
	w.attachAll(t)
	s := w.stream(t)
	for range 5 {
		s.flow(500)
		w.must(w.m.Close())
		w.m = open(t, cfg)
		w.attachAll(t)
	}
	s.flow(500)
	sent, arrived := s.end()
	if arrived != sent || sent < 1000 {
		t.Errorf("%d packets of %d have arrived", arrived, sent)
	}
	if u := w.m.Usage(7); u.Up.Packets != uint64(sent) || u.Up.Bytes != uint64(sent)*24 || u.Up.Dropped() != 0 {
		t.Errorf("%d packets sent, counted %+v", sent, u.Up)
	}
	w.must(w.m.Close())
	w.must(Unpin(cfg.PinPath))
}

// TestMigrate: the maps and the program of the layout before are gone on from, while
// packets flow and without losing one.
func TestMigrate(t *testing.T) {
	w := newNetwork(t)
	cfg := Config{Sessions: 64, Routes: 16, PinPath: bpffs(t)}
	old := loadPrevious(t, w, cfg)
	session := subscriberSession()
	old.serve(w, session, cfg.PinPath)
	old.Close() // the daemon has ended

	s := w.stream(t)
	s.flow(500)
	w.m = open(t, cfg)
	if !w.m.Reused() {
		t.Error("nothing is said to be reused")
	}
	s.flow(500) // the old program still works
	w.attachAll(t)
	s.flow(500)
	sent, arrived := s.end()
	if arrived != sent || sent < 500 {
		t.Errorf("%d packets of %d have arrived", arrived, sent)
	}
	if u := w.m.Usage(7); u.Up.Packets != uint64(sent) {
		t.Errorf("%d packets sent, counted %+v", sent, u.Up)
	}
	w.expect(t, session)
	if layout, err := pinnedLayout(cfg.PinPath); err != nil || layout != kernelLnsLayoutLNS_LAYOUT {
		t.Errorf("layout %d, %v", layout, err)
	}
	// The record has no magic number to answer with.
	w.wire(t, "core0x", "lac0x", downlinkFrame(toSubscriber(9)), toPeer(session.Policy, toSubscriber(9)))
	verdict, _ := w.run(t, "lac0", lcp(request))
	if verdict != xdpPass {
		t.Errorf("an echo of an old session: %s", xdpNames[verdict])
	}
	w.must(w.m.Close())
	w.must(Unpin(cfg.PinPath))
}

// TestMigrationRefused: a layout that can't be gone on from is told, with what to do,
// and what is pinned is left alone.
func TestMigrationRefused(t *testing.T) {
	w := newNetwork(t)
	cfg := Config{Sessions: 64, Routes: 16, PinPath: bpffs(t)}
	old := loadPrevious(t, w, cfg)
	defer old.Close()
	for _, layout := range []uint32{uint32(kernelLnsLayoutLNS_LAYOUT) + 1, 77} {
		old.live(layout)
		_, err := Open(cfg)
		if !errors.Is(err, ErrIncompatible) || !strings.Contains(err.Error(), "--cleanup") {
			t.Errorf("layout %d: %v", layout, err)
		}
		if at, err := pinnedLayout(cfg.PinPath); err != nil || uint32(at) != layout {
			t.Errorf("then it is %d, %v", at, err)
		}
	}
}
