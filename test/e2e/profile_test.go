package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

// radiusUser is an entry of FreeRADIUS's users file with what its Accept says.
func radiusUser(name string, reply ...string) string {
	return fmt.Sprintf("%s\tCleartext-Password := %q\n\tService-Type = Framed-User,\n\t%s\n",
		name, userPassword, strings.Join(reply, ",\n\t"))
}

// newRADIUSRig starts FreeRADIUS with these users, and lnsd as its client.
func newRADIUSRig(t *testing.T, users, config string) *rig {
	t.Helper()
	r := newLab(t)
	r.writeConfig(options{config: r.freeradius(users) + config})
	r.startLNSD()
	return r
}

// An address and a network that RADIUS gives to a subscriber are its own: packets reach
// it there and may come from there, as long as it is up.
func TestFramedAddressAndRoute(t *testing.T) {
	t.Parallel()
	const address, network, host = "10.64.9.9", "172.20.5.0/24", "172.20.5.1"
	for _, mode := range []string{"auto", "none"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			r := newRADIUSRig(t, radiusUser("user1", "Framed-IP-Address = "+address, "Framed-Route = \""+network+" 0.0.0.0 1\""),
				"set xdp_mode "+mode)
			if err := r.lab.Core.AddRoute(netip.MustParsePrefix(network), netlab.LNSCore); err != nil {
				t.Fatal(err)
			}
			p := r.lacsim("--sessions", "1", "--hold", "forever", "--tun", "sub0")
			r.waitUp(1)
			if s := r.logins()[0]; s.Address != address || len(s.Routes) != 1 || s.Routes[0] != network {
				t.Errorf("shown as %+v", s)
			}
			r.routeSubscriber("sub0")
			if _, err := r.lab.LAC.Output(context.Background(), "ip", "address", "add", host+"/32", "dev", "sub0"); err != nil {
				t.Fatal(err)
			}
			before := r.counters()
			for _, to := range []string{address, host} {
				if out := r.ping(to); !strings.Contains(out, "3 received") {
					t.Errorf("ping %s:\n%s", to, out)
				}
			}
			out, err := r.lab.LAC.Output(context.Background(), "ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", "-I", host, netlab.CoreAddr.String())
			if err != nil || !strings.Contains(out, "3 received") {
				t.Errorf("ping from the network: %v\n%s", err, out)
			}
			moved := since(r.counters(), before)
			if up, down := moved["xdp_sent_up"]+moved["slow_up_forwarded"], moved["xdp_sent_down"]+moved["slow_down_forwarded"]; up < 9 || down < 9 {
				t.Errorf("%d packets up, %d down: %v", up, down, moved)
			}
			if mode == "auto" && (moved["xdp_sent_up"] == 0 || moved["xdp_sent_down"] == 0) {
				t.Errorf("nothing went through XDP: %v", moved)
			}

			if report := r.interrupt(p); report.Sessions.Up != 1 {
				t.Errorf("sessions: %+v", report.Sessions)
			}
			if stop := r.bills(1)["user1"]; stop["Framed-IP-Address"] != address {
				t.Errorf("accounted for as %v", stop)
			}
			r.waitEmpty()
			if out, err := r.lab.LNS.Output(context.Background(), "ip", "route", "show", network); err != nil || strings.TrimSpace(out) != "" {
				t.Errorf("a route is left: %q, %v", out, err)
			}
		})
	}
}

// Sessions end when their time is over, by the clock or for want of traffic, and the
// accounts say which.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	r := newRADIUSRig(t, radiusUser("user1", "Session-Timeout = 4")+radiusUser("user2", "Idle-Timeout = 2")+
		radiusUser("user3", "Idle-Timeout = 60")+radiusUser("user4", "Session-Timeout = 600"), "")
	r.reflect()
	p := r.lacsim("--sessions", "4", "--traffic-target", echoTarget, "--traffic-per-session", "10", "--traffic-time", "1s", "--hold", "forever")
	r.waitUp(4)
	r.until(10*time.Second, func() error {
		if n := len(r.sessions()); n != 2 {
			return fmt.Errorf("%d sessions are left", n)
		}
		return nil
	})
	if report := r.interrupt(p); report.Sessions.Lost != 2 {
		t.Errorf("sessions: %+v", report.Sessions)
	}
	stops := r.bills(4)
	for user, want := range map[string]struct {
		cause    string
		min, max int // seconds
	}{
		"user1": {"Session-Timeout", 4, 30},
		"user2": {"Idle-Timeout", 2, 30},
		"user3": {"User-Request", 0, 60},
		"user4": {"User-Request", 0, 60},
	} {
		stop := stops[user]
		took, err := strconv.Atoi(stop["Acct-Session-Time"])
		if stop["Acct-Terminate-Cause"] != want.cause || err != nil || took < want.min || took > want.max {
			t.Errorf("%s ended by %s after %s s", user, stop["Acct-Terminate-Cause"], stop["Acct-Session-Time"])
		}
	}
	r.waitEmpty()
}

// Interim records come at the interval of the Accept, or else of the configuration, and
// grow.
func TestInterimAccounting(t *testing.T) {
	t.Parallel()
	r := newRADIUSRig(t, radiusUser("user1", "Acct-Interim-Interval = 60")+radiusUser("user2", "Acct-Interim-Interval = 3600")+
		radiusUser("user3", "Framed-Protocol = PPP"), "set radius_interim 60\n")
	r.reflect()
	p := r.lacsim("--sessions", "3", "--traffic-target", echoTarget, "--traffic-per-session", "10", "--hold", "forever")
	r.waitUp(3)
	interims := map[string]map[string]string{}
	r.until(2*time.Minute, func() error {
		for _, record := range r.accounting() {
			if record["Acct-Status-Type"] == "Interim-Update" {
				interims[record["User-Name"]] = record
			}
		}
		if len(interims) < 2 {
			time.Sleep(time.Second)
			return fmt.Errorf("%d users have an interim record", len(interims))
		}
		return nil
	})
	r.interrupt(p)
	stops := r.bills(3)
	if interims["user2"] != nil {
		t.Error("user2 has an interim record before its hour is over")
	}
	for _, user := range []string{"user1", "user3"} {
		interim, stop := interims[user], stops[user]
		if seconds, err := strconv.Atoi(interim["Acct-Session-Time"]); err != nil || seconds < 53 || seconds > 90 {
			t.Errorf("%s: the interim record came after %q seconds", user, interim["Acct-Session-Time"])
		}
		if interim["Acct-Session-Id"] != stop["Acct-Session-Id"] || interim["Acct-Terminate-Cause"] != "" {
			t.Errorf("%s: %v", user, interim)
		}
		for _, name := range []string{"Acct-Input-Octets", "Acct-Output-Packets"} {
			early, err1 := strconv.Atoi(interim[name])
			late, err2 := strconv.Atoi(stop[name])
			if err1 != nil || err2 != nil || early == 0 || late < early {
				t.Errorf("%s: %s was %q and then %q", user, name, interim[name], stop[name])
			}
		}
	}
}
