package e2e

import (
	"testing"
	"time"
)

// On links whose frames take several buffers packets of 8,000 bytes are forwarded by
// XDP in the driver, both ways, whole.
func TestJumboFrames(t *testing.T) {
	t.Parallel()
	r := newLab(t)
	if err := r.lab.SetMTU(9000); err != nil {
		t.Fatal(err)
	}
	r.writeConfig(options{config: "set l2tp_mtu 9000\nset xdp_mode native"})
	r.startLNSD()
	r.reflect()
	run := func(size string, count string) uint64 {
		p := r.lacsim("--sessions", "2", "--mru", "8900", "--traffic-target", echoTarget, "--traffic", count, "--packet-size", size,
			"--verify", "--hops", "1", "--hold", "1s")
		report := r.finish(p, 30*time.Second, true)
		if report.Traffic.Received == 0 || report.Traffic.Fragments != 0 {
			t.Errorf("%s bytes: %+v", size, report.Traffic)
		}
		return report.Traffic.Received
	}
	run("8000", "20") // resolves the neighbours
	before := r.counters()
	n := run("8000", "200") + run("3600", "100") + run("100", "100")
	moved := since(r.counters(), before)
	// The first packet of a session may come before it is in the maps.
	if few := n - 6; moved["xdp_sent_up"] < few || moved["xdp_sent_down"] < few || moved["xdp_punt_buffers"] != 0 {
		t.Errorf("of %d packets XDP sent %d up and %d down, and left %d", n, moved["xdp_sent_up"], moved["xdp_sent_down"], moved["xdp_punt_buffers"])
	}
	var status struct {
		Interfaces []struct{ Name, Mode string }
	}
	r.ctlJSON(&status, "uptime")
	for _, i := range status.Interfaces {
		if i.Mode != "native" {
			t.Errorf("%s is in mode %s", i.Name, i.Mode)
		}
	}
	r.waitEmpty()
}
