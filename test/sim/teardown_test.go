package sim

import (
	"context"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/session"
)

// Every way that an established session can end: what the other side hears, and
// what the accounting says (RFC 2866 section 5.10, RFC 3145 section 2).
func TestTeardown(t *testing.T) {
	disconnect := func(code uint16, dir uint8) l2tp.Result {
		return l2tp.Result{Code: l2tp.CDNAdministrative, Disconnect: l2tp.DisconnectCause{
			Present: true, Code: code, Protocol: uint16(ppp.ProtoLCP), Direction: dir}}
	}
	cases := []struct {
		name   string
		adjust func(*engine.Config)
		act    func(w *World, tun *Tunnel, c *Client)
		cause  session.TerminateCause
		client ppp.Cause // 0: the link is not ended by LCP
	}{
		{"subscriber terminates", nil, func(w *World, tun *Tunnel, c *Client) { c.Quit() }, session.CauseUserRequest, ppp.CauseClosed},
		{"carrier lost", nil, func(w *World, tun *Tunnel, c *Client) {
			c.HangUp(l2tp.Result{Code: l2tp.CDNLostCarrier})
		}, session.CauseLostCarrier, 0},
		{"LAC says administrative", nil, func(w *World, tun *Tunnel, c *Client) { c.HangUp(disconnect(1, 0)) }, session.CauseAdminReset, 0},
		{"LAC saw the user terminate", nil, func(w *World, tun *Tunnel, c *Client) { c.HangUp(disconnect(3, 2)) }, session.CauseUserRequest, 0},
		{"LAC saw LCP time out", nil, func(w *World, tun *Tunnel, c *Client) { c.HangUp(disconnect(5, 0)) }, session.CausePortError, 0},
		{"LAC saw authentication fail", nil, func(w *World, tun *Tunnel, c *Client) { c.HangUp(disconnect(16, 1)) }, session.CauseServiceUnavailable, 0},
		{"LAC closes the tunnel", nil, func(w *World, tun *Tunnel, c *Client) { tun.Close() }, session.CauseLostService, 0},
		{"LAC dies", nil, func(w *World, tun *Tunnel, c *Client) { tun.lac.Dead = true }, session.CauseLostService, 0},
		{"subscriber is silent", nil, func(w *World, tun *Tunnel, c *Client) { c.Mute = true }, session.CauseLostService, 0},
		{"operator drops the session", nil, func(w *World, tun *Tunnel, c *Client) {
			w.operate(func() error { return w.Engine.DropSession(context.Background(), 1, 0) })
		}, session.CauseAdminReset, ppp.CausePeerClosed},
		{"operator drops the user", nil, func(w *World, tun *Tunnel, c *Client) {
			w.operate(func() error {
				n, err := w.Engine.DropUser(context.Background(), "alice", session.CauseNASRequest)
				if n != 1 {
					t.Errorf("%d sessions dropped", n)
				}
				return err
			})
		}, session.CauseNASRequest, ppp.CausePeerClosed},
		{"operator drops the tunnel", nil, func(w *World, tun *Tunnel, c *Client) {
			w.operate(func() error {
				return w.Engine.DropTunnel(context.Background(), tun.T.PeerID())
			})
		}, session.CauseAdminReset, 0},
		{"session timeout", func(c *engine.Config) { c.Policy.Session.SessionTimeout = 40 * time.Second },
			func(w *World, tun *Tunnel, c *Client) {}, session.CauseSessionTimeout, ppp.CausePeerClosed},
		{"idle timeout", func(c *engine.Config) { c.Policy.Session.IdleTimeout = 40 * time.Second },
			func(w *World, tun *Tunnel, c *Client) {}, session.CauseIdleTimeout, ppp.CausePeerClosed},
		{"shutdown", nil, func(w *World, tun *Tunnel, c *Client) {
			w.operate(func() error { return w.Engine.Shutdown(context.Background()) })
		}, session.CauseNASReboot, ppp.CausePeerClosed},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			w, tun := begin(t, x.adjust)
			c := w.up(tun, "alice")
			w.Run(time.Second)
			w.Forward.Pass(c.Address, 7, 11)
			x.act(w, tun, c)
			w.Until(5*time.Minute, "Stop", func() bool { return len(w.Acct.Stops) == 1 })
			stop := w.lastStop()
			if stop.Cause != x.cause {
				t.Errorf("terminate cause %d, want %d", stop.Cause, x.cause)
			}
			if stop.Counters.UpPackets != 7 || stop.Counters.DownBytes != 11000 {
				t.Errorf("counters %+v", stop.Counters)
			}
			if stop.Duration <= 0 || stop.User != "alice" || stop.Address != c.Address && c.Address.IsValid() {
				t.Errorf("stop %+v", stop)
			}
			w.Run(time.Second)
			if cause, _ := c.Link.Cause(); cause != x.client {
				t.Errorf("the subscriber's link ended by %v, want %v", cause, x.client)
			}
			w.wantLog("session up")
			w.wantLog("session down")
			w.wantCount("sessions_closed", 1)
			tun.lac.Dead = tun.lac.Dead || tun.Closed
			w.end(tun)
		})
	}
}

