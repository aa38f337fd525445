package e2e

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

const (
	xl2tpdProgram = "/usr/sbin/xl2tpd"
	pppdProgram   = "/usr/sbin/pppd" // compiled into xl2tpd
	// plainSecret has no space: xl2tpd's file of secrets knows no quotes.
	plainSecret = "between-us"
)

// xl2tpd is Debian's xl2tpd as the LAC: an implementation of the control channel that
// shares nothing with ours.
type xl2tpd struct {
	r *rig
	p *netlab.Process
}

// startXL2TPD starts it with the lines given in its lac section.
func (r *rig) startXL2TPD(secret string, lines ...string) *xl2tpd {
	r.t.Helper()
	return r.startXL2TPDSection(secret, fmt.Sprintf("[lac lns]\nlns = %s\nname = subscriber\npppoptfile = %s\n%s\n",
		netlab.LNSAddr, r.path("xl2tpd.options"), strings.Join(lines, "\n")))
}

// startXL2TPDSection starts it with a section of its own, for whichever role.
func (r *rig) startXL2TPDSection(secret, section string) *xl2tpd {
	r.t.Helper()
	for file, text := range map[string]string{
		"xl2tpd.secrets": fmt.Sprintf("* * %s\n", secret),
		"xl2tpd.options": "noauth\n",
		// The kernel of a test machine may be without PPP: calls then get a pppd
		// that says nothing.
		"pppd": "#!/bin/sh\nexec sleep 120\n",
		"xl2tpd.conf": fmt.Sprintf("[global]\nlisten-addr = %s\nauth file = %s\nforce userspace = yes\n"+
			"debug tunnel = yes\ndebug state = yes\n%s", netlab.LACAddr, r.path("xl2tpd.secrets"), section),
	} {
		if err := os.WriteFile(r.path(file), []byte(text), 0o700); err != nil {
			r.t.Fatal(err)
		}
	}
	// The mount is seen by nobody else and goes with the process.
	p, err := r.lab.LAC.Run(r.path("xl2tpd.log"), "unshare", "--mount", "sh", "-c",
		`mount --bind "$1" "$2" && exec "$3" -D -c "$4/xl2tpd.conf" -p "$4/xl2tpd.pid" -C "$4/xl2tpd.control"`,
		"sh", r.path("pppd"), pppdProgram, xl2tpdProgram, r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = p.Stop(syscall.SIGTERM, patience)
		if r.t.Failed() {
			r.t.Logf("xl2tpd printed:\n%s", tail(p.Log(), 4000))
		}
	})
	return &xl2tpd{r: r, p: p}
}

// control writes a command to xl2tpd's control pipe.
func (x *xl2tpd) control(command string) {
	x.r.t.Helper()
	pipe, err := os.OpenFile(x.r.path("xl2tpd.control"), os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		x.r.t.Fatal(err)
	}
	_, err = pipe.WriteString(command + "\n")
	if err = errors.Join(err, pipe.Close()); err != nil {
		x.r.t.Fatal(err)
	}
}

// wantLog waits until xl2tpd has said something.
func (x *xl2tpd) wantLog(text string) {
	x.r.t.Helper()
	x.r.until(10*time.Second, func() error {
		if !strings.Contains(x.p.Log(), text) {
			return fmt.Errorf("xl2tpd has not said %q", text)
		}
		return nil
	})
}

// newXL2TPDRig starts lnsd for a xl2tpd. Its waits are short, because xl2tpd leaves
// without a word when it is stopped.
func newXL2TPDRig(t *testing.T, config string) *rig {
	t.Helper()
	for _, program := range []string{xl2tpdProgram, pppdProgram} {
		if _, err := os.Stat(program); err != nil {
			t.Skip("Debian's packages xl2tpd and ppp are not both installed:", err)
		}
	}
	return newRig(t, xl2tpdOptions(config))
}

func xl2tpdOptions(config string) options {
	return options{config: fmt.Sprintf("set l2tp_secret %s\nset l2tp_retry_interval 0.3\nset l2tp_max_retries 3\n%s", plainSecret, config)}
}

