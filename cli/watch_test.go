package cli_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/apitest"
	"github.com/lnsd/lnsd/control/session"
)

// someEvents is a log that has two events and no more to come.
type someEvents struct{}

func (someEvents) Epoch() int64 { return 1 }
func (someEvents) Last() uint64 { return 2 }

func (someEvents) Follow(ctx context.Context, after uint64, yield func([]api.Event, uint64) error) error {
	lac := netip.MustParseAddrPort("198.51.100.5:1701")
	at := time.Date(2026, 3, 1, 11, 59, 58, 0, time.UTC)
	all := []api.Event{
		{Sequence: 1, Notice: session.Notice{At: at, Kind: session.TunnelUp, Ref: session.Ref{TunnelID: 4711}, LAC: lac, LACName: "lac-5"}},
		{Sequence: 2, Notice: session.Notice{
			At: at.Add(time.Second), Kind: session.SessionFailed, Ref: session.Ref{TunnelID: 4711, SessionID: 815}, Slot: 3,
			User: "evil\x1b[2Jname", LAC: lac, LACName: "lac-5", AcctSessionID: "65e1c0a000000003", Detail: "LCP: no answer",
		}},
	}
	if after < 2 {
		if err := yield(all[after:], 0); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func TestGoldenWatch(t *testing.T) {
	socket := apitest.Start(t, daemon(), now, api.Events(someEvents{}))
	var all strings.Builder
	for _, args := range [][]string{
		{"watch", "--all", "--count", "2"}, {"watch", "--all", "--count", "2", "--json"},
		{"watch", "--all", "--count", "1", "--kind", "session-failed"}, {"watch", "--kind", "nonsense"},
	} {
		got, code := lctl(socket, args...)
		if code != 0 && args[len(args)-1] != "nonsense" {
			t.Errorf("%q: exit code %d", args, code)
		}
		all.WriteString("$ lnsctl " + strings.Join(args, " ") + "\n" + got)
	}
	compare(t, "watch", all.String())
}
