package maps

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
)

// hookOf is a function of the tests' own object.
func hookOf(t testing.TB, function string) *Hook {
	t.Helper()
	object, err := os.ReadFile("testdata/hooks/hooks.o")
	if err != nil {
		t.Fatal(err)
	}
	return &Hook{Object: object, Function: function}
}

// hooked sets hooks of both directions for the length of the test; "" is none.
func hooked(up, down string) func(*world, *testing.T) {
	return func(w *world, t *testing.T) {
		w.install(t, session6())
		for d, function := range []string{up, down} {
			if function == "" {
				continue
			}
			w.must(w.m.SetHook(Direction(d), hookOf(t, function)))
			t.Cleanup(func() { w.must(w.m.SetHook(Direction(d), nil)) })
		}
	}
}

func hookCases() []testCase {
	inner := fromSubscriber(90)
	across := toAnother(header{}, 100)
	return []testCase{
		{name: "what the operator's function refuses is dropped upwards", in: uplinkFrame(inner), reason: "drop_hook",
			slot: dropped(7, "up", CausePolicy), with: hooked("drop", "")},
		{name: "and downwards", dev: "core0", in: downlinkFrame(toSubscriber(90)), reason: "drop_hook",
			slot: dropped(7, "down", CausePolicy), with: hooked("", "drop")},
		{name: "what it lets pass is sent", in: uplinkFrame(inner), reason: "sent_up", out: toCore(inner),
			slot: counted(7, "up", len(inner)), with: hooked("nothing", "drop")},
		{name: "what the slow path gets does not reach it", in: uplinkFrame(header{src: subscriber, dst: server, protocol: 17, ttl: 1}.packet(nil)),
			reason: "punt_ttl", with: hooked("drop", "drop")},
		{name: "a subscriber's function holds towards another", in: uplinkFrame(across), reason: "drop_hook",
			slot: dropped(7, "up", CausePolicy), with: func(w *world, t *testing.T) { facing(nil)(w, t); hooked("drop", "")(w, t) }},
	}
}

func TestHook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	runCases(t, w, reached{}, hookCases())
}

// seen is what the tests' function has counted for a slot.
func (w *world) seen(d Direction, slot uint32) (n uint64) {
	w.t.Helper()
	w.must(w.m.hooks[d].maps["seen"].Lookup(slot, &n))
	return n
}

// TestHookIsReplaced: a hook takes another's place, and the new one goes on with the
// counts of the old; sessions that come later pass it too, and large frames do.
func TestHookIsReplaced(t *testing.T) {
	t.Parallel()
	w := newNetwork(t)
	w.m = open(t, Config{Sessions: 64, Routes: 16, PinPath: bpffs(t)})
	defer func() { w.must(errors.Join(w.m.Close(), Unpin(w.m.cfg.PinPath))) }()
	w.fill()
	s := subscriberSession()
	w.must(w.m.Install(s))
	frame, sent := uplinkFrame(fromSubscriber(90)), uint64(0)
	for i, function := range []string{"count", "count_too", "count", "count_too", "count_too"} {
		w.must(w.m.SetHook(Up, hookOf(t, function)))
		if got := w.m.HookFunction(Up); got != function {
			t.Errorf("the hook is %q", got)
		}
		if i == 1 {
			w.must(w.m.Install(s)) // again
		}
		if i == 2 {
			s.Slot, s.Policy.SessionId, s.Policy.Address = 9, 99, [4]uint8{10, 9, 9, 9}
			w.must(w.m.Install(s))
		}
		w.run(t, "lac0", frame)
		sent++
		if n := w.seen(Up, 7); n != sent {
			t.Fatalf("%s: %d packets counted, want %d", function, n, sent)
		}
	}
	p, err := w.m.forBuffers()
	w.must(err)
	usual := w.m.objs.LnsXdp
	w.m.objs.LnsXdp = p
	w.run(t, "lac0", frame)
	w.m.objs.LnsXdp = usual
	if n := w.seen(Up, 7); n != sent+1 {
		t.Errorf("%d packets counted with the program for large frames, want %d", n, sent+1)
	}
	w.must(w.m.SetHook(Up, nil))
	left, err := filepath.Glob(filepath.Join(w.m.cfg.PinPath, hookPrefix+"*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left pinned: %v, %v", left, err)
	}
}

