package e2e

import (
	"testing"
	"time"
)

// A user is traced from before the call: the daemon's log, in text, has the call, PPP
// and the way into the data plane, and no password.
func TestTraceOfAUser(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	r.ctl("trace", "set", "user", "user1", "all", "--for", "5m")
	p := r.lacsim("--sessions", "2", "--hold", "1s")
	r.finish(p, 30*time.Second, true)
	for _, words := range [][]string{
		{"call", "idle -> wait-connect on ICRQ"}, {"tx LCP Configure-Request", "magic 0x"}, {"the authenticator says yes", "user1"},
		{"asks the forwarding path to install slot"}, {"session ncp -> up", "user1"},
	} {
		r.wantLog(words...)
	}
}
