package e2e

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// run runs lnsd in the LNS's namespace until it ends by itself, and returns its exit
// status and what it printed.
func (r *rig) run(args ...string) (status int, out string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := r.lab.LNS.Output(ctx, binary("lnsd"), args...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), out
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return 0, out
}

// wantNothingLeft checks that no trace of a daemon is left in the LNS.
func (r *rig) wantNothingLeft() {
	r.t.Helper()
	if left, _ := filepath.Glob(r.pins() + "/*"); len(left) > 0 {
		r.t.Errorf("pinned: %v", left)
	}
	if _, err := os.Lstat(r.path("lnsd.sock")); !errors.Is(err, os.ErrNotExist) {
		r.t.Errorf("the management socket is left (%v)", err)
	}
	links, err := r.lab.LNS.Output(context.Background(), "ip", "-details", "link")
	if err != nil {
		r.t.Fatal(err)
	}
	if strings.Contains(links, "tun0") || strings.Contains(links, "prog/xdp") {
		r.t.Errorf("interfaces:\n%s", links)
	}
}

// A daemon that cannot start says in one breath what is wrong and where, ends with
// status 1, and leaves nothing.
func TestStartIsRefused(t *testing.T) {
	t.Parallel()
	r := newLab(t)
	for _, c := range []struct {
		name    string
		options options
		spoil   func() (restore func())
		want    []string
	}{
		{name: "unknown setting", options: options{config: "set l2tp_secrt x"},
			want: []string{r.ownLine(0) + "5: ", "did you mean l2tp_secret?"}},
		{name: "out of range", options: options{config: "set l2tp_port 70000"}, want: []string{r.ownLine(0), "65535"}},
		{name: "several faults", options: options{config: "set l2tp_mtu much\nset xdp_mode fast"},
			want: []string{r.ownLine(0), r.ownLine(1), "native"}},
		{name: "nobody can log in", spoil: func() func() { _ = os.Remove(r.path("chap-secrets")); return nil },
			want: []string{"primary_radius", "chap-secrets"}},
		{name: "broken users", options: options{secrets: "user1 *"}, want: []string{"chap-secrets:1: "}},
		{name: "broken pool", options: options{pool: "10.0.0.0/40"}, want: []string{"ip_pool:1:"}},
		{name: "address of another host", options: options{config: "set bind_address 192.0.2.9"}, want: []string{"192.0.2.9:1701"}},
		{name: "port in use", spoil: r.occupyPort, want: []string{"10.1.0.2:1701", "in use"}},
		{name: "socket below a file", options: options{config: "set socket " + r.path("ip_pool/lnsd.sock")}, want: []string{r.path("ip_pool")}},
		{name: "socket is a file", options: options{config: "set socket " + r.path("ip_pool")}, want: []string{r.path("ip_pool"), "not a socket"}},
		{name: "log in no directory", options: options{config: "set log_file " + r.path("none/log")}, want: []string{"none/log"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.t = t
			r.writeConfig(c.options)
			if c.spoil != nil {
				if restore := c.spoil(); restore != nil {
					defer restore()
				}
			}
			status, out := r.run("-c", r.path("startup-config"))
			if status != 1 {
				t.Errorf("status %d\n%s", status, out)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			r.wantNothingLeft()
		})
		r.t = t
	}
	if status, out := r.run("--nonsense"); status != 2 || !strings.Contains(out, "--nonsense") {
		t.Errorf("unknown flag: status %d\n%s", status, out)
	}
	if status, out := r.run("-c", r.path("missing")); status != 1 || !strings.Contains(out, r.path("missing")) {
		t.Errorf("no configuration: status %d\n%s", status, out)
	}
}

func (r *rig) occupyPort() (restore func()) {
	r.t.Helper()
	var conn net.PacketConn
	err := r.lab.LNS.Do(func() (err error) {
		conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(lnsPort.Addr(), 1701)))
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return func() { _ = conn.Close() }
}

// The check of a configuration says what a start would, and touches nothing.
func TestCheckConfiguration(t *testing.T) {
	t.Parallel()
	r := newLab(t)
	r.writeConfig(options{config: "lac a address 192.0.2.1 secret s"})
	if status, out := r.run("--check", "-c", r.path("startup-config")); status != 0 || !strings.Contains(out, "good; 1 LACs, 1 pools") {
		t.Errorf("status %d\n%s", status, out)
	}
	r.writeConfig(options{config: "set bind_adress 10.1.0.2"})
	if status, out := r.run("--check", "-c", r.path("startup-config")); status != 1 || !strings.Contains(out, r.ownLine(0)+"5: ") {
		t.Errorf("status %d\n%s", status, out)
	}
	r.writeConfig(options{secrets: "user1 *"})
	if status, out := r.run("--check", "-c", r.path("startup-config")); status != 1 || !strings.Contains(out, "chap-secrets:1: ") {
		t.Errorf("broken users: status %d\n%s", status, out)
	}
	r.wantNothingLeft()
}

// A configuration that cannot be read changes nothing of the one in force; the next
// good one does.
func TestBrokenConfigurationIsNotTaken(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{config: "set primary_dns 192.0.2.53"})
	before := r.ctl("show", "running-config")
	for _, o := range []options{
		{config: "set primary_dns 192.0.2.54\nset nonsense 1"},
		{config: "set primary_dns 192.0.2.54", secrets: "user1"},
	} {
		r.writeConfig(o)
		if _, err := r.tryCtl("reload"); err == nil {
			t.Error("the reload succeeded")
		}
		if err := r.lnsd.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		r.wantLog("the configuration was not changed")
		if now := r.ctl("show", "running-config"); now != before {
			t.Errorf("the configuration is now\n%s", now)
		}
	}
	r.wantWorking(options{})
	r.reconfigure(options{config: "set primary_dns 192.0.2.54"})
	if now := r.ctl("show", "running-config"); !strings.Contains(now, "192.0.2.54") || strings.Contains(now, tunnelSecret) {
		t.Errorf("the configuration is now\n%s", now)
	}
	r.wantWorking(options{})
}
