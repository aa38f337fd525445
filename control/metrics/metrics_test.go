package metrics

import (
	"flag"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/lnsd/lnsd/control/session"
)

var update = flag.Bool("update", false, "write the golden file anew")

// still is a daemon in which nothing happens.
type still struct{}

func (still) Counters() []session.Count {
	return []session.Count{
		{Name: "tunnels_opened", Value: 12}, {Name: "ctl_sent_sccrp", Value: 3}, {Name: "ctl_received_sccrq", Value: 4},
		{Name: "ctl_discarded_sccrq", Value: 1}, {Name: "ctl_discarded_as_duplicate", Value: 1},
		{Name: "session_setup_failed_in_auth", Value: 7}, {Name: "secrets_entries", Value: 2},
		{Name: "xdp_sent_up", Value: 100}, {Name: "xdp_sent_up_bytes", Value: 6400}, {Name: "xdp_drop_sccrq_rate", Value: 5},
		{Name: "xdp_drop_sccrq_rate_bytes", Value: 500}, {Name: "xdp_installs", Value: 9}, {Name: "xdp_failed", Value: 0},
	}
}

func (still) Histograms() []session.Histogram {
	bounds := []time.Duration{time.Millisecond, 2 * time.Millisecond}
	return []session.Histogram{
		{Name: "session_setup", Label: "stage", Value: "lcp", Bounds: bounds, Counts: []uint64{1, 2, 3}, Sum: time.Second},
		{Name: "session_open", Bounds: bounds, Counts: []uint64{0, 0, 1}, Sum: time.Minute},
		{Name: "session_idle", Bounds: bounds, Counts: []uint64{1, 0, 0}},
	}
}

func (still) Servers() []session.AuthServerView {
	return []session.AuthServerView{
		{Name: "192.0.2.10:1812", Purpose: "auth", State: "up", InFlight: 3, Sent: 1000, Retries: 4, Accepts: 990, Rejects: 7, Responses: 998,
			RTT: session.Histogram{Bounds: []time.Duration{time.Millisecond}, Counts: []uint64{900, 98}, Sum: 2 * time.Second}},
		{Name: "192.0.2.11:1813", Purpose: "acct", Group: "isp\xff", State: "dead", Queued: 40, Sent: 90, Timeouts: 90, BadAnswers: 1},
	}
}

func (still) Pools() []session.PoolView {
	return []session.PoolView{{Name: "default", Size: 256, Used: 2, Reserved: 3}}
}

func (still) Gauges() Gauges {
	return Gauges{
		Version: "1.0-test", Started: time.Unix(1_700_000_000, 0), Sessions: 5, SessionsUp: 3, Tunnels: 2, TunnelsUp: 2,
		MaxSessions: 1000, Interfaces: map[string]string{"eth0": "native", "eth1": "generic"},
		UpPackets: 1, UpBytes: 2, DownPackets: 3, DownBytes: 4,
	}
}

// TestGolden holds every name and label: dashboards and alerts are built on them.
func TestGolden(t *testing.T) {
	w := httptest.NewRecorder()
	Handler(still{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	var b strings.Builder
	for line := range strings.Lines(w.Body.String()) {
		if !regexp.MustCompile(`^(# (HELP|TYPE) )?(go|process|promhttp)_`).MatchString(line) {
			b.WriteString(line)
		}
	}
	const file = "testdata/metrics.golden"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", &b, want)
	}
}

// The names are such as Prometheus's own checks want them.
func TestLint(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(NewCollector(still{}))
	problems, err := testutil.GatherAndLint(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func BenchmarkCollect(b *testing.B) {
	r := prometheus.NewRegistry()
	r.MustRegister(NewCollector(still{}))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