// TestHookOutlives: a hook stays in force while no process is there, and the next one
// goes on with what it had counted.
func TestHookOutlives(t *testing.T) {
	t.Parallel()
	w := newNetwork(t)
	cfg := Config{Sessions: 64, Routes: 16, PinPath: bpffs(t)}
	w.m = open(t, cfg)
	w.fill()
	w.must(w.m.Install(subscriberSession()))
	w.must(w.m.SetHook(Up, hookOf(t, "count")))
	old, err := w.m.objs.LnsXdp.Clone()
	w.must(err)
	defer old.Close()
	run := func(p *ebpf.Program) {
		t.Helper()
		mine := w.m.objs.LnsXdp
		w.m.objs.LnsXdp = p
		w.run(t, "lac0", uplinkFrame(fromSubscriber(90)))
		w.m.objs.LnsXdp = mine
	}
	run(old)
	w.must(w.m.Close())
	run(old)

	w.m = open(t, cfg)
	w.must(w.m.SetHook(Up, hookOf(t, "count_too")))
	run(old)
	run(w.m.objs.LnsXdp)
	if n := w.seen(Up, 7); n != 4 {
		t.Errorf("%d packets counted, want 4", n)
	}
	w.must(errors.Join(w.m.Close(), Unpin(cfg.PinPath)))
}

func TestHookRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.install(t, subscriberSession())
	w.must(w.m.SetHook(Up, hookOf(t, "count")))
	for name, h := range map[string]*Hook{
		"no ELF file":       {Object: []byte("x")},
		"no such function":  hookOf(t, "none"),
		"one of several":    hookOf(t, ""),
		"reads anywhere":    hookOf(t, "wild"),
		"another prototype": hookOf(t, "other"),
		"moves the packet":  hookOf(t, "mover"),
	} {
		err := w.m.SetHook(Up, h)
		if !errors.Is(err, ErrHook) {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %.200v", name, err)
	}
	w.run(t, "lac0", uplinkFrame(fromSubscriber(90)))
	if n := w.seen(Up, 7); n != 1 {
		t.Errorf("the hook in force counted %d packets", n)
	}
}

// TestHookCountsDNS: the example that operators copy.
func TestHookCountsDNS(t *testing.T) {
	t.Parallel()
	object, err := os.ReadFile("../packaging/examples/bpf-dns-count/dns_count.o")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	s := session6()
	w.install(t, s)
	w.must(w.m.SetHook(Up, &Hook{Object: object}))
	dns := netip.AddrPortFrom(server, 53)
	question := header{src: subscriber, dst: server, protocol: 17}.packet(udp(netip.AddrPortFrom(subscriber, 4000), dns, data(30)))
	other := header{src: subscriber, dst: server, protocol: 17}.packet(udp(dns, netip.AddrPortFrom(server, 54), data(30)))
	fragment := header{src: subscriber, dst: server, protocol: 17, frag: 1}.packet(udp(dns, dns, data(30)))
	for _, packet := range [][]byte{question, other, fragment, question} {
		w.run(t, "lac0", uplinkFrame(packet))
	}
	var n uint64
	w.must(w.m.hooks[Up].maps["dns_questions"].Lookup(uint32(7), &n))
	if n != 2 {
		t.Errorf("%d questions counted, want 2", n)
	}
}

// BenchmarkHook reports ns per packet without a hook, with one that does nothing, and
// with the example; "both" is the mean of up and down.
func BenchmarkHook(b *testing.B) {
	dns, err := os.ReadFile("../packaging/examples/bpf-dns-count/dns_count.o")
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		hook *Hook
	}{{"none", nil}, {"empty", hookOf(b, "nothing")}, {"dns", &Hook{Object: dns}}} {
		b.Run(c.name, func(b *testing.B) {
			w := newBench(b, FlagLength|FlagAddressControl|FlagDontFragment, 0)
			if c.hook != nil {
				for d := range directions {
					w.must(w.m.SetHook(d, c.hook))
				}
			}
			frame := nested(1, 64, second)
			empty, emptyLeast := nsPerRun(b, emptyProgram(b), frame, bothRepeat)
			median, least := nsPerRun(b, w.m.objs.LnsXdp, frame, bothRepeat)
			b.ReportMetric(median-empty, "ns/packet")
			b.ReportMetric(least-emptyLeast, "least-ns/packet")
			b.ReportMetric(0, "ns/op")
		})
	}
}
