package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/lac"
	"github.com/lnsd/lnsd/test/netlab"
)

var echoTarget = fmt.Sprintf("%s:%d", netlab.CoreAddr, echoPort)

// traffic are lacsim's arguments for verified traffic that ends well before the
// sessions do, so that counters can be read while nothing moves.
func traffic(more ...string) []string {
	return append([]string{"--traffic-target", echoTarget, "--verify", "--per-session",
		"--traffic-time", "2s", "--hold", "forever"}, more...)
}

// settled waits until the per-session counters stand still, and returns them by
// address.
func (r *rig) settled() map[netip.Addr]shownSession {
	r.t.Helper()
	var last map[netip.Addr]shownSession
	still := time.Now()
	r.until(20*time.Second, func() error {
		now := map[netip.Addr]shownSession{}
		moved := last == nil
		for _, s := range r.sessions() {
			now[s.Address] = s
			if old := last[s.Address]; old.UpPackets != s.UpPackets || old.DownPackets != s.DownPackets || s.UpPackets == 0 {
				moved = true
			}
		}
		last = now
		if moved {
			still = time.Now()
		}
		if time.Since(still) < time.Second {
			time.Sleep(200 * time.Millisecond)
			return fmt.Errorf("counters still move")
		}
		return nil
	})
	return last
}

// compare checks the LNS's counters of each session against what its subscriber sent
// and received.
func compare(t *testing.T, shown map[netip.Addr]shownSession, report lac.Report) {
	t.Helper()
	if len(report.Each) == 0 || len(shown) != len(report.Each) {
		t.Fatalf("%d sessions shown, %d in lacsim's report", len(shown), len(report.Each))
	}
	for _, want := range report.Each {
		got := shown[want.Address]
		if got.UpPackets != want.SentPackets || got.UpBytes != want.SentBytes ||
			got.DownPackets != want.ReceivedPackets || got.DownBytes != want.ReceivedBytes {
			t.Errorf("session of %s: the LNS counted up %d packets %d bytes, down %d packets %d bytes; the subscriber sent %d, %d and received %d, %d",
				want.User, got.UpPackets, got.UpBytes, got.DownPackets, got.DownBytes,
				want.SentPackets, want.SentBytes, want.ReceivedPackets, want.ReceivedBytes)
		}
	}
}

// In steady state data never leaves XDP, every packet is counted for its session and
// direction, and both routers on its way (the LNS each way) have decremented its TTL.
func TestTrafficThroughXDP(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	r.reflect()
	// The first packets resolve the neighbours; what follows is steady state.
	warm := r.lacsim("--sessions", "2", "--traffic-target", echoTarget, "--traffic", "20", "--hold", "1s", "--verify", "--hops", "1")
	r.finish(warm, 30*time.Second, true)
	r.waitEmpty()

	before := r.counters()
	p := r.lacsim(append(traffic("--traffic-per-session", "20", "--hops", "1"), "--tunnels", "3", "--sessions", "60")...)
	r.waitUp(60)
	shown := r.settled()
	for _, s := range shown {
		if !s.FastPath {
			t.Errorf("session %d is not in the maps", s.SID)
		}
	}
	moved := since(r.counters(), before)
	report := r.leave(p)
	compare(t, shown, report)

	sent, back := report.Traffic.Sent, report.Traffic.Received
	if moved["xdp_sent_up"] != sent || moved["xdp_sent_down"] != back {
		t.Errorf("XDP sent %d packets up and %d down; subscribers sent %d and received %d",
			moved["xdp_sent_up"], moved["xdp_sent_down"], sent, back)
	}
	// Control messages and the PPP negotiation go up; no data does.
	allowed := map[string]bool{"xdp_punt_control": true, "xdp_punt_unknown": true, "xdp_punt_closed": true,
		"xdp_punt_ppp_control": true, "xdp_pass_not_ip": true, "xdp_pass_not_ours": true, "xdp_pass_other_host": true}
	for name := range moved {
		isReason := strings.HasPrefix(name, "xdp_punt_") || strings.HasPrefix(name, "xdp_pass_") || strings.HasPrefix(name, "xdp_drop_")
		if isReason && !strings.HasSuffix(name, "_bytes") && !allowed[name] {
			t.Errorf("%d packets ended as %s", moved[name], name)
		}
		if strings.HasPrefix(name, "slow_up_forwarded") || strings.HasPrefix(name, "slow_down_forwarded") {
			t.Errorf("%d packets took the slow path (%s)", moved[name], name)
		}
	}
	r.waitEmpty()
}

