package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/lnsd/lnsd/test/netlab"
)

// shownOutgoing is what these tests read of `lnsctl --json tunnel list`.
type shownOutgoing struct {
	Name     string        `json:"name"`
	State    string        `json:"state"`
	Reason   string        `json:"reason"`
	TID      uint16        `json:"tid"`
	HostName string        `json:"host_name"`
	Attempts int           `json:"attempts"`
	Calls    []shownPlaced `json:"calls"`
}

type shownPlaced struct {
	Name     string     `json:"name"`
	Type     string     `json:"type"`
	State    string     `json:"state"`
	Reason   string     `json:"reason"`
	SID      uint32     `json:"sid"`
	Own      netip.Addr `json:"own_address"`
	Peer     netip.Addr `json:"peer_address"`
	Attempts int        `json:"attempts"`
}

// outgoing waits until the one tunnel that begins here is as wanted.
func (r *rig) outgoing(what string, ok func(shownOutgoing) bool) (v shownOutgoing) {
	r.t.Helper()
	r.until(patience, func() error {
		var all []shownOutgoing
		if err := r.tryJSON(&all, "tunnel", "list"); err != nil {
			return err
		}
		if len(all) != 1 || !ok(all[0]) {
			return fmt.Errorf("%s: the tunnels are %+v", what, all)
		}
		v = all[0]
		return nil
	})
	return v
}

func placedUp(v shownOutgoing) bool {
	return v.State == "up" && len(v.Calls) == 1 && v.Calls[0].State == "up"
}

// farGateway is the address of the far LNS in PPP, farPool what it gives.
var (
	farGateway = netip.MustParseAddr("172.31.0.1")
	farPool    = netip.MustParsePrefix("172.31.1.0/24")
)

// startFarLNS starts another lnsd where the LACs are.
func (r *rig) startFarLNS() *netlab.Process {
	r.t.Helper()
	dir := r.path("far")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		r.t.Fatal(err)
	}
	for file, text := range map[string]string{
		"startup-config": fmt.Sprintf("set hostname far\nset bind_address %s\nset l2tp_secret %q\nset peer_address %s\nset iftun_address %s\n"+
			"set socket %s/lnsd.sock\nset xdp_mode none\nset pin_path %s-far\nset accounting_spool %s/spool\nset config_archive %s/archive\nset save_state no\n",
			netlab.LACAddr, tunnelSecret, farGateway, farGateway, dir, r.pins(), dir, dir),
		"ip_pool": farPool.String() + "\n", "chap-secrets": fmt.Sprintf("branch * %q *\n", userPassword),
	} {
		if err := os.WriteFile(dir+"/"+file, []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	p, err := r.lab.LAC.Run(dir+"/lnsd.log", binary("lnsd"), "-c", dir+"/startup-config")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		r.explain()
		_ = p.Stop(syscall.SIGQUIT, patience)
		if r.t.Failed() {
			r.t.Logf("the far lnsd printed:\n%s", tail(p.Log(), 6000))
		}
	})
	r.until(patience, func() error {
		return exec.Command(binary("lnsctl"), "--socket", dir+"/lnsd.sock", "uptime").Run()
	})
	return p
}

// reaches pings until an answer comes.
func (r *rig) reaches(from *netlab.Namespace, to netip.Addr) {
	r.t.Helper()
	r.until(patience, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		out, err := from.Output(ctx, "ping", "-n", "-c", "1", "-W", "2", to.String())
		if err != nil {
			return fmt.Errorf("ping %v: %w\n%s", to, err, out)
		}
		return nil
	})
}

// dropOutgoing disconnects the tunnel, whichever it is by now.
func (r *rig) dropOutgoing() {
	r.t.Helper()
	r.until(patience, func() error {
		v := r.outgoing("tunnel up", func(v shownOutgoing) bool { return v.State == "up" })
		_, err := r.tryCtl("drop", "tunnel", fmt.Sprint(v.TID))
		return err
	})
}

// noTunnelUp waits until all are closed; one that is may wait for repeats of its end.
func (r *rig) noTunnelUp() {
	r.t.Helper()
	r.until(patience, func() error {
		for _, x := range r.tunnels() {
			if x.State != "closing" {
				return fmt.Errorf("tunnel %d is %s", x.TID, x.State)
			}
		}
		return nil
	})
}

