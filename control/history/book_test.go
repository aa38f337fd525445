package history

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func notice(kind session.NoticeKind, id uint16, user, detail string) session.Notice {
	n := session.Notice{
		At: start.Add(time.Second), Kind: kind, User: user, LAC: netip.MustParseAddrPort("198.51.100.5:1701"), LACName: "lac-5",
		Detail: detail, Since: start, Took: [session.StageAll]uint32{20_000, 30_000},
	}
	n.Ref, n.Slot = session.Ref{TunnelID: 9, SessionID: id, Serial: uint32(id)}, uint32(id)
	if kind == session.SessionFailed {
		n.Stage = session.StageAuth.String()
	}
	return n
}

// The story of a failure says the stage, the reason, what to check and what led to it.
func TestWhyItFailed(t *testing.T) {
	b := NewBook(10)
	b.Observe(notice(session.LoginFailed, 1, "bob", "user unknown"))
	b.Observe(notice(session.SessionFailed, 1, "bob", "authentication failed"))
	all := b.Stories(Query{User: "bob"})
	if len(all) != 1 {
		t.Fatalf("%d stories", len(all))
	}
	s := all[0]
	if s.State != "failed" || s.Stage != "auth" || s.Reason != "authentication failed" || !strings.Contains(s.Check, "password") {
		t.Errorf("story %+v", s)
	}
	var events []string
	for _, e := range s.Events {
		events = append(events, e.What+" "+e.Detail)
	}
	want := "call from lac-5|call-connected after 20ms|lcp-open after 30ms|login-failed user unknown|session-failed authentication failed"
	if got := strings.Join(events, "|"); got != want {
		t.Errorf("events %s\nwant %s", got, want)
	}
}

// A session's life is one story; its ids, used again, begin another.
func TestALife(t *testing.T) {
	b := NewBook(10)
	for range 2 {
		b.Observe(notice(session.SessionUp, 1, "alice", ""))
		b.Observe(notice(session.SessionChanged, 1, "alice", "throttle"))
		b.Observe(notice(session.SessionDown, 1, "alice", "user terminated the link"))
	}
	b.Observe(notice(session.SessionUp, 2, "carol", ""))
	all := b.Stories(Query{})
	if len(all) != 3 || all[0].State != "ended" || all[1].State != "ended" || all[2].State != "up" {
		t.Fatalf("stories %+v", all)
	}
	if n := len(b.Stories(Query{Slot: 1})); n != 2 {
		t.Errorf("%d stories of session 1", n)
	}
	if n := len(b.Stories(Query{Failed: true})); n != 0 {
		t.Errorf("%d failures", n)
	}
}

// What never became a session is told as well, and a LAC that repeats itself takes the
// place of one.
func TestFailedBeforeItExisted(t *testing.T) {
	b := NewBook(10)
	refused := session.Notice{At: start, Kind: session.TunnelRefused, LAC: netip.MustParseAddrPort("192.0.2.7:1701"), LACName: "who", Stage: "tunnel", Detail: "no policy for this LAC"}
	for range 1000 {
		b.Observe(refused)
	}
	call := session.Notice{At: start, Kind: session.CallRefused, Ref: session.Ref{TunnelID: 9}, Stage: "call", Detail: "server is draining"}
	b.Observe(call)
	down := session.Notice{At: start, Kind: session.TunnelDown, Ref: session.Ref{TunnelID: 8}, Stage: "tunnel", Detail: "tunnel authentication failed"}
	b.Observe(down)
	all := b.Stories(Query{Failed: true})
	if len(all) != 3 || all[0].Repeated != 999 || len(all[0].Events) > maxNotices {
		t.Fatalf("stories %+v", all)
	}
	for _, s := range all {
		if s.State != "failed" || s.Stage == "" || s.Check == "" {
			t.Errorf("story %+v", s)
		}
	}
}

// The book is bounded whatever comes, and good sessions do not drive out failures.
func TestBookIsBounded(t *testing.T) {
	b := NewBook(5)
	b.Observe(notice(session.SessionFailed, 60000, "bob", "pool exhausted"))
	for i := range 1000 {
		id := uint16(i + 1)
		b.Observe(notice(session.SessionUp, id, "u", ""))
		for range 3 * maxNotices {
			b.Observe(notice(session.SessionChanged, id, "u", strings.Repeat("x", 1000)))
		}
		if i%2 == 0 {
			b.Observe(notice(session.SessionDown, id, "u", "gone"))
		}
	}
	if len(b.Stories(Query{User: "bob"})) != 1 {
		t.Error("the failure is gone")
	}
	if b.good.Len() > 5 || len(b.sessions) > 5 {
		t.Errorf("%d stories, %d sessions", b.good.Len(), len(b.sessions))
	}
	for _, s := range b.Stories(Query{User: "u"}) {
		if len(s.Events) > maxNotices+int(session.StageAll)+1 {
			t.Errorf("%d events", len(s.Events))
		}
		if s.Events[0].What != "call" {
			t.Errorf("the beginning is gone: %+v", s.Events[0])
		}
	}
	for i := range 100 {
		n := notice(session.TunnelRefused, 0, "", fmt.Sprint("reason ", i))
		n.Stage = "tunnel"
		b.Observe(n)
	}
	if b.failed.Len() > 5 || len(b.same) > 5 {
		t.Errorf("%d failures, %d keys", b.failed.Len(), len(b.same))
	}
	off := NewBook(0)
	off.Observe(notice(session.SessionUp, 1, "u", ""))
	if len(off.Stories(Query{})) > 0 {
		t.Error("a book without pages has a story")
	}
}

// Every stage has advice, whatever the reason says.
func TestEveryStageHasAdvice(t *testing.T) {
	for _, stage := range []string{"tunnel", "call", "lcp", "auth", "ncp"} {
		if check(stage, "something new") == "" {
			t.Errorf("%s: no advice", stage)
		}
	}
}