// So it is with data sequence numbers: XDP and the daemon, which sends PPP's own
// frames, count in one place, and lacsim drops what comes late.
func TestSequencedTraffic(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{config: "set echo_timeout 1"})
	r.reflect()
	p := r.lacsim(append(traffic("--traffic-per-session", "200", "--hops", "1"), "--sequence", "--length-bit", "--sessions", "10")...)
	r.waitUp(10)
	shown := r.settled()
	moved := r.counters()
	report := r.leave(p)
	compare(t, shown, report)
	// The first packets resolve the neighbours.
	if report.Control.Strays != 0 || moved["xdp_drop_late"] != 0 || moved["slow_up_late"] != 0 {
		t.Errorf("late are %d messages to the LAC, %d and %d from it",
			report.Control.Strays, moved["xdp_drop_late"], moved["slow_up_late"])
	}
	if moved["xdp_punt_sequence"] != 0 || moved["xdp_sent_up"] < 9*report.Traffic.Sent/10 || moved["xdp_sent_down"] < 9*report.Traffic.Received/10 {
		t.Errorf("XDP sent %d packets of %d up and %d of %d down, and left %d", moved["xdp_sent_up"], report.Traffic.Sent,
			moved["xdp_sent_down"], report.Traffic.Received, moved["xdp_punt_sequence"])
	}
	r.waitEmpty()
}

// The slow path alone carries the same traffic with the same counters.
func TestTrafficThroughSlowPath(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{config: "set xdp_mode none"})
	r.reflect()
	p := r.lacsim(append(traffic("--traffic-per-session", "20", "--hops", "1"), "--tunnels", "2", "--sessions", "20")...)
	r.waitUp(20)
	shown := r.settled()
	compare(t, shown, r.leave(p))
	if moved := r.counters(); moved["slow_up_forwarded"] == 0 || moved["slow_down_forwarded"] == 0 {
		t.Errorf("the slow path has forwarded nothing: %v", moved)
	}
	r.waitEmpty()
}

// Generic mode is for drivers without XDP of their own.
func TestTrafficThroughGenericXDP(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{config: "set xdp_mode generic"})
	r.reflect()
	p := r.lacsim(append(traffic("--traffic-per-session", "10", "--hops", "1"), "--sessions", "10")...)
	r.waitUp(10)
	shown := r.settled()
	compare(t, shown, r.leave(p))
	var status struct {
		Interfaces []struct{ Name, Mode string }
	}
	r.ctlJSON(&status, "uptime")
	if len(status.Interfaces) != 2 || status.Interfaces[0].Mode != "generic" || status.Interfaces[1].Mode != "generic" {
		t.Errorf("interfaces are shown as %+v", status.Interfaces)
	}
	if c := r.counters(); c["xdp_sent_up"] == 0 || c["xdp_sent_down"] == 0 {
		t.Errorf("XDP has forwarded nothing")
	}
}

// Every legal dress of a data message is taken, with and without XDP.
func TestDataHeaderVariants(t *testing.T) {
	t.Parallel()
	variants := map[string][]string{
		"smallest":     {"--ff03", "never"},
		"length":       {"--length-bit"},
		"ff03":         {"--ff03", "always"},
		"acfc and pfc": {"--acfc", "--pfc"},
		"offset":       {"--offset", "6"},
		"everything":   {"--length-bit", "--ff03", "always", "--offset", "2"},
		"sequence":     {"--sequence", "--length-bit"},
	}
	for _, mode := range []string{"auto", "none"} {
		r := newRig(t, options{config: "set xdp_mode " + mode})
		r.reflect()
		for name, args := range variants {
			t.Run(mode+" "+name, func(t *testing.T) {
				r.t = t
				p := r.lacsim(append([]string{"--sessions", "4", "--traffic-target", echoTarget, "--traffic", "100",
					"--verify", "--hops", "1", "--hold", "1s"}, args...)...)
				if report := r.finish(p, 30*time.Second, true); report.Traffic.Received == 0 {
					t.Error("nothing came back")
				}
			})
		}
		r.t = t
		r.waitEmpty()
	}
}

// What fits goes through whole; what does not is fragmented where that is allowed, and
// refused with an ICMP message that tells the MTU where it is not.
func TestPacketSizes(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"auto", "none"} {
		r := newRig(t, options{config: "set xdp_mode " + mode})
		r.reflect()
		run := func(name string, args ...string) lac.Report {
			var report lac.Report
			t.Run(mode+" "+name, func(t *testing.T) {
				r.t = t
				defer func() { r.t = t }()
				p := r.lacsim(append([]string{"--sessions", "2", "--traffic-target", echoTarget, "--traffic", "50",
					"--verify", "--hold", "2s"}, args...)...)
				report = r.finish(p, 30*time.Second, true)
				if report.Traffic.Received == 0 {
					t.Error("nothing came back")
				}
			})
			r.t = t
			return report
		}
		run("1400 bytes", "--packet-size", "1400", "--hops", "1")
		run("largest without fragments", "--packet-size", "1456", "--hops", "1")
		if back := run("3000 bytes in fragments", "--packet-size", "3000", "--fragment", "1400"); back.Traffic != nil && back.Traffic.Fragments == 0 {
			t.Error("the echo of a 3000-byte packet came in one piece")
		}
	}
}
