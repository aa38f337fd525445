package maps

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// copied is what is to be read of one copy.
type copied struct {
	slot   uint32
	up     bool
	outer  bool
	reason string
	packet []byte
}

// drain reads the copies that are there.
func drain(t *testing.T, r *CopyReader) (list []copied) {
	t.Helper()
	var c Copy
	for {
		if err := r.Read(&c, 0); errors.Is(err, os.ErrDeadlineExceeded) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		if c.Time == 0 || c.TunnelID == 0 {
			t.Errorf("a copy of no time, or of no session: %+v", c)
		}
		list = append(list, copied{c.Slot, c.Up, c.Outer, c.Reason, bytes.Clone(c.Packet)})
	}
}

func wantCopies(t *testing.T, r *CopyReader, want []copied) {
	t.Helper()
	got := drain(t, r)
	if len(got) != len(want) {
		t.Errorf("%d copies, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("copy %d\n got %+v\nwant %+v", i, got[i], want[i])
		}
	}
}

func (w *world) readers(t *testing.T) (intercepted, captured *CopyReader) {
	t.Helper()
	readers := [2]*CopyReader{}
	for i, open := range []func() (*CopyReader, error){w.m.Copies, w.m.Captures} {
		r, err := open()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
		readers[i] = r
	}
	return readers[0], readers[1]
}

// copyCase is a packet of a session that is copied, with what its interception and its
// capture see.
type copyCase struct {
	name      string
	dev       string
	in        []byte
	with      func(*Session)
	intercept []copied
	capture   []copied
}

func copyCases() []copyCase {
	longest := fromSubscriber(1400)
	down := toSubscriber(90)
	up6, down6 := udp6(sub6, server6, 40), udp6(server6, sub6, 41)
	forged := header{src: server, dst: server, protocol: 17}.packet(data(20))
	expired := header{src: subscriber, dst: server, protocol: 17, ttl: 1}.packet(data(20))
	l2tpOf := func(packet []byte) []byte { return uplinkFrame(packet)[14:] }
	one := func(c copied) []copied { return []copied{c} }
	both := func(up bool, packet []byte) ([]copied, []copied) {
		return one(copied{7, up, false, "", packet}), one(copied{7, up, false, "", packet})
	}
	forwarded := func(name, dev string, frame []byte, up bool, packet []byte) copyCase {
		c := copyCase{name: name, dev: dev, in: frame}
		c.intercept, c.capture = both(up, packet)
		return c
	}
	return []copyCase{
		forwarded("what the subscriber sends", "lac0", uplinkFrame(inner), true, inner),
		forwarded("at full length", "lac0", uplinkFrame(longest), true, longest),
		forwarded("what it receives", "core0", downlinkFrame(down), false, down),
		forwarded("IPv6 that it sends", "lac0", uplink6Frame(up6), true, up6),
		forwarded("IPv6 that it receives", "core0", downlink6Frame(down6), false, down6),
		{name: "a rate drops it", dev: "lac0", in: uplinkFrame(inner), with: func(s *Session) { s.Up = Limit{Bits: 1000} },
			capture: one(copied{7, true, false, "drop_throttle", inner})},
		{name: "not its source", dev: "lac0", in: uplinkFrame(forged), capture: one(copied{7, true, true, "drop_source", l2tpOf(forged)})},
		{name: "left to the slow path", dev: "lac0", in: uplinkFrame(expired), capture: one(copied{7, true, true, "punt_ttl", l2tpOf(expired)})},
		{name: "too big", dev: "core0", in: downlinkFrame(toSubscriber(3000)), capture: one(copied{7, false, false, "punt_too_big", toSubscriber(3000)})},
		{name: "PPP's own is the daemon's", dev: "lac0", in: lcp(echo(9, 1, 0, 4))},
	}
}

func TestCopies(t *testing.T) {
	for _, c := range copyCases() {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			intercepted, captured := w.readers(t)
			w.m.SetCaptureBudget(CaptureBudget{Snap: 16000})
			s := session6()
			if c.with != nil {
				c.with(&s)
			}
			w.install(t, s)
			w.run(t, c.dev, c.in)
			wantCopies(t, intercepted, nil)
			wantCopies(t, captured, nil)

			s.Policy.Flags |= FlagIntercept
			w.must(w.m.Install(s))
			w.m.SetCapture(s.Slot, true)
			w.run(t, c.dev, c.in)
			wantCopies(t, intercepted, c.intercept)
			wantCopies(t, captured, c.capture)

			s.Policy.Flags &^= FlagIntercept
			w.must(w.m.Install(s)) // ends the capture as well
			w.run(t, c.dev, c.in)
			wantCopies(t, intercepted, nil)
			wantCopies(t, captured, nil)
		})
	}
}

