package e2e

import (
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

// A file tells of each thing there is, and is gone with it.
func TestStatusFiles(t *testing.T) {
	t.Parallel()
	r := newLab(t)
	dir := r.path("status")
	r.writeConfig(options{config: fmt.Sprintf("set status_dir %s\nlac carrier address %s/32 secret %q\n", dir, netlab.LACAddr, tunnelSecret)})
	r.startLNSD()
	read := func(name string, into any) error {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = json.Unmarshal(b, into)
		}
		return err
	}
	r.lacsim("--sessions", "2", "--hold", "forever")
	r.until(20*time.Second, func() error {
		for sid := 1; sid <= 2; sid++ {
			var s struct{ User, State string }
			if err := read(fmt.Sprintf("sessions/%d.json", sid), &s); err != nil || s.User == "" {
				return fmt.Errorf("session %d: %+v, %w", sid, s, err)
			}
		}
		return nil
	})
	tid := r.tunnels()[0].TID
	r.until(10*time.Second, func() error {
		var tunnel struct {
			Sessions uint32 `json:",string"`
		}
		var peer struct {
			Tunnels  []uint16
			Sessions int
		}
		if err := read(fmt.Sprintf("tunnels/%d.json", tid), &tunnel); err != nil || tunnel.Sessions != 2 {
			return fmt.Errorf("tunnel: %+v, %w", tunnel, err)
		}
		if err := read(fmt.Sprintf("peers/%s.json", netlab.LACAddr), &peer); err != nil || len(peer.Tunnels) != 1 || peer.Sessions != 2 {
			return fmt.Errorf("peer: %+v, %w", peer, err)
		}
		return nil
	})
	var policy struct{ Commands []string }
	var system struct{ Version string }
	if err := read("policies/carrier.json", &policy); err != nil || len(policy.Commands) == 0 {
		t.Errorf("policy: %+v, %v", policy, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "policies/carrier.json")); err != nil || strings.Contains(string(b), tunnelSecret) {
		t.Errorf("the policy shows its secret: %s, %v", b, err)
	}
	if err := read("system.json", &system); err != nil || system.Version == "" {
		t.Errorf("system: %+v, %v", system, err)
	}

	r.ctl("drop", "session", "1")
	r.until(10*time.Second, func() error {
		if _, err := os.Stat(filepath.Join(dir, "sessions/1.json")); !os.IsNotExist(err) {
			return fmt.Errorf("the file of a session that is gone: %v", err)
		}
		return nil
	})
	if err := r.lnsd.Stop(syscall.SIGQUIT, patience); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*/*.json")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