// Both ends prove the secret, and a call is placed. Its PPP stays silent, so that it
// ends by lnsd's patience; nothing of it is left, and the tunnel lives on.
func TestXL2TPDCall(t *testing.T) {
	t.Parallel()
	r := newXL2TPDRig(t, "set ppp_restart_time 0.3\nset ppp_max_configure 6\n")
	x := r.startXL2TPD(plainSecret, "challenge = yes", "autodial = yes", "length bit = yes")
	r.waitTunnels(1)
	r.until(10*time.Second, func() error {
		if s := r.sessions(); len(s) != 1 || s[0].State != "lcp" {
			return fmt.Errorf("sessions: %+v", s)
		}
		return nil
	})
	x.wantLog("Call established with " + netlab.LNSAddr.String())

	r.waitEmpty()
	x.wantLog("(LCP did not converge)") // the message in our CDN
	tunnel := r.waitTunnels(1)
	transport := tunnel.Transport
	if tunnel.VendorName != "xelerance.com" || tunnel.Sessions != 0 {
		t.Errorf("tunnel: %+v", tunnel)
	}
	// We sent SCCRP, ICRP and CDN, and received SCCRQ, SCCCN, ICRQ and ICCN.
	if transport.Sent != 3 || transport.Received != 4 || transport.Retransmits != 0 || transport.Duplicates != 0 || transport.Unacked != 0 {
		t.Errorf("transport: %+v", transport)
	}
	c := r.counters()
	for _, name := range []string{"ctl_received_sccrq", "ctl_sent_sccrp", "ctl_received_scccn", "ctl_received_icrq",
		"ctl_sent_icrp", "ctl_received_iccn", "ctl_sent_cdn", "session_setup_failures"} {
		if c[name] != 1 {
			t.Errorf("%s is %d", name, c[name])
		}
	}
	x.control("d lns")
	r.waitTunnels(0)
}

// Either end closes the tunnel, with a call in it, and the other takes note.
func TestXL2TPDClosing(t *testing.T) {
	t.Parallel()
	r := newXL2TPDRig(t, "")
	x := r.startXL2TPD(plainSecret, "challenge = yes")
	dial := func() shownTunnel {
		t.Helper()
		x.control("c lns")
		tunnel := r.waitTunnels(1)
		r.until(10*time.Second, func() error {
			if n := len(r.sessions()); n != 1 {
				return fmt.Errorf("%d sessions", n)
			}
			return nil
		})
		return tunnel
	}
	wantMoved := func(before map[string]uint64, names ...string) {
		t.Helper()
		now := r.counters()
		for _, name := range names {
			if now[name] != before[name]+1 {
				t.Errorf("%s went from %d to %d", name, before[name], now[name])
			}
		}
	}

	r.until(10*time.Second, func() error { _, err := os.Stat(r.path("xl2tpd.control")); return err })
	dial()
	before := r.counters()
	x.control("d lns")
	r.waitTunnels(0)
	r.waitEmpty()
	wantMoved(before, "ctl_received_stopccn", "tunnels_closed")

	tunnel := dial()
	before = r.counters()
	r.ctl("drop", "tunnel", fmt.Sprint(tunnel.TID))
	x.wantLog("Connection closed to " + netlab.LNSAddr.String())
	// Acknowledged, so not repeated and gone before the time for that is over.
	r.waitTunnels(0)
	r.waitEmpty()
	wantMoved(before, "ctl_sent_stopccn", "tunnels_closed")

	// A StopCCN that is not acknowledged keeps lnsd for longer than is waited.
	r.reconfigure(xl2tpdOptions("set l2tp_retry_cap 60\nset l2tp_retry_interval 30\n"))
	dial()
	if err := r.lnsd.Stop(syscall.SIGQUIT, 12*time.Second); err != nil {
		t.Errorf("lnsd has not ended as soon as its StopCCN was acknowledged: %v", err)
	}
}

// Whoever does not know the secret gets no tunnel, whichever end finds out.
func TestXL2TPDWrongSecret(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, challenge, counter string }{
		{"found by lnsd", "no", "tunnel_auth_failures"},
		{"found by xl2tpd", "yes", "ctl_received_stopccn"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newXL2TPDRig(t, "")
			r.startXL2TPD("not-"+plainSecret, "challenge = "+c.challenge, "autodial = yes")
			r.until(10*time.Second, func() error {
				if r.counters()[c.counter] == 0 {
					return fmt.Errorf("counter %s has not moved", c.counter)
				}
				return nil
			})
			r.waitTunnels(0)
			if r.counters()["tunnels_established"] != 0 || len(r.sessions()) != 0 {
				t.Error("the tunnel was established")
			}
		})
	}
}

// Each end's HELLO is acknowledged by the other. That of xl2tpd comes a minute after
// the tunnel, whatever else is said.
func TestXL2TPDHello(t *testing.T) {
	t.Parallel()
	r := newXL2TPDRig(t, "set l2tp_hello_interval 5\n")
	x := r.startXL2TPD(plainSecret, "challenge = yes", "autodial = yes")
	var transport shownTransport
	r.until(2*time.Minute, func() error {
		transport = r.waitTunnels(1).Transport
		if transport.HelloSent < 3 || transport.HelloReceived == 0 {
			time.Sleep(time.Second)
			return fmt.Errorf("transport: %+v", transport)
		}
		return nil
	})
	if transport.Retransmits != 0 || transport.Duplicates != 0 {
		t.Errorf("transport: %+v", transport)
	}
	x.control("d lns")
	r.waitTunnels(0)
}
