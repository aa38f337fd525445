package lac

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

// wakeup records when it is woken.
type wakeup struct {
	timer
	fired func()
}

func (w *wakeup) expire() { w.fired() }

// Timers fire in order, at their time or before, and never after being stopped.
func TestTimers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ts timers
		var order []time.Duration
		all := make([]*wakeup, 30)
		for i := range all {
			w := &wakeup{}
			w.owns = w
			w.fired = func() { order = append(order, w.at) }
			all[i] = w
		}
		due := make(map[*wakeup]time.Duration)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			w := all[rapid.IntRange(0, len(all)-1).Draw(t, "timer")]
			if rapid.IntRange(0, 4).Draw(t, "stop") == 0 {
				ts.stop(&w.timer)
				delete(due, w)
				continue
			}
			at := time.Duration(rapid.IntRange(1, 1000).Draw(t, "at"))
			ts.wakeBy(&w.timer, at)
			if old, ok := due[w]; !ok || at < old {
				due[w] = at
			}
		}
		var want []time.Duration
		for _, at := range due {
			if at <= 500 {
				want = append(want, at)
			}
		}
		slices.Sort(want)
		ts.run(500)
		if !slices.Equal(order, want) {
			t.Errorf("fired at %v, want %v", order, want)
		}
		if at, ok := ts.next(); ok && at <= 500 {
			t.Errorf("one is left for %v", at)
		}
	})
}

func TestPacer(t *testing.T) {
	p := pacer{rate: 1000}
	permits := 0
	for now := time.Duration(0); now <= time.Second; now += 700 * time.Microsecond {
		p.refill(now)
		for ; p.tokens >= 1; p.tokens-- {
			permits++
		}
	}
	if permits < 990 || permits > 1000 {
		t.Errorf("%d permissions in a second, want 1000", permits)
	}
	// After a stall only a tenth of a second is made up for, and the rest said.
	if lost := p.refill(2 * time.Second); lost < 899 || lost > 901 || int(p.tokens) != 100 {
		t.Errorf("%d lost, %v left", lost, p.tokens)
	}
}

func TestMailbox(t *testing.T) {
	box := newMailbox()
	peer := netip.MustParseAddrPort("192.0.2.1:1701")
	b := []byte("one")
	box.put(nil, peer, b)
	copy(b, "two") // a copy was taken
	box.put(nil, peer, b)
	if len(box.wake) != 1 {
		t.Error("nobody was woken")
	}
	m := box.take(&mail{})
	if len(m.items) != 2 || string(m.data) != "onetwo" || m.items[1].start != 3 {
		t.Errorf("%+v", m)
	}
	big := make([]byte, maxMail/2+1)
	box.put(nil, peer, big)
	box.put(nil, peer, big)
	if box.drops() != 1 {
		t.Errorf("%d dropped", box.drops())
	}
}

// Every header variant is read back by an independent parser.
func TestDataHeaderVariants(t *testing.T) {
	payload := []byte{0x00, 0x21, 1, 2, 3}
	for i := range 16 {
		f := Framing{Length: i&1 != 0, HasOffset: i&4 != 0}
		if i&8 != 0 {
			f.Offset = 7
		}
		b := f.appendHeader(nil, 0x1234, 0x5678, i&2 != 0, 9, len(payload))
		b = append(b, payload...)
		h, body, err := l2tp.ParseHeader(b)
		if err != nil || h.TunnelID != 0x1234 || h.SessionID != 0x5678 || !bytes.Equal(body, payload) {
			t.Errorf("%+v: %+v, % x, %v", f, h, body, err)
		}
		if i&2 != 0 && h.Ns != 9 || (h.Flags&l2tp.FlagLength != 0) != f.Length || (h.Flags&l2tp.FlagOffset != 0) != f.HasOffset {
			t.Errorf("%+v: flags %#x, Ns %d", f, h.Flags, h.Ns)
		}
	}
}

func TestProtocolVariants(t *testing.T) {
	for _, c := range []struct {
		policy    AddressControl
		acfc, pfc bool
		want      string
	}{
		{Auto, false, false, "\xff\x03\x00\x21"}, {Auto, true, false, "\x00\x21"}, {Auto, true, true, "\x21"},
		{Always, true, true, "\xff\x03\x21"}, {Never, false, false, "\x00\x21"},
	} {
		f := Framing{AddressControl: c.policy}
		got := f.appendProtocol(nil, &ppp.Negotiated{ACFC: c.acfc, PFC: c.pfc}, ppp.ProtoIPv4)
		if string(got) != c.want {
			t.Errorf("%+v: % x", c, got)
		}
	}
}

func TestTeardownNames(t *testing.T) {
	for m := ByClient; m <= ByNobody; m++ {
		if back, err := ParseTeardown(m.String()); err != nil || back != m {
			t.Errorf("%v: %v, %v", m, back, err)
		}
	}
	if _, err := ParseTeardown("later"); err == nil {
		t.Error("not refused")
	}
}
