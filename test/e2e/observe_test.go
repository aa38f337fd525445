package e2e

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lnsd/lnsd/test/inventory"
	"github.com/lnsd/lnsd/test/lac"
	"github.com/lnsd/lnsd/test/netlab"
)

// shownSession is what these tests read of `lnsctl --json show session`.
type shownSession struct {
	SID         uint32     `json:"sid"`
	TID         uint16     `json:"tid"`
	State       string     `json:"state"`
	User        string     `json:"user"`
	Address     netip.Addr `json:"address"`
	UpPackets   uint64     `json:"up_packets"`
	UpBytes     uint64     `json:"up_bytes"`
	UpDropped   uint64     `json:"up_dropped"`
	DownPackets uint64     `json:"down_packets"`
	DownBytes   uint64     `json:"down_bytes"`
	FastPath    bool       `json:"fast_path"`
}

// sessions lists the sessions, which are to come in the order of their numbers.
func (r *rig) sessions() []shownSession {
	r.t.Helper()
	var out []shownSession
	r.ctlJSON(&out, "show", "session")
	if !slices.IsSortedFunc(out, func(a, b shownSession) int { return cmp.Compare(a.SID, b.SID) }) {
		r.t.Errorf("sessions are listed without order: %+v", out)
	}
	return out
}

// shownTunnel is what these tests read of `lnsctl --json show tunnel`.
type shownTunnel struct {
	TID        uint16         `json:"tid"`
	State      string         `json:"state"`
	Peer       netip.AddrPort `json:"peer"`
	VendorName string         `json:"vendor_name"`
	Sessions   int            `json:"sessions"`
	Transport  shownTransport `json:"transport"`
}

type shownTransport struct {
	Sent          uint64 `json:"sent"`
	Received      uint64 `json:"received"`
	Unacked       int    `json:"unacked"`
	HelloSent     uint64 `json:"hello_sent"`
	HelloReceived uint64 `json:"hello_received"`
	Retransmits   uint64 `json:"retransmits"`
	Duplicates    uint64 `json:"duplicates"`
}

func (r *rig) tunnels() []shownTunnel {
	r.t.Helper()
	var out []shownTunnel
	r.ctlJSON(&out, "show", "tunnel")
	return out
}

// waitTunnels waits until there are n tunnels, all established, and returns the first.
func (r *rig) waitTunnels(n int) (first shownTunnel) {
	r.t.Helper()
	r.until(20*time.Second, func() error {
		tunnels := r.tunnels()
		for _, t := range tunnels {
			if t.State != "established" {
				return fmt.Errorf("tunnel %d is %s", t.TID, t.State)
			}
		}
		if len(tunnels) != n {
			return fmt.Errorf("%d tunnels, not %d", len(tunnels), n)
		}
		if n > 0 {
			first = tunnels[0]
		}
		return nil
	})
	return first
}

// counters reads every counter by name.
func (r *rig) counters() map[string]uint64 {
	r.t.Helper()
	out := map[string]uint64{}
	r.ctlJSON(&out, "show", "counters")
	return out
}

// wantCounters checks that the daemon has every counter of the inventory, those of
// RADIUS servers among them if there are some.
func (r *rig) wantCounters(radius bool) {
	r.t.Helper()
	rows, err := inventory.Read("../../" + inventory.File)
	if err != nil {
		r.t.Fatal(err)
	}
	have, want := r.counters(), inventory.Counters(rows, radius)
	for _, name := range want {
		if _, ok := have[name]; !ok {
			r.t.Errorf("there is no counter %s", name)
		}
	}
	if len(want) < 80 {
		r.t.Errorf("only %d counters in the inventory", len(want))
	}
}

// since subtracts an earlier reading, and leaves out what has not moved.
func since(now, before map[string]uint64) map[string]uint64 {
	out := map[string]uint64{}
	for name, v := range now {
		if d := v - before[name]; d != 0 {
			out[name] = d
		}
	}
	return out
}

// waitUp waits until n sessions are up.
func (r *rig) waitUp(n int) {
	r.t.Helper()
	r.until(30*time.Second, func() error {
		up := 0
		for _, s := range r.sessions() {
			if s.State == "up" {
				up++
			}
		}
		if up != n {
			return fmt.Errorf("%d sessions are up, not %d", up, n)
		}
		return nil
	})
}

// waitEmpty waits until nothing is left of any session: no session, no address in
// use, no entry in the maps.
func (r *rig) waitEmpty() {
	r.t.Helper()
	r.until(45*time.Second, func() error {
		if left := r.sessions(); len(left) > 0 {
			return fmt.Errorf("%d sessions are left", len(left))
		}
		var pools []struct {
			Name string `json:"name"`
			Used int    `json:"used"`
		}
		r.ctlJSON(&pools, "show", "pool")
		for _, p := range pools {
			if p.Used > 0 {
				return fmt.Errorf("pool %s: %d addresses are still in use", p.Name, p.Used)
			}
		}
		if c := r.counters(); c["xdp_installs"] != c["xdp_removals"] {
			return fmt.Errorf("maps: %d installs, %d removals", c["xdp_installs"], c["xdp_removals"])
		}
		return nil
	})
}

// finish waits for lacsim to end and returns its report. wantOK says whether it is to
// have found everything right.
func (r *rig) finish(p *netlab.Process, limit time.Duration, wantOK bool) lac.Report {
	r.t.Helper()
	err := p.Wait(max(limit, 2*patience))
	if wantOK && err != nil {
		r.t.Fatalf("lacsim: %v\n%s", err, tail(p.Log(), 4000))
	}
	if !wantOK && err == nil {
		r.t.Fatalf("lacsim found nothing wrong\n%s", tail(p.Log(), 4000))
	}
	return r.report()
}

// holding waits until all sessions of a lacsim that is to hold them have come up or
// failed, or none is left.
func (r *rig) holding(p *netlab.Process) {
	r.t.Helper()
	r.until(4*time.Minute, func() error {
		select {
		case <-p.Exited():
			return nil
		default:
		}
		if !strings.Contains(p.Log(), "Holding the sessions") {
			return errors.New("lacsim still sets up sessions")
		}
		return nil
	})
}

// leave ends a lacsim that holds its sessions and returns its report, which is to have
// found everything right.
func (r *rig) leave(p *netlab.Process) lac.Report {
	r.t.Helper()
	if err := p.Signal(syscall.SIGINT); err != nil {
		r.t.Errorf("lacsim: %v", err)
	}
	return r.finish(p, 2*patience, true)
}

func (r *rig) report() lac.Report { return r.reportIn("report.json") }

// reportIn reads the report that a lacsim was told to write to a file.
func (r *rig) reportIn(name string) lac.Report {
	r.t.Helper()
	var report lac.Report
	b, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Fatal(err)
	}
	if err := json.Unmarshal(b, &report); err != nil {
		r.t.Fatal(err)
	}
	return report
}

// wantLog waits for a log line that holds every one of the words.
func (r *rig) wantLog(words ...string) {
	r.t.Helper()
	r.until(10*time.Second, func() error {
	lines:
		for line := range strings.Lines(r.lnsd.Log()) {
			for _, w := range words {
				if !strings.Contains(line, w) {
					continue lines
				}
			}
			return nil
		}
		return fmt.Errorf("no log line with %q", words)
	})
}
