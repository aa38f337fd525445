package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

// The daemon is driven from another host by certificate, with the role's rights, and
// what happens is watched from there, over a restart of the daemon too.
func TestManagedFromAfar(t *testing.T) {
	t.Parallel()
	r := newLab(t)
	tls := r.path("tls")
	r.ctl("make-certificates", tls, "--server", "server,"+netlab.LNSAddr.String(),
		"--client", "noc=viewer", "--client", "alice=operator")
	r.writeConfig(options{config: fmt.Sprintf(
		"set remote_address %s:1707\nset remote_certificate %[2]s/server.crt\nset remote_key %[2]s/server.key\nset remote_authority %[2]s/ca.crt\n",
		netlab.LNSAddr, tls)})
	r.startLNSD()

	// From the LAC's namespace, where there is no socket of the daemon.
	afar := func(who string, args ...string) (string, error) {
		all := append([]string{"--server", netlab.LNSAddr.String(), "--identity", filepath.Join(tls, who)}, args...)
		return r.lab.LAC.Output(context.Background(), binary("lnsctl"), all...)
	}
	watch, err := r.lab.LAC.Run(r.path("watch.log"), binary("lnsctl"), "--server", netlab.LNSAddr.String(),
		"--identity", filepath.Join(tls, "noc"), "--json", "watch", "--all")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = watch.Stop(syscall.SIGINT, patience) })

	sim := r.lacsim("--sessions", "3", "--hold", "forever")
	r.until(20*time.Second, func() error {
		out, err := afar("noc", "show", "users")
		if err == nil && strings.Count(out, "user") < 3 {
			err = fmt.Errorf("not all users are shown:\n%s", out)
		}
		return err
	})
	if out, err := afar("noc", "drop", "user", "user2"); err == nil || !strings.Contains(out+err.Error(), "no right") {
		t.Errorf("a viewer dropped a user: %v\n%s", err, out)
	}
	if out, err := afar("alice", "drop", "user", "user2"); err != nil {
		t.Errorf("an operator may not drop a user: %v\n%s", err, out)
	}
	r.until(10*time.Second, func() error { return watched(watch, "tunnel-up 1", "session-up 3", "session-down 1") })

	// The next start of the daemon: the watch goes on by itself.
	if err := sim.Stop(syscall.SIGINT, patience); err != nil {
		t.Log(err) // one of its sessions was dropped
	}
	if err := r.lnsd.Stop(syscall.SIGQUIT, patience); err != nil {
		t.Error(err)
	}
	if err := os.Rename(r.path("lnsd.log"), r.path("first.log")); err != nil {
		t.Fatal(err)
	}
	r.startLNSD()
	r.lacsim("--sessions", "1", "--hold", "30s")
	r.until(20*time.Second, func() error { return watched(watch, "tunnel-up 2", "session-up 4", "session-down 3") })
}

// watched looks for so many events of some kinds: "KIND COUNT".
func watched(watch *netlab.Process, want ...string) error {
	seen := map[string]int{}
	for line := range strings.Lines(watch.Log()) {
		var e struct{ Kind string }
		if json.Unmarshal([]byte(line), &e) == nil {
			seen[e.Kind]++
		}
	}
	for _, w := range want {
		var kind string
		var n int
		if _, err := fmt.Sscan(w, &kind, &n); err != nil {
			return err
		}
		if seen[kind] != n {
			return fmt.Errorf("%d %s, want %d:\n%s", seen[kind], kind, n, watch.Log())
		}
	}
	return nil
}
