package dataplane

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"go.uber.org/goleak"

	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/maps"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errFull = fmt.Errorf("test: %w", maps.ErrFull)

// fakeTable holds slots, and may hold up installs.
type fakeTable struct {
	mu       sync.Mutex
	held     map[uint32]maps.Session
	log      []string
	capacity int
	gate     chan struct{}
}

func (f *fakeTable) Install(s maps.Session) error {
	if f.gate != nil {
		<-f.gate
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.held[s.Slot]; !ok && len(f.held) >= f.capacity {
		return errFull
	}
	f.held[s.Slot] = s
	f.log = append(f.log, fmt.Sprint("install ", s.Slot))
	return nil
}

func (f *fakeTable) Remove(slots []uint32) ([]maps.Usage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, fmt.Sprint("remove ", slots))
	usage := make([]maps.Usage, len(slots))
	for i, s := range slots {
		delete(f.held, s)
		usage[i] = f.usage(s)
	}
	return usage, nil
}

func (f *fakeTable) Usage(slot uint32) maps.Usage { return f.usage(slot) }

func (f *fakeTable) SetCapture(slot uint32, on bool) {
	f.log = append(f.log, fmt.Sprintf("capture %d %v", slot, on))
}

func (f *fakeTable) EchoSeen(slot uint32) uint64 { return uint64(slot) * 100 }

func (f *fakeTable) usage(slot uint32) maps.Usage {
	var u maps.Usage
	u.Up.Packets, u.Down.Bytes = uint64(slot), uint64(slot)*10
	u.Up.Drops[maps.CauseSource] = 1
	u.Up.LastSeen = 1
	return u
}

func record(slot uint32) session.Record {
	return session.Record{
		Ref:  session.Ref{TunnelID: 1, SessionID: uint16(slot), Serial: slot},
		Slot: slot, Local: netip.MustParseAddrPort("192.0.2.1:1701"), Peer: netip.MustParseAddrPort("192.0.2.2:40000"),
		PeerTunnelID: 7, PeerSessionID: 8,
		Address: netip.AddrFrom4([4]byte{10, 64, byte(slot >> 8), byte(slot)}), MTU: 1460, ClampMSS: 1420,
	}
}

func add(slot uint32) session.ProgramOp { return session.ProgramOp{Record: record(slot)} }
func drop(slot uint32) session.ProgramOp {
	return session.ProgramOp{Remove: true, Record: record(slot)}
}

// newTestWorker returns a worker and a function that waits for n answers.
func newTestWorker(t *testing.T, f *fakeTable, maxSessions uint32) (*worker, func(n int) []session.Programmed) {
	t.Helper()
	if f.held == nil {
		f.held = map[uint32]maps.Session{}
	}
	ch := make(chan session.Programmed, 10000)
	w := newWorker(&Config{MaxSessions: maxSessions}, f, newClock(), func(a []session.Programmed) {
		for _, p := range a {
			ch <- p
		}
	})
	t.Cleanup(w.close)
	return w, func(n int) []session.Programmed {
		t.Helper()
		var out []session.Programmed
		for range n {
			select {
			case p := <-ch:
				out = append(out, p)
			case <-time.After(time.Minute):
				t.Fatalf("%d answers, want %d", len(out), n)
			}
		}
		return out
	}
}

func TestEachOperationIsAnsweredOnceAndInOrder(t *testing.T) {
	f := &fakeTable{capacity: 100}
	w, answers := newTestWorker(t, f, 100)
	ops := []session.ProgramOp{add(1), add(2), drop(1), add(1), drop(1), drop(2), add(3), drop(9)}
	w.apply(ops)
	got := answers(len(ops))
	for i, a := range got {
		if a.Ref != ops[i].Record.Ref || a.Slot != ops[i].Record.Slot || a.Removed != ops[i].Remove || a.Err != nil {
			t.Errorf("answer %d: %+v to %+v", i, a, ops[i])
		}
	}
	if c := got[2].Final; c.UpPackets != 1 || c.DownBytes != 10 || c.UpDropped != 1 || c.LastSeen.IsZero() {
		t.Errorf("final counters %+v", c)
	}
	if c := got[7].Final; c != (session.Counters{}) {
		t.Errorf("a session that was never there counted %+v", c)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.held) != 1 || f.held[3].Slot != 3 {
		t.Errorf("in the maps: %v", f.held)
	}
}

// Removals wait for packets under way, once for all that came together.
func TestRemovalsShareAWait(t *testing.T) {
	f := &fakeTable{capacity: 100, gate: make(chan struct{})}
	w, answers := newTestWorker(t, f, 100)
	w.apply([]session.ProgramOp{add(1), add(2), add(3)})
	go func() {
		for range 3 {
			f.gate <- struct{}{}
		}
	}()
	answers(3)
	w.apply([]session.ProgramOp{drop(1), drop(2), drop(3)})
	answers(3)
	f.mu.Lock()
	defer f.mu.Unlock()
	if want := "remove [1 2 3]"; !slices.Contains(f.log, want) {
		t.Errorf("%q, want %q among them", f.log, want)
	}
}

