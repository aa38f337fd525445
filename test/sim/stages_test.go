package sim

import (
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// histograms are those of the engine by name and value.
func histograms(w *World) map[string]session.Histogram {
	out := map[string]session.Histogram{}
	for _, h := range w.Engine.Histograms() {
		out[h.Name+" "+h.Value] = h
	}
	return out
}

func total(h session.Histogram) (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Each stage of a set-up is timed once, and a failure is counted in the stage in which
// it happened.
func TestStagesAreTimed(t *testing.T) {
	w, tun := begin(t, nil)
	const sessions = 5
	var last *Client
	for _, user := range users(sessions) {
		last = w.up(tun, user)
	}
	w.down(tun.Dial("alice", "wrong"))
	w.wantCount("session_setup_failed_in_auth", 1)
	w.wantCount("session_setup_failed_in_ncp", 0)
	w.Run(90 * time.Second)
	last.Quit()
	w.down(last)
	w.Run(time.Second)

	got := histograms(w)
	var parts time.Duration
	for _, stage := range []string{"call", "lcp", "auth", "ncp"} {
		h := got["session_setup "+stage]
		want := uint64(sessions)
		if stage == "call" || stage == "lcp" { // the one that failed later was here, too
			want++
		}
		if total(h) != want {
			t.Errorf("%s: %d, want %d", stage, total(h), want)
		}
		parts += h.Sum
	}
	all := got["session_setup all"]
	if total(all) != sessions || all.Sum <= 0 || parts < all.Sum {
		t.Errorf("whole set-ups: %d in %v, their parts %v", total(all), all.Sum, parts)
	}
	open, idle := got["session_open "], got["session_idle "]
	if total(open) != 1 || open.Sum < 90*time.Second || open.Sum > 2*time.Minute {
		t.Errorf("open: %d, %v", total(open), open.Sum)
	}
	if total(idle) != 1 || idle.Sum > open.Sum {
		t.Errorf("idle: %d, %v", total(idle), idle.Sum)
	}
	w.end(tun)
}
