package session

import "testing"

// The bits are those of OpenL2TP's manual; names, numbers and sums of both are read.
func TestTraceMasks(t *testing.T) {
	for name, bit := range map[string]TraceMask{
		"PROTOCOL": 1, "FSM": 2, "API": 4, "AVP": 8, "AVP_HIDE": 16, "AVP_DATA": 32, "FUNC": 64, "XPRT": 128, "DATA": 256,
		"SYSTEM": 512, "PPP": 1024,
	} {
		if m, err := ParseTraceMask(name); err != nil || m != bit {
			t.Errorf("%s is %d (%v), want %d", name, m, err, bit)
		}
	}
	if len(TraceCategories()) != 11 {
		t.Errorf("categories %v", TraceCategories())
	}
	for text, want := range map[string]TraceMask{
		"2047": TraceAll, "all": TraceAll, "ctl,fsm": 3, "0x400": TracePPP, "3,ppp": 1027, " avp.hidden , avp_data": 48, "none": 0, "avp-hide": 16,
	} {
		if m, err := ParseTraceMask(text); err != nil || m != want {
			t.Errorf("%q is %d (%v), want %d", text, m, err, want)
		}
		back, err := ParseTraceMask(want.String())
		if err != nil || back != want {
			t.Errorf("%v is read back as %v (%v)", want, back, err)
		}
	}
	for _, bad := range []string{"", "2048", "-1", "ppp,", "lcp", "1e3"} {
		if m, err := ParseTraceMask(bad); err == nil {
			t.Errorf("%q is taken as %d", bad, m)
		}
	}
}

// Each kind of target matches what it names and nothing else.
func TestTraceTargets(t *testing.T) {
	of := func(f func(*TraceSubject)) *TraceSubject {
		s := &TraceSubject{Ref: Ref{TunnelID: 1, SessionID: 2}, Slot: 3, User: "u", Calling: "c"}
		f(s)
		return s
	}
	same := of(func(*TraceSubject) {})
	for _, c := range []struct {
		target TraceTarget
		other  *TraceSubject
	}{
		{TraceTarget{Slot: 3}, of(func(s *TraceSubject) { s.Slot = 4 })},
		{TraceTarget{Tunnel: 1}, of(func(s *TraceSubject) { s.TunnelID = 4 })},
		{TraceTarget{User: "u"}, of(func(s *TraceSubject) { s.User = "U" })},
		{TraceTarget{Calling: "c"}, of(func(s *TraceSubject) { s.Calling = "" })},
		{TraceTarget{}, same},
	} {
		if c.target.Valid() && !c.target.Matches(same) {
			t.Errorf("%v does not match its own", c.target)
		}
		if c.target.Matches(c.other) {
			t.Errorf("%v matches %+v", c.target, c.other)
		}
	}
}

// A mask that is read is written so that it is read again.
func FuzzTraceMask(f *testing.F) {
	for _, s := range []string{"protocol,fsm", "2047", "0x7ff", "avp.data,PPP", "all", "none", "", ",", "1,2,4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseTraceMask(s)
		if err != nil {
			return
		}
		if again, err := ParseTraceMask(m.String()); err != nil || again != m || m&^TraceAll != 0 {
			t.Errorf("%q is %v, which is %v (%v)", s, m, again, err)
		}
	})
}