// A subscriber whose packets pass is neither idle nor probed.
func TestTrafficKeepsSessionUp(t *testing.T) {
	w, tun := begin(t, func(c *engine.Config) { c.Policy.Session.IdleTimeout = 30 * time.Second })
	c := w.up(tun, "alice")
	// It does not answer echoes, but it sends.
	c.Mute = true
	for range 60 {
		w.Forward.Pass(c.Address, 1, 0)
		w.Run(10 * time.Second)
	}
	if len(w.Acct.Stops) != 0 {
		t.Fatalf("session ended, cause %d", w.lastStop().Cause)
	}
	w.Run(5 * time.Minute)
	if got := w.lastStop().Cause; got != session.CauseIdleTimeout {
		t.Errorf("cause %d, want idle timeout", got)
	}
	w.end(tun)
}

// The account covers the time when the network layer was up, not how long the
// forwarding path took to let go.
func TestStopWaitsForTheLastCounters(t *testing.T) {
	w, tun := begin(t, nil)
	c := w.up(tun, "alice")
	w.Run(10 * time.Second)
	w.Forward.Stalled = true
	c.HangUp(l2tp.Result{Code: l2tp.CDNLostCarrier})
	ended := w.Now
	w.Run(20 * time.Second)
	if len(w.Acct.Stops) != 0 {
		t.Fatal("Stop before the removal was confirmed")
	}
	w.Forward.Resume()
	w.Run(time.Second)
	stop := w.lastStop()
	if d := stop.At.Sub(ended); d < 0 || d > time.Second {
		t.Errorf("Stop is %v after the end", d)
	}
	if stop.Duration > 11*time.Second {
		t.Errorf("duration %v", stop.Duration)
	}
	w.end(tun)
}

// A removal that fails is asked for again; nothing is released before.
func TestRemovalIsRetried(t *testing.T) {
	w, tun := begin(t, nil)
	c := w.up(tun, "alice")
	w.Forward.Fail = 1
	c.Quit()
	w.Run(20 * time.Second)
	if n := w.Engine.Census().Slots; n != 1 || len(w.Acct.Stops) != 0 {
		t.Errorf("%d slots, %d stops while the removal fails", n, len(w.Acct.Stops))
	}
	w.Forward.Fail = 0
	w.Until(5*time.Second, "Stop", func() bool { return len(w.Acct.Stops) == 1 })
	if got := w.lastStop().Cause; got != session.CauseUserRequest {
		t.Errorf("cause %d", got)
	}
	w.wantLog("forwarding path refused")
	w.end(tun)
}

// Records that the accountant has no room for come again, in their order.
func TestAccountantIsFull(t *testing.T) {
	w, tun := begin(t, nil)
	w.Acct.Full = true
	a := tun.Dial("alice", "pw-alice")
	b := tun.Dial("bob", "pw-bob")
	w.Until(5*time.Second, "up", func() bool { return a.Up && b.Up })
	w.Run(time.Second)
	a.Quit()
	w.Run(10 * time.Second)
	w.Acct.Full = false
	w.Run(time.Second)
	if w.Acct.Starts != 2 || len(w.Acct.Stops) != 1 {
		t.Errorf("%d Starts, %d Stops", w.Acct.Starts, len(w.Acct.Stops))
	}
	w.end(tun)
}
