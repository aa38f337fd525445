package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

const (
	labPrefix    = "lnsd-e2e"
	tunnelSecret = "tunnel secret"
	userPassword = "user password"
	echoPort     = 7
	pinRoot      = "/sys/fs/bpf"
	// patience is how long is waited for what takes moments on a machine that has
	// nothing else to do.
	patience = 45 * time.Second
)

var labCount atomic.Uint32

// rig is one lab with lnsd in it.
type rig struct {
	t    *testing.T
	lab  *netlab.Lab
	dir  string
	lnsd *netlab.Process
	// radius is FreeRADIUS, where a case has it.
	radius *netlab.Process
	// repeats: records may arrive twice, see onceEach.
	repeats bool
	lacs    int // how many lacsims were started
	// looked is set once a failure has been looked at.
	looked bool
}

// options vary a rig; the zero value is XDP on, users in chap-secrets.
type options struct {
	// config is appended to the startup-config; a later line wins.
	config string
	// pool replaces the contents of ip_pool.
	pool string
	// secrets replaces the chap-secrets file, "" being any user with
	// userPassword.
	secrets string
}

// newRig makes the lab and starts lnsd in it. Everything is taken down, and what
// may explain a failure is kept in the test's log, when the test ends.
func newRig(t *testing.T, o options) *rig {
	t.Helper()
	r := newLab(t)
	r.writeConfig(o)
	r.startLNSD()
	return r
}

func newLab(t *testing.T) *rig {
	t.Helper()
	prefix := fmt.Sprintf("%s-%d-%d", labPrefix, os.Getpid(), labCount.Add(1))
	lab, err := netlab.New(prefix)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, lab: lab, dir: t.TempDir()}
	t.Cleanup(func() {
		if err := errors.Join(os.RemoveAll(r.pins()), lab.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) path(file string) string { return filepath.Join(r.dir, file) }

func (r *rig) pins() string { return filepath.Join(pinRoot, r.lab.LNS.Name) }

// baseConfig is what comes before a test's own configuration.
func (r *rig) baseConfig() string {
	return fmt.Sprintf("set bind_address %s\nset l2tp_secret %q\nset socket %s\nset pin_path %s\nset accounting_spool %s\nset config_archive %s\n",
		netlab.LNSAddr, tunnelSecret, r.path("lnsd.sock"), r.pins(), r.path("spool"), r.path("archive"))
}

// ownLine is how errors name the nth line, from 0, of a test's own configuration.
func (r *rig) ownLine(n int) string {
	return fmt.Sprintf("startup-config:%d:", strings.Count(r.baseConfig(), "\n")+1+n)
}

func (r *rig) writeConfig(o options) {
	r.t.Helper()
	if o.pool == "" {
		o.pool = netlab.Pool.String()
	}
	if o.secrets == "" {
		o.secrets = fmt.Sprintf("* * %q *", userPassword)
	}
	config := r.baseConfig() + o.config + "\n"
	for file, text := range map[string]string{
		"startup-config": config, "ip_pool": o.pool + "\n", "chap-secrets": o.secrets + "\n",
	} {
		if err := os.WriteFile(r.path(file), []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
}

// startLNSD starts the daemon, with variables added to its environment, and waits
// until it answers lnsctl.
func (r *rig) startLNSD(env ...string) {
	r.t.Helper()
	r.startDaemon("env", append(env, binary("lnsd"), "-c", r.path("startup-config"))...)
}

// startDaemon starts it by a command that becomes it.
func (r *rig) startDaemon(name string, args ...string) {
	r.t.Helper()
	var err error
	r.lnsd, err = r.lab.LNS.Run(r.path("lnsd.log"), name, args...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		r.explain()
		if err := r.lnsd.Stop(syscall.SIGQUIT, patience); err != nil {
			r.t.Errorf("lnsd ended: %v", err)
		}
		if r.t.Failed() {
			r.t.Logf("lnsd printed:\n%s", tail(r.lnsd.Log(), 8000))
		}
	})
	r.until(20*time.Second, func() error {
		select {
		case <-r.lnsd.Exited():
			r.t.Fatalf("lnsd ended at start:\n%s", r.lnsd.Log())
		default:
		}
		_, err := r.tryCtl("uptime")
		return err
	})
}

// reflect starts the echo that subscribers send to in the core.
func (r *rig) reflect() {
	r.t.Helper()
	p, err := r.lab.Core.Run(r.path("reflect.log"), binary("lacsim"), "reflect",
		"--listen", fmt.Sprintf("%s:%d", netlab.CoreAddr, echoPort))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { r.explain(); _ = p.Stop(syscall.SIGINT, patience) })
	r.until(5*time.Second, func() error {
		select {
		case <-p.Exited():
			r.t.Fatalf("the reflector ended:\n%s", p.Log())
		default:
		}
		out, err := r.lab.Core.Output(context.Background(), "ss", "-Hlun")
		if err == nil && !strings.Contains(out, fmt.Sprintf(":%d", echoPort)) {
			err = errors.New("the reflector does not listen yet")
		}
		return err
	})
}

// lacsim starts a LAC with the given arguments behind the ones every case needs.
func (r *rig) lacsim(args ...string) *netlab.Process {
	r.t.Helper()
	return r.lacsimOver(netlab.LACAddr, netlab.LNSAddr, args...)
}

// lacsimOver is lacsim between other addresses.
func (r *rig) lacsimOver(lac, lns netip.Addr, args ...string) *netlab.Process {
	r.t.Helper()
	all := append([]string{"run", "--lns", lns.String(), "--bind", lac.String(),
		"--secret", tunnelSecret, "--user", "user%d", "--password", userPassword, "--json", r.path("report.json")}, args...)
	r.lacs++
	p, err := r.lab.LAC.Run(r.path(fmt.Sprintf("lacsim%d.log", r.lacs)), binary("lacsim"), all...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		r.explain()
		_ = p.Stop(syscall.SIGINT, patience)
		if r.t.Failed() {
			r.t.Logf("lacsim printed:\n%s", tail(p.Log(), 4000))
		}
	})
	return p
}

// tryCtl runs lnsctl and returns what it prints.
func (r *rig) tryCtl(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary("lnsctl"), append([]string{"--socket", r.path("lnsd.sock")}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("lnsctl %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

func (r *rig) ctl(args ...string) string {
	r.t.Helper()
	out, err := r.tryCtl(args...)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// ctlJSON runs lnsctl --json and decodes the answer.
func (r *rig) ctlJSON(into any, args ...string) {
	r.t.Helper()
	if err := r.tryJSON(into, args...); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) tryJSON(into any, args ...string) error {
	out, err := r.tryCtl(append([]string{"--json"}, args...)...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("lnsctl --json %v: %w\n%s", args, err, out)
	}
	return nil
}

// until waits for a condition and ends the test if it does not come. What comes at
// all comes soon, except on a machine with much other work: a limit shorter than
// patience would only tell that it has some.
func (r *rig) until(limit time.Duration, condition func() error) {
	r.t.Helper()
	if err := netlab.Until(max(limit, patience), condition); err != nil {
		r.t.Fatal(err)
	}
}

func tail(s string, n int) string {
	if len(s) > n {
		return "...\n" + s[len(s)-n:]
	}
	return s
}
