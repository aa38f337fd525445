package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/session"
)

// quick is a network without surprises.
var quick = Network{Delay: 5 * time.Millisecond}

// begin makes a world with one LAC and its tunnel up. Every event is checked.
func begin(t *testing.T, adjust func(*engine.Config)) (*World, *Tunnel) {
	t.Helper()
	w := New(t, SeedFromEnv(t, 1), Options{Network: quick, Adjust: adjust})
	w.CheckEvery = 1
	return w, w.open("198.51.100.1:1701", "lac1")
}

func (w *World) open(addr, name string) *Tunnel {
	w.T.Helper()
	tun := w.LAC(addr, name, Secret).Open()
	w.Until(time.Second, "tunnel up", func() bool { return tun.Up })
	return tun
}

// up brings a subscriber up.
func (w *World) up(tun *Tunnel, user string) *Client {
	w.T.Helper()
	c := tun.Dial(user, "pw-"+user)
	w.waitUp(c)
	return c
}

func (w *World) waitUp(c *Client) {
	w.T.Helper()
	starts := w.Acct.Starts
	w.Until(5*time.Second, c.User+" up", func() bool { return c.Up && w.Acct.Starts > starts })
}

// down waits until the call is down and its account, if any, closed.
func (w *World) down(c *Client) {
	w.T.Helper()
	w.Until(time.Minute, c.User+" down", func() bool { return c.Down })
}

// lastStop is the last Accounting Stop.
func (w *World) lastStop() *session.AcctRecord {
	w.T.Helper()
	w.Until(time.Minute, "Stop", func() bool { return len(w.Acct.Stops) > 0 })
	return w.Acct.Stops[len(w.Acct.Stops)-1]
}

// end closes the tunnels and looks for what is left.
func (w *World) end(tuns ...*Tunnel) {
	w.T.Helper()
	for _, t := range tuns {
		if !t.Closed {
			t.Close()
		}
	}
	w.Run(settleTime)
	w.CheckEnd()
}

// wantCDN checks what the LAC was told.
func wantCDN(t *testing.T, c *Client, code, errorCode uint16, message string, disconnect uint16) {
	t.Helper()
	if !c.Remote || c.CDN.Code != code || c.CDN.Error != errorCode || c.CDN.Message != message {
		t.Errorf("CDN %+v (remote %v), want result %d error %d %q", c.CDN, c.Remote, code, errorCode, message)
	}
	if d := c.CDN.Disconnect; d.Code != disconnect || d.Present != (disconnect != 0) {
		t.Errorf("PPP disconnect cause %+v, want code %d", d, disconnect)
	}
}

func (w *World) wantCount(name string, want uint64) {
	w.T.Helper()
	if got := w.Count(name); got != want {
		w.T.Errorf("counter %s is %d, want %d", name, got, want)
	}
}

func (w *World) wantLog(message string) {
	w.T.Helper()
	if !w.Logged(message) {
		w.T.Errorf("nothing logged as %q", message)
	}
}

// operate runs an operator's call while the shards are stepped by hand.
func (w *World) operate(f func() error) {
	w.T.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	for {
		select {
		case err := <-done:
			if err != nil {
				w.T.Fatal(err)
			}
			return
		default:
			w.Run(time.Millisecond)
		}
	}
}

func users(n int) []string {
	var us []string
	for i := range n {
		us = append(us, fmt.Sprintf("user%d", i))
	}
	return us
}
