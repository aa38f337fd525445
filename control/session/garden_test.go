package session

import (
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/ppp"
)

// rejected brings the session to the answer of the authenticator, which is no.
func rejected(t *testing.T, garden string) *bench {
	t.Helper()
	b := newBench(t, func(c *Config) { c.RejectGarden = garden })
	b.s.CallUp(b.now, nil, &b.out)
	b.peer.Start(b.now, nil, &b.pout)
	b.settle()
	b.s.Authenticated(b.now, &AuthResult{Verdict: Reject, Message: "unpaid", Cause: "rejected"}, &b.out)
	b.settle()
	return b
}

func TestRejectedIntoTheGarden(t *testing.T) {
	b := rejected(t, "unpaid")
	if len(b.claims) != 1 || b.claims[0].Duplicates != AllowDuplicates {
		t.Fatalf("claims %+v: a wrong password must not end who is up", b.claims)
	}
	b.granted()
	b.want(1, 0, 0, false)
	if s := b.ops[0].Record.Services; s == nil || *s != (Services{Garden: "unpaid"}) {
		t.Fatalf("services %+v", s)
	}
	if !b.up {
		t.Fatal("PPP is not up")
	}
	b.programmed(0, nil, Counters{})
	b.want(1, 0, 0, false) // no account
	b.pass(time.Minute, 100)
	b.garden("")
	b.pass(time.Minute, 7)
	b.hangUp(b.counters)
	b.wantRecords([]AcctRecord{
		record(AcctStart, "id", 0, 0, 0),
		record(AcctStop, "id", time.Minute, 7, CauseLostCarrier),
	})
}

func TestRejectedWithoutAGarden(t *testing.T) {
	b := rejected(t, "")
	if b.up || len(b.claims) != 0 || !b.s.IsEnding() {
		t.Errorf("up %v, claims %v, ending %v", b.up, b.claims, b.s.IsEnding())
	}
}

// A later challenge that is refused as well leaves the subscriber where it is.
func TestRejectedAgain(t *testing.T) {
	b := rejected(t, "unpaid")
	b.granted()
	b.programmed(0, nil, Counters{})
	b.s.askAuth(b.now, &ppp.Credentials{Name: b.s.user, Method: ppp.PAP}, &b.out)
	b.settle()
	b.s.Authenticated(b.now, &AuthResult{Verdict: Reject}, &b.out)
	b.settle()
	if b.s.IsEnding() || len(b.claims) != 1 || !b.up {
		t.Errorf("ending %v, %d claims, up %v", b.s.IsEnding(), len(b.claims), b.up)
	}
}

// Nobody but the server can tell an MS-CHAPv2 client that it is welcome.
func TestNoGardenForMSCHAPv2(t *testing.T) {
	s := &Session{cfg: &Config{RejectGarden: "unpaid"}, method: AuthMSCHAPv2}
	if r := s.instead(&AuthResult{}); r != nil {
		t.Errorf("%+v", r)
	}
}
