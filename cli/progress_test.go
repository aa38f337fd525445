package cli_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/apitest"
)

// What takes long says on a terminal how far it is, and leaves nothing of that when it
// is done.
func TestLongOperationsShowProgress(t *testing.T) {
	t.Parallel()
	for args, done := range map[string]string{"shutdown": "is disconnected; lnsd ends", "drop user alice@example": "dropped: 1 session"} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			b, goOn := slow()
			o := sitFor(t, b, 24, args)
			o.Sees("60000 sessions in 3 tunnels are left")
			close(goOn)
			o.Sees("\r\x1b[K")
			o.Sees(done)
			o.Ends()
		})
	}
	t.Run("in the shell", func(t *testing.T) {
		t.Parallel()
		b, done := slow()
		o := sit(t, b, 24)
		o.Sees("> ")
		o.Types("enable\r")
		o.Sees("# ")
		o.Types("drop tunnel 4711\r")
		o.Sees("2 sessions are left")
		close(done)
		o.Sees("tunnel 4711")
		o.Sees("# ")
		o.Types("exit\r")
		o.Ends()
	})
}

// slow is a daemon of many sessions that is done disconnecting when it is told so.
func slow() (*apitest.Backend, chan struct{}) {
	b, done := daemon(), make(chan struct{})
	b.StatusValue.Sessions = 60000
	b.BeforeDrop = func() { <-done }
	return b, done
}

func TestDrainWaitsForTheLast(t *testing.T) {
	t.Parallel()
	b := daemon()
	var left atomic.Int64
	left.Store(17)
	b.StatusOf = func() api.Status { return api.Status{Sessions: int(left.Load()), Tunnels: 2} }
	o := sitFor(t, b, 24, "drain --wait")
	o.Sees("17 sessions in 2 tunnels are left")
	left.Store(3)
	o.Sees("3 sessions in 2 tunnels are left")
	left.Store(0)
	o.Sees("new tunnels and calls are refused; 0 sessions in 2 tunnels are up")
	o.Ends()
	if got := b.Calls(); strings.Join(got, "; ") != "configure set drain yes" {
		t.Errorf("%q", got)
	}
}

func TestCommitCountsDown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		then []api.ConfigCommit
		want string
	}{
		{"confirmed", []api.ConfigCommit{{Number: 14}}, "confirmed"},
		{"undone", []api.ConfigCommit{{Number: 15}, {Number: 14}}, "the commit was not confirmed and is undone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := daemon()
			b.Commit = api.CommitReport{Commit: 14, UndoneAt: time.Now().Add(time.Hour)}
			var then atomic.Bool
			b.CommitsOf = func() []api.ConfigCommit {
				if then.Load() {
					return c.then
				}
				return []api.ConfigCommit{{Number: 14, UndoneAt: b.Commit.UndoneAt}}
			}
			o := sitFor(t, b, 24, "config commit --confirmed 1h --watch")
			o.Sees("commit 14 is in force")
			o.Sees("commit 14 is undone in ")
			then.Store(true)
			o.Sees(c.want)
			o.Ends()
		})
	}
}

func TestBundleSaysWhatItCollects(t *testing.T) {
	t.Parallel()
	o := sitFor(t, daemon(), 24, "support-bundle "+t.TempDir()+"/bundle.tar.gz")
	o.Sees("collecting lnsctl/show-session.json")
	o.Sees("bundle.tar.gz\r\n")
	o.Ends()
}
