package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

// onlooker keeps what it saw.
type onlooker struct {
	off  bool
	seen []session.Tapped
	over []session.Ref
}

func (o *onlooker) Wanted() bool { return !o.off }

func (o *onlooker) Passed(m *session.Tapped) {
	c := *m
	c.Data = slices.Clone(m.Data)
	o.seen = append(o.seen, c)
}

func (o *onlooker) Over(ref session.Ref, _ uint32) { o.over = append(o.over, ref) }

// Both ends' messages of a session are seen from the request for its call to the
// farewell, in their order, and can be told to be its own.
func TestTapSeesSessions(t *testing.T) {
	eye := &onlooker{}
	w := New(t, 1, Options{Network: quick, Tap: eye})
	tun := w.open("198.51.100.1:1701", "lac1")
	c := w.up(tun, "alice")
	ref := w.view("alice").Ref
	w.up(tun, "bob")
	c.Quit()
	w.down(c)
	w.Run(time.Minute)
	w.end(tun)

	var peer uint16
	var types []string
	frames := map[bool]int{}
	named := false
	for _, m := range eye.seen {
		if m.Layer == session.TapPPP {
			if m.Ref == ref {
				frames[m.Sent]++
				named = named || m.User == "alice" && m.Slot != 0
			}
			continue
		}
		h, body, err := l2tp.ParseHeader(m.Data)
		if err != nil {
			t.Fatalf("a control message is not one: %v", err)
		}
		if m.Ref == ref {
			peer = m.PeerSessionID
		}
		if typ, ok := l2tp.PeekType(body); ok && h.SessionID == 0 && !m.Sent && typ == l2tp.ICRQ {
			types = append(types, typ.String())
			if m.PeerSessionID == 0 {
				t.Error("a request for a call tells no id")
			}
		} else if ok && m.Ref == ref {
			types = append(types, typ.String())
		}
	}
	if want := []string{"ICRQ", "ICRP", "ICCN", "ICRQ"}; len(types) < len(want) || !slices.Equal(types[:len(want)], want) {
		t.Errorf("control messages %v, want to begin with %v", types, want)
	}
	if peer == 0 || !named || frames[true] < 5 || frames[false] < 5 {
		t.Errorf("peer's id %d, named %v, frames sent %d, received %d", peer, named, frames[true], frames[false])
	}
	if !slices.Contains(eye.over, ref) {
		t.Error("the session's end was not told")
	}
}

// Nobody is told anything who does not want to know, but the ends of sessions.
func TestTapIsOff(t *testing.T) {
	eye := &onlooker{off: true}
	w := New(t, 1, Options{Network: quick, Tap: eye})
	tun := w.open("198.51.100.1:1701", "lac1")
	w.up(tun, "alice")
	w.end(tun)
	if len(eye.seen) > 0 || len(eye.over) != 1 {
		t.Errorf("%d messages, %d ends", len(eye.seen), len(eye.over))
	}
}