// A call of the operator's, from one lnsd to another: packets both ways, and the tunnel
// comes back when the peer dies, stays when the daemon is restarted, is left alone while
// the server drains, and goes when it is deleted.
func TestOutgoingTunnel(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{config: "set tunnel_persist_pend_timeout 1\nset session_persist_pend_timeout 1\n"})
	far := r.startFarLNS()
	r.ctl("tunnel", "create", "north", "dest_ipaddr="+netlab.LACAddr.String(), "persist=yes")
	r.ctl("session", "create", "branch", "tunnel=north", "user_name=branch", "user_password="+userPassword, "persist=yes")
	if out, err := r.tryCtl("session", "create", "branch", "tunnel=north"); err == nil {
		t.Errorf("it was created twice:\n%s", out)
	}
	v := r.outgoing("call up", placedUp)
	c := v.Calls[0]
	if v.HostName != "far" || c.Type != "laic" || c.Peer != farGateway || !farPool.Contains(c.Own) {
		t.Errorf("the tunnel is %+v", v)
	}
	r.reaches(r.lab.LNS, farGateway)
	r.reaches(r.lab.LAC, c.Own)
	r.until(patience, func() error {
		if s := r.sessions(); len(s) != 1 || s[0].UpPackets < 2 || s[0].DownPackets < 2 {
			return fmt.Errorf("sessions: %+v", s)
		}
		return nil
	})
	if out := r.ctl("session", "show", "branch"); !strings.Contains(out, "session branch") || strings.Contains(out, userPassword) {
		t.Errorf("shown:\n%s", out)
	}

	// The daemon is restarted: the same tunnel and session go on.
	r.ctl("config", "write")
	if err := r.lnsd.Stop(syscall.SIGTERM, patience); err != nil {
		t.Fatal(err)
	}
	r.startLNSD()
	again := r.outgoing("call up after the restart", placedUp)
	if again.TID != v.TID || again.Calls[0].SID != c.SID || again.Calls[0].Own != c.Own {
		t.Errorf("before the restart %+v, after it %+v", v, again)
	}
	r.reaches(r.lab.LNS, farGateway)

	// What is modified holds from the next time on that the tunnel is opened.
	r.ctl("tunnel", "modify", "north", "hello_timeout=1", "retry_timeout=0.3", "max_retries=2")
	r.dropOutgoing()
	r.outgoing("call up with new values", func(x shownOutgoing) bool { return placedUp(x) && x.TID != v.TID })

	// The peer dies and comes back.
	_ = far.Stop(syscall.SIGKILL, patience)
	lost := r.outgoing("loss noticed", func(v shownOutgoing) bool { return v.State != "up" })
	if lost.Reason == "" {
		t.Errorf("it was lost without a reason: %+v", lost)
	}
	far = r.startFarLNS()
	r.outgoing("call up again", placedUp)
	r.reaches(r.lab.LNS, farGateway)

	// Draining leaves it up, and does not bring it back.
	r.ctl("drain")
	r.dropOutgoing()
	r.outgoing("refusal while draining", func(v shownOutgoing) bool {
		return v.State == "waiting" && v.Reason == "server is draining"
	})
	r.ctl("no", "drain")
	r.ctl("tunnel", "retry", "north")
	r.outgoing("call up after draining", placedUp)

	r.ctl("config", "edit", "set", "deny_local_tunnel_creates", "yes")
	r.ctl("config", "commit")
	if out, err := r.tryCtl("tunnel", "create", "south", "dest_ipaddr="+netlab.LACAddr.String()); err == nil || !strings.Contains(err.Error(), "deny_local_tunnel_creates") {
		t.Errorf("tunnel create: %v\n%s", err, out)
	}
	r.ctl("tunnel", "delete", "north")
	r.waitEmpty()
	r.noTunnelUp()
	if out := r.ctl("session", "list"); strings.Contains(out, "branch") {
		t.Errorf("left:\n%s", out)
	}
	if out := r.look(r.lab.LNS, "ip", "-4", "addr"); strings.Contains(out, c.Own.String()) {
		t.Errorf("the device still has the peer's address:\n%s", out)
	}
	if err := far.Stop(syscall.SIGQUIT, patience); err != nil {
		t.Errorf("the far lnsd ended: %v", err)
	}
}

// Debian's xl2tpd is the LNS: the tunnel is authenticated both ways and a call is
// connected. Its PPP stays silent, so that the call ends by our patience.
func TestOutgoingToXL2TPD(t *testing.T) {
	t.Parallel()
	r := newXL2TPDRig(t, "set ppp_restart_time 0.3\nset ppp_max_configure 6\n")
	x := r.startXL2TPDSection(plainSecret, fmt.Sprintf("[lns default]\nlac = %s\nip range = 172.31.2.2-172.31.2.9\nlocal ip = 172.31.2.1\nchallenge = yes\npppoptfile = %s\n",
		netlab.LNSAddr, r.path("xl2tpd.options")))
	r.until(patience, func() error { _, err := os.Stat(r.path("xl2tpd.control")); return err })
	r.ctl("tunnel", "create", "debian", "dest_ipaddr="+netlab.LACAddr.String(), "retry_timeout=1")
	r.ctl("session", "create", "line", "tunnel=debian", "user_name=x", "user_password=y")
	r.outgoing("end of the call", func(v shownOutgoing) bool {
		return v.State == "up" && len(v.Calls) == 1 && v.Calls[0].State == "over" && v.Calls[0].Reason == "LCP did not converge"
	})
	x.wantLog("Call established with " + netlab.LNSAddr.String())
	c := r.counters()
	for _, name := range []string{"ctl_sent_sccrq", "ctl_received_sccrp", "ctl_sent_scccn", "ctl_sent_icrq", "ctl_received_icrp", "ctl_sent_iccn", "tunnels_dialed", "calls_placed"} {
		if c[name] != 1 {
			t.Errorf("%s is %d", name, c[name])
		}
	}
	r.ctl("tunnel", "delete", "debian")
	r.noTunnelUp()
	x.wantLog("Connection closed to " + netlab.LNSAddr.String())
}
