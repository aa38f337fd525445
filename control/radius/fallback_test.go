package radius

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

func newTestFallback(t *testing.T, cfg Down) *fallback {
	t.Helper()
	f, err := newFallback(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func accepted(p session.Profile) *session.AuthResult {
	return &session.AuthResult{Verdict: session.Accept, Profile: p}
}

func rejected() *session.AuthResult { return &session.AuthResult{Verdict: session.Reject, Cause: "no"} }
func unanswered() *session.AuthResult {
	return &session.AuthResult{Verdict: session.Unavailable, Cause: "silence"}
}
func chapFrom(line string) *session.AuthRequest {
	q := chapRequest("carol", "secret")
	q.Call.CallingNumber, q.Call.LAC = line, netip.MustParseAddrPort("203.0.113.9:1701")
	return q
}

func TestDownDeny(t *testing.T) {
	f := newTestFallback(t, Down{})
	if a, why := f.judge(papRequest(1), unanswered(), start); a.Verdict != session.Unavailable || why != "" || f.denied.Load() != 1 {
		t.Errorf("got %+v %q", a, why)
	}
}

func TestDownGarden(t *testing.T) {
	f := newTestFallback(t, Down{Action: DownGarden, Garden: "lost", Session: time.Minute})
	want := session.Profile{Services: &session.Services{Garden: "lost"}, SessionTimeout: time.Minute, Local: true}
	for _, q := range []*session.AuthRequest{papRequest(1), chapFrom("1")} {
		a, why := f.judge(q, unanswered(), start)
		if a.Verdict != session.Accept || a.Ref != q.Ref || !reflect.DeepEqual(a.Profile, want) || why != "garden" {
			t.Errorf("got %+v %q", a, why)
		}
		if a, _ := f.judge(q, rejected(), start); a.Verdict != session.Reject {
			t.Errorf("a no became %+v", a)
		}
	}
	// An MS-CHAPv2 client would refuse a yes without the server's proof.
	if a, _ := f.judge(mschapRequest(t), unanswered(), start); a.Verdict != session.Unavailable {
		t.Errorf("MS-CHAPv2 got %+v", a)
	}
	if f.gardened.Load() != 2 || f.denied.Load() != 1 {
		t.Errorf("%d gardened, %d denied", f.gardened.Load(), f.denied.Load())
	}
}

// The last good profile is for who has the password, within the grace time.
func TestLastGood(t *testing.T) {
	granted := session.Profile{Address: ip("10.0.0.7"), Services: &session.Services{Up: session.Rate{Bits: 5}}, SessionTimeout: 24 * time.Hour}
	cfg := Down{Action: DownLastGood, Grace: time.Hour, Session: 10 * time.Minute}
	with := func(password string) *session.AuthRequest {
		q := papRequest(1)
		q.Password = []byte(password)
		return q
	}
	f := newTestFallback(t, cfg)
	f.judge(with("right"), accepted(granted), start)
	want := granted
	want.SessionTimeout, want.Local = 10*time.Minute, true
	if a, why := f.judge(with("right"), unanswered(), start.Add(time.Hour)); a.Verdict != session.Accept || !reflect.DeepEqual(a.Profile, want) || why != "last good" {
		t.Errorf("the subscriber got %+v %q", a, why)
	}
	if !reflect.DeepEqual(granted.SessionTimeout, 24*time.Hour) {
		t.Error("the memory was changed")
	}
	for name, q := range map[string]*session.AuthRequest{
		"a wrong password": with("wrong"), "no password": with(""), "another name": papRequest(2),
		"the name by CHAP": {User: "user1", Method: session.AuthCHAP},
	} {
		if a, _ := f.judge(q, unanswered(), start); a.Verdict != session.Unavailable {
			t.Errorf("%s: %+v", name, a)
		}
	}
	// A stranger's wrong password takes nothing away; a no to the right one does.
	f.judge(with("wrong"), rejected(), start)
	if a, _ := f.judge(with("right"), unanswered(), start); a.Verdict != session.Accept {
		t.Error("a wrong password made the server's yes forgotten")
	}
	f.judge(with("right"), rejected(), start)
	if a, _ := f.judge(with("right"), unanswered(), start); a.Verdict != session.Unavailable {
		t.Error("a closed account was let in")
	}
	// A changed password replaces the old one; age ends it.
	f.judge(with("right"), accepted(granted), start)
	f.judge(with("new"), accepted(granted), start)
	if a, _ := f.judge(with("right"), unanswered(), start); a.Verdict != session.Unavailable {
		t.Error("the old password was let in")
	}
	if a, _ := f.judge(with("new"), unanswered(), start.Add(time.Hour+1)); a.Verdict != session.Unavailable || f.good.len() != 0 {
		t.Error("the grace time did not end")
	}
	if f.granted.Load() != 2 {
		t.Errorf("%d granted", f.granted.Load())
	}
}

// What cannot be known again goes into the garden where there is one.
func TestLastGoodElseGarden(t *testing.T) {
	f := newTestFallback(t, Down{Action: DownLastGood, Garden: "lost"})
	if a, why := f.judge(papRequest(1), unanswered(), start); a.Verdict != session.Accept || a.Profile.Services.Garden != "lost" || why != "garden" {
		t.Errorf("got %+v %q", a, why)
	}
}

// A CHAP response cannot be checked without the server: only the line tells, if it is
// trusted.
func TestLastGoodByLine(t *testing.T) {
	for _, trust := range []bool{false, true} {
		f := newTestFallback(t, Down{Action: DownLastGood, TrustLine: trust})
		f.judge(chapFrom("5551234"), accepted(session.Profile{Pool: "p"}), start)
		if a, _ := f.judge(chapFrom("5551234"), unanswered(), start); (a.Verdict == session.Accept) != trust {
			t.Errorf("trust %v: the same line got %+v", trust, a)
		}
		elsewhere := chapFrom("5551234")
		elsewhere.Call.LAC = netip.MustParseAddrPort("203.0.113.10:1701")
		for _, q := range []*session.AuthRequest{chapFrom("5559999"), chapFrom(""), elsewhere} {
			if a, _ := f.judge(q, unanswered(), start); a.Verdict != session.Unavailable {
				t.Errorf("trust %v: another line got %+v", trust, a)
			}
		}
		// No number is no line to be known by.
		f.judge(chapFrom(""), accepted(session.Profile{}), start)
		if a, _ := f.judge(chapFrom(""), unanswered(), start); a.Verdict != session.Unavailable {
			t.Errorf("trust %v: no line got %+v", trust, a)
		}
	}
}

func TestLastGoodIsBounded(t *testing.T) {
	f := newTestFallback(t, Down{Action: DownLastGood, Entries: 100})
	for i := range 1000 {
		f.judge(papRequest(uint32(i)), accepted(session.Profile{}), start)
		f.judge(papRequest(0), accepted(session.Profile{}), start) // seen all the time
	}
	if n := f.good.len(); n != 100 || len(f.good.entries) != 100 {
		t.Errorf("%d entries, %d names", n, len(f.good.entries))
	}
	for i, want := range map[uint32]session.Verdict{0: session.Accept, 999: session.Accept, 500: session.Unavailable} {
		if a, _ := f.judge(papRequest(i), unanswered(), start); a.Verdict != want {
			t.Errorf("user %d: %+v", i, a)
		}
	}
	big := session.Profile{}
	for i := range 20 {
		big.Class = append(big.Class, fmt.Appendf(nil, "%0200d", i))
	}
	f.judge(papRequest(999), accepted(big), start)
	if a, _ := f.judge(papRequest(999), unanswered(), start); a.Verdict != session.Unavailable {
		t.Error("a profile of any size is remembered")
	}
}
