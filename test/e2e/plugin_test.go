package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shownPlugin is what lnsctl tells of a plugin.
type shownPlugin struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	PID      int    `json:"pid"`
	Failures uint64 `json:"failures"`
	Timeouts uint64 `json:"timeouts"`
	Restarts uint64 `json:"restarts"`
}

func (r *rig) plugin(name string) shownPlugin {
	r.t.Helper()
	var all []shownPlugin
	r.ctlJSON(&all, "show", "plugin")
	for _, p := range all {
		if p.Name == name {
			return p
		}
	}
	r.t.Fatalf("no plugin %s in %+v", name, all)
	return shownPlugin{}
}

// runs waits until a plugin runs that is not old.
func (r *rig) runs(name string, old int) shownPlugin {
	r.t.Helper()
	var p shownPlugin
	r.until(40*time.Second, func() error {
		if p = r.plugin(name); p.State != "running" || p.PID == old {
			return fmt.Errorf("%+v", p)
		}
		return nil
	})
	return p
}

// comesUp tries to log a user in and reports whether that works.
func (r *rig) comesUp(user string) bool {
	r.t.Helper()
	p := r.lacsim("--sessions", "1", "--user", user, "--timeout", "30s", "--json", r.path("login.json"))
	return p.Wait(60*time.Second) == nil
}

// The example, as operators build it: it changes and refuses logins, is told what it is
// told, and whatever becomes of it the daemon goes on as it was told to.
func TestPluginExample(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "example")
	if out, err := exec.Command("go", "build", "-o", program, "../../packaging/examples/plugin").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	r := newRig(t, options{
		secrets: fmt.Sprintf("alice * %q *\nbob * %q *", userPassword, userPassword),
		config: fmt.Sprintf("plugin example path %s timeout 2\nplugin strict path %s timeout 2 fail closed\nload plugin \"example\"",
			program, program),
	})
	first := r.runs("example", 0)

	p := r.lacsim("--sessions", "1", "--user", "alice@slow.example", "--hold", "forever")
	r.waitUp(1)
	var all []granted
	r.ctlJSON(&all, "show", "session")
	if len(all) != 1 || all[0].UpRate.Bits != 128_000 || all[0].DownRate.Bits != 128_000 {
		t.Errorf("%+v", all)
	}
	r.until(10*time.Second, func() error {
		if out := r.ctl("plugin", "send", "example", "sessions"); !strings.HasPrefix(out, "1 sessions") {
			return errors.New(out)
		}
		return nil
	})
	r.ctl("plugin", "send", "example", "refuse", "bob")
	if r.comesUp("bob") {
		t.Error("bob was not refused")
	}
	if _, err := r.tryCtl("plugin", "send", "example", "nonsense"); err == nil {
		t.Error("nonsense was understood")
	}

	// Killed, it comes again, and has forgotten whom it refused.
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second := r.runs("example", first.PID)
	if second.Restarts == 0 {
		t.Errorf("%+v", second)
	}
	if !r.comesUp("bob") {
		t.Error("bob is still refused")
	}

	// Hanging, it is gone on without, and ended.
	if err := syscall.Kill(second.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if !r.comesUp("bob") {
		t.Error("a plugin that hangs and fails open keeps bob out")
	}
	third := r.runs("example", second.PID)
	if third.Timeouts == 0 {
		t.Errorf("%+v", third)
	}

	// Where it must answer, nobody gets in while it does not.
	r.ctl("remove", "plugin", "example")
	r.ctl("load", "plugin", "strict")
	strict := r.runs("strict", 0)
	if !r.comesUp("bob") {
		t.Error("bob is kept out")
	}
	if err := syscall.Kill(strict.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if r.comesUp("bob") {
		t.Error("a plugin that hangs and fails closed lets bob in")
	}
	r.runs("strict", strict.PID)
	r.ctl("load", "plugin", "sessionctl")
	if out := r.ctl("plugin", "send", "sessionctl", "drop", "alice@slow.example"); !strings.HasPrefix(out, "1 sessions") {
		t.Error(out)
	}
	_ = p.Stop(syscall.SIGINT, patience)

	// A reload loads what is new, ends what is not defined any more, and leaves what an
	// operator has loaded.
	r.writeConfig(options{config: "load plugin \"stripdomain\""})
	r.ctl("reload")
	var left []shownPlugin
	r.ctlJSON(&left, "show", "plugin")
	if len(left) != 2 || left[0].Name != "stripdomain" || left[1].Name != "sessionctl" {
		t.Errorf("after a reload: %+v", left)
	}
}