func TestFullMapIsAnError(t *testing.T) {
	f := &fakeTable{capacity: 1}
	w, answers := newTestWorker(t, f, 10)
	w.apply([]session.ProgramOp{add(1), add(2)})
	got := answers(2)
	if got[0].Err != nil || !errors.Is(got[1].Err, maps.ErrFull) {
		t.Errorf("%v, %v", got[0].Err, got[1].Err)
	}
	if !w.isInstalled(1) || w.isInstalled(2) {
		t.Error("wrong slots are marked")
	}
}

func TestWhatXDPCantServeIsLeftToTheSlowPath(t *testing.T) {
	f := &fakeTable{capacity: 10}
	w, answers := newTestWorker(t, f, 10)
	none := add(1)
	none.Record.Address = netip.Addr{}
	vrf := add(2)
	vrf.Record.VRF = 7
	v6 := add(3)
	v6.Record.Address = netip.MustParseAddr("2001:db8::1")
	w.apply([]session.ProgramOp{none, vrf, v6})
	for _, a := range answers(3) {
		if a.Err != nil || w.isInstalled(a.Slot) {
			t.Errorf("%+v, installed %v", a, w.isInstalled(a.Slot))
		}
		if c := w.counters(a.Slot); c != (session.Counters{}) {
			t.Errorf("slot %d shows %+v of an earlier session", a.Slot, c)
		}
	}
	// A session that changes into one of those is taken out.
	w.apply([]session.ProgramOp{add(4)})
	answers(1)
	changed := add(4)
	changed.Record.VRF = 7
	w.apply([]session.ProgramOp{changed})
	if a := answers(1)[0]; a.Err != nil || w.isInstalled(4) {
		t.Errorf("%+v, installed %v", a, w.isInstalled(4))
	}
	if len(f.held) != 0 {
		t.Errorf("in the maps: %v", f.held)
	}
}

func TestFullQueueRefusesInstallsOnly(t *testing.T) {
	f := &fakeTable{capacity: 10, gate: make(chan struct{})}
	w, answers := newTestWorker(t, f, 1)
	w.limit = 2
	w.apply([]session.ProgramOp{add(1)})
	// The worker has taken the first when it waits at the gate.
	f.gate <- struct{}{}
	answers(1)
	w.apply([]session.ProgramOp{add(1)})
	for waiting := true; waiting; {
		w.mu.Lock()
		waiting = len(w.queue) > 0
		w.mu.Unlock()
	}
	w.apply([]session.ProgramOp{add(1), add(1), add(1), drop(1)})
	close(f.gate)
	got := answers(5)
	for i, want := range []error{nil, nil, nil, ErrQueueFull, nil} {
		if got[i].Err != want {
			t.Errorf("answer %d: %v, want %v", i, got[i].Err, want)
		}
	}
	if w.refused.Load() != 1 {
		t.Errorf("%d refused", w.refused.Load())
	}
}

func TestCloseAnswersWhatIsQueued(t *testing.T) {
	f := &fakeTable{capacity: 5000}
	w, answers := newTestWorker(t, f, 5000)
	for i := range 3000 {
		w.apply([]session.ProgramOp{add(uint32(i + 1))})
	}
	w.close()
	answers(3000)
}

func TestNullAnswersAtOnce(t *testing.T) {
	var got []session.Programmed
	n := NewNull(func(a []session.Programmed) { got = a })
	n.Apply([]session.ProgramOp{add(1), drop(2)})
	if len(got) != 2 || got[0].Removed || !got[1].Removed || got[1].Slot != 2 || got[1].Final != (session.Counters{}) || got[0].Err != nil {
		t.Errorf("%+v", got)
	}
}

func TestEntry(t *testing.T) {
	cfg := Config{UDPChecksum: true, DontFragment: true}
	r := record(3)
	r.Framing = session.Framing{Length: true, AddressControl: true, CompressProtocol: true}
	r.Routes = []netip.Prefix{netip.MustParsePrefix("172.16.1.9/24"), netip.MustParsePrefix("2001:db8::/32")}
	r.LocalMagic = 0x01020304
	got := cfg.entry(&r)
	want := maps.Policy{
		Flags:    maps.FlagLength | maps.FlagAddressControl | maps.FlagPFC | maps.FlagUDPChecksum | maps.FlagDontFragment | maps.FlagEcho,
		TunnelId: 1, SessionId: 3, PeerTunnelId: 7, PeerSessionId: 8,
		Local: [4]byte{192, 0, 2, 1}, LocalPort: 1701, Peer: [4]byte{192, 0, 2, 2}, PeerPort: 40000,
		Address: [4]byte{10, 64, 0, 3}, Mtu: 1460, ClampMss: 1420, Magic: 0x01020304,
	}
	if got.Slot != 3 || got.Policy != want {
		t.Errorf("%+v, want %+v", got.Policy, want)
	}
	if !slices.Equal(got.Routes, []netip.Prefix{netip.MustParsePrefix("172.16.1.0/24")}) {
		t.Errorf("routes %v", got.Routes)
	}
}

func TestProbeNamesWhatIsMissing(t *testing.T) {
	ok := feature{"something old", "1.0", func() error { return nil }}
	err := probe([]feature{ok, {"map type devmap hash", "5.4", func() error { return ebpf.ErrNotSupported }}})
	if !errors.Is(err, ErrUnsupported) {
		t.Fatal(err)
	}
	if want := "dataplane: the kernel lacks what XDP forwarding needs: map type devmap hash (Linux 5.4)"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	if err := probe([]feature{ok}); err != nil {
		t.Error(err)
	}
}
