package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

const (
	metricsPort    = 9117
	prometheusPort = 9090
)

// dashboard is what this test reads of a Grafana dashboard.
type dashboard struct {
	Panels []struct {
		Title   string
		Type    string
		Targets []struct{ Expr string }
	}
}

// A real Prometheus collects from the daemon, takes the alert rules, and answers every
// question that the dashboard asks.
func TestPrometheusAndDashboard(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{config: fmt.Sprintf("set metrics_address %s:%d\n", netlab.LNSAddr, metricsPort)})
	r.reflect()
	prom := r.prometheus()
	r.lacsim("--sessions", "20", "--traffic-target", echoTarget, "--traffic", "200", "--hold", "forever")

	r.until(40*time.Second, func() error {
		for expr, want := range map[string]string{
			`lnsd_sessions{state="up"}`:                                         "20",
			`lnsd_session_setup_seconds_count{stage="all"}`:                     "20",
			`lnsd_tunnels{state="established"}`:                                 "1",
			`lnsd_control_messages_total{type="sccrq",result="received"}`:       "1",
			`count(lnsd_xdp_interface_info{mode="native"})`:                     "2",
			`sum(rate(lnsd_subscriber_packets_total{direction="up"}[10s])) > 0`: "",
			`rate(lnsd_xdp_packets_total{reason="up"}[10s]) > 0`:                "",
		} {
			got, err := prom.query(expr)
			switch {
			case err != nil:
				return err
			case len(got) != 1 || want != "" && got[0] != want:
				return fmt.Errorf("%s: %q, want %q", expr, got, want)
			}
		}
		return nil
	})

	r.wantCounters(false)

	var d dashboard
	b, err := os.ReadFile("../../packaging/grafana/lnsd.json")
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	// Nothing has closed yet, and nobody asks RADIUS here.
	empty := map[string]bool{"Life of sessions": true, "Round trip, 99th percentile": true, "Answers": true, "Waiting": true, "Time-outs and repetitions": true}
	asked := 0
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			expr := strings.NewReplacer("$instance", ".*", "$__rate_interval", "20s").Replace(target.Expr)
			got, err := prom.query(expr)
			if err != nil {
				t.Errorf("%s: %v", p.Title, err)
			} else if len(got) == 0 && !empty[p.Title] {
				t.Errorf("%s: no answer to %s", p.Title, expr)
			}
			asked++
		}
	}
	if asked < 20 {
		t.Errorf("only %d questions in the dashboard", asked)
	}
	rules, err := prom.get("/api/v1/rules")
	if err != nil || !strings.Contains(rules, "LnsdRadiusDown") || strings.Contains(rules, `"health":"err"`) {
		t.Errorf("rules: %v\n%s", err, rules)
	}
}

// prometheusServer is a Prometheus in the core's namespace.
type prometheusServer struct{ r *rig }

func (r *rig) prometheus() prometheusServer {
	r.t.Helper()
	rules, err := os.ReadFile("../../packaging/prometheus/lnsd.rules.yml")
	if err == nil {
		err = os.WriteFile(r.path("lnsd.rules.yml"), rules, 0o644)
	}
	config := fmt.Sprintf(`global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [lnsd.rules.yml]
scrape_configs:
  - job_name: lnsd
    static_configs: [{ targets: ["%s:%d"] }]
`, netlab.LNSAddr, metricsPort)
	if err == nil {
		err = os.WriteFile(r.path("prometheus.yml"), []byte(config), 0o644)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	p, err := r.lab.LAC.Run(r.path("prometheus.log"), "prometheus", "--config.file="+r.path("prometheus.yml"),
		"--storage.tsdb.path="+r.path("tsdb"), fmt.Sprintf("--web.listen-address=127.0.0.1:%d", prometheusPort))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = p.Stop(syscall.SIGTERM, patience)
		if r.t.Failed() {
			r.t.Logf("prometheus printed:\n%s", tail(p.Log(), 2000))
		}
	})
	s := prometheusServer{r}
	r.until(30*time.Second, func() error { _, err := s.get("/-/ready"); return err })
	return s
}

func (s prometheusServer) get(path string) (string, error) {
	return s.r.lab.LAC.Output(context.Background(), "curl", "-sSf", fmt.Sprintf("http://127.0.0.1:%d%s", prometheusPort, path))
}

// query returns the values that a question is answered with.
func (s prometheusServer) query(expr string) ([]string, error) {
	out, err := s.get("/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", expr, err, out)
	}
	var reply struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.Unmarshal([]byte(out), &reply); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", expr, err, out)
	}
	var values []string
	for _, x := range reply.Data.Result {
		values = append(values, fmt.Sprint(x.Value[1]))
	}
	return values, nil
}