// A packet from one intercepted subscriber to another is each one's.
func TestCopiesOfBothEnds(t *testing.T) {
	w := newWorld(t)
	intercepted, _ := w.readers(t)
	facing(func(s *Session) { s.Policy.Flags |= FlagIntercept })(w, t)
	s := session6()
	s.Policy.Flags |= FlagIntercept
	w.install(t, s)
	across := toAnother(header{}, 100)
	w.run(t, "lac0", uplinkFrame(across))
	wantCopies(t, intercepted, []copied{{7, true, false, "", across}, {8, false, false, "", across}})
}

// What finds no room in the ring is counted for its session, to the packet.
func TestCopiesLost(t *testing.T) {
	w := newWorld(t)
	intercepted, _ := w.readers(t)
	s := session6()
	s.Policy.Flags |= FlagIntercept
	w.install(t, s)
	const packets = 8 << 20 / 1000
	frame := uplinkFrame(fromSubscriber(1000))
	for range packets {
		w.run(t, "lac0", frame)
	}
	lost := w.m.CopiesLost(s.Slot)
	if got := len(drain(t, intercepted)); lost == 0 || got+int(lost) != packets {
		t.Errorf("%d copies and %d lost of %d", got, lost, packets)
	}
	if _, err := w.m.Remove([]uint32{s.Slot}); err != nil {
		t.Fatal(err)
	}
	w.must(w.m.Install(s))
	if n := w.m.CopiesLost(s.Slot); n != 0 {
		t.Errorf("a new session begins with %d lost", n)
	}

	// As many others have lost some as there are counters: then it goes under slot 0,
	// until one of them is given back.
	w.m.ForgetCopiesLost(s.Slot)
	one, full := uint64(1), error(nil)
	last := s.Slot
	for full == nil {
		last++
		full = w.m.objs.LnsLosses.Update(last, &one, ebpf.UpdateAny)
	}
	for range packets {
		w.run(t, "lac0", frame)
	}
	lost = w.m.CopiesLost(0)
	if got := len(drain(t, intercepted)); lost == 0 || got+int(lost) != packets || w.m.CopiesLost(s.Slot) != 0 {
		t.Errorf("%d copies, %d lost by nobody and %d by the session of %d", got, lost, w.m.CopiesLost(s.Slot), packets)
	}
	w.m.ForgetCopiesLost(last - 1)
	for range packets {
		w.run(t, "lac0", frame)
	}
	if n := w.m.CopiesLost(s.Slot); n == 0 || w.m.CopiesLost(0) != lost {
		t.Errorf("with a counter to be had %d were counted for the session, %d for nobody", n, w.m.CopiesLost(0)-lost)
	}
}

// Captures keep to their rate and length, and say what they left out.
func TestCaptureBudget(t *testing.T) {
	w := newWorld(t)
	_, captured := w.readers(t)
	w.m.SetCaptureBudget(CaptureBudget{Packets: 50, Snap: 60})
	w.install(t, session6())
	w.m.SetCapture(7, true)
	const packets = 5000
	began := time.Now()
	for range packets {
		w.run(t, "lac0", uplinkFrame(inner))
	}
	most := 50 * (2 + int(time.Since(began)/time.Second+1))
	list := drain(t, captured)
	withheld, lost := w.m.CapturesMissed()
	if len(list) < 50 || len(list) > most || len(list)+int(withheld+lost) != packets {
		t.Errorf("%d captured, want 50 to %d; %d withheld, %d lost", len(list), most, withheld, lost)
	}
	for _, c := range list {
		if len(c.packet) != 60 {
			t.Fatalf("%d bytes captured", len(c.packet))
		}
	}
}

// A capture is seen by every packet, and so are LCP echoes, which XDP answers else.
func TestCaptureShowsEchoes(t *testing.T) {
	w := newWorld(t)
	s := session6()
	s.Policy.Flags |= FlagEcho
	w.install(t, s)
	request := lcp(echo(9, 7, 0, 0))
	for _, on := range []bool{false, true, false} {
		w.m.SetCapture(s.Slot, on)
		verdict, _ := w.run(t, "lac0", request)
		if (verdict == xdpPass) != on {
			t.Errorf("capture %v: %s", on, xdpNames[verdict])
		}
	}
}
