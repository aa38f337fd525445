package lac

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (write it anew with -update):\n%s", path, got)
	}
}

// exampleReport has something in every field.
func exampleReport() *Report {
	ms := func(n float64) Seconds { return Seconds(n * float64(time.Millisecond)) }
	latency := func(n float64) Latency {
		return Latency{Count: 990, Min: ms(n / 2), Mean: ms(n), P50: ms(n), P90: ms(2 * n), P99: ms(3 * n), Max: ms(40 * n)}
	}
	return &Report{
		LNS:         "192.0.2.1:1701",
		Started:     time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC),
		Duration:    ms(12345),
		Interrupted: true,
		CPU:         ms(2500),
		Tunnels:     TunnelReport{Wanted: 4, Up: 3, Failed: 1, Lost: 1},
		Sessions:    SessionsReport{Wanted: 1100, Up: 990, Failed: 20, Lost: 2, Unstarted: 90},
		Setup: SetupReport{
			Duration: ms(412), Rate: 2402.9,
			Tunnel: latency(0.2), Call: latency(1.5), PPP: latency(12), Session: latency(13.5),
		},
		Failures: []Failure{
			{Stage: stageAuth, Cause: "auth_failed", Count: 12},
			{Stage: stageCall, Cause: causeCDN, Code: 4, Error: 4, Meaning: "temporary lack of facilities: insufficient resources", Message: "pool empty", Count: 8},
			{Stage: stageUp, Cause: causeStopCCN, Code: 6, Meaning: "being shut down", Count: 2},
		},
		Traffic: &TrafficReport{
			Duration: ms(10000), Sent: 200000, SentBytes: 51200000, Received: 199990, ReceivedBytes: 51197440,
			SendRate: 20000, ReceiveRate: 19999, Lost: 10, LossFraction: 0.00005, Duplicated: 1, Late: 2, Reordered: 3,
			Misdelivered: 4, Wrong: map[string]uint64{"ttl": 5, "udp_checksum": 6}, Foreign: 7, Pings: 8,
			ICMPErrors: map[string]uint64{"3/4": 9}, Fragments: 10, Behind: 11, Latency: latency(0.3), verify: true,
		},
		Teardown: TeardownReport{Mode: "client", Duration: ms(200), Sessions: 985, Tunnels: 2, UnansweredSessions: 3, UnansweredTunnels: 1},
		Control: ControlReport{
			DatagramsSent: 30000, DatagramsReceived: 20000, MessagesSent: 3000, MessagesReceived: 2000,
			Retransmits: 12, Duplicates: 3, Strays: 4, ReceiveDropped: 5, SendErrors: 6,
		},
		Each: []SessionReport{{
			Number: 1, Tunnel: 2, TunnelID: 3, SessionID: 4, PeerTunnelID: 5, PeerSessionID: 6, User: "user1",
			Address: netip.MustParseAddr("10.64.0.9"), State: "ended", SentPackets: 7, SentBytes: 8, ReceivedPackets: 9, ReceivedBytes: 10,
		}},
	}
}

// The JSON report is an interface: scripts read it.
func TestReportJSON(t *testing.T) {
	want := exampleReport()
	var b bytes.Buffer
	if err := want.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.json", b.Bytes())
	var got Report
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	got.Traffic.verify = true
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("read back: %+v", got)
	}
}

func TestReportText(t *testing.T) {
	var b bytes.Buffer
	if err := exampleReport().WriteText(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.txt", b.Bytes())
}

func TestOK(t *testing.T) {
	fine := func() *Report {
		return &Report{
			Sessions: SessionsReport{Wanted: 5, Up: 5}, Tunnels: TunnelReport{Wanted: 1, Up: 1},
			Traffic: &TrafficReport{Sent: 100, Received: 100, verify: true},
		}
	}
	for name, c := range map[string]struct {
		change func(*Report)
		want   bool
	}{
		"all well":             {func(*Report) {}, true},
		"a session failed":     {func(r *Report) { r.Sessions.Failed++ }, false},
		"a session lost":       {func(r *Report) { r.Sessions.Lost++ }, false},
		"a tunnel failed":      {func(r *Report) { r.Tunnels.Failed++ }, false},
		"a tunnel lost":        {func(r *Report) { r.Tunnels.Lost++ }, false},
		"sessions missing":     {func(r *Report) { r.Sessions.Up-- }, false},
		"interrupted":          {func(r *Report) { r.Sessions.Up--; r.Interrupted = true }, true},
		"packets lost":         {func(r *Report) { r.Traffic.LossFraction = 0.01 }, false},
		"loss that is allowed": {func(r *Report) { r.Traffic.LossFraction, r.Traffic.maxLoss = 0.01, 0.01 }, true},
		"loss not looked at":   {func(r *Report) { r.Traffic.LossFraction, r.Traffic.verify = 0.01, false }, true},
		"duplicates":           {func(r *Report) { r.Traffic.Duplicated++ }, false},
		"misdelivered":         {func(r *Report) { r.Traffic.Misdelivered++ }, false},
		"wrong":                {func(r *Report) { r.Traffic.Wrong = map[string]uint64{"ttl": 1} }, false},
	} {
		r := fine()
		c.change(r)
		if r.OK() != c.want {
			t.Errorf("%s: %v", name, r.OK())
		}
	}
}

func TestProgressWriter(t *testing.T) {
	moments := []Progress{
		{Phase: PhaseSetup, Wanted: 1000},
		{Phase: PhaseSetup, Elapsed: time.Second, Tunnels: 4, Sessions: 500, Pending: 100, Wanted: 1000},
		{Phase: PhaseSetup, Elapsed: 2500 * time.Millisecond, Tunnels: 4, Sessions: 900, Pending: 10, Failed: 90, Wanted: 1000},
		{Phase: PhaseTraffic, Elapsed: 3 * time.Second, Tunnels: 4, Sessions: 910, Failed: 90, Wanted: 1000},
		{Phase: PhaseTraffic, Elapsed: 6 * time.Second, Tunnels: 4, Sessions: 909, Failed: 90, Lost: 1, Wanted: 1000, Sent: 60000, Received: 59999},
		{Phase: PhaseDone, Elapsed: 7 * time.Second, Wanted: 1000},
	}
	for _, c := range []struct {
		file     string
		terminal bool
	}{{"progress-plain.txt", false}, {"progress-terminal.txt", true}} {
		var b bytes.Buffer
		w := NewProgressWriter(&b, c.terminal, 100)
		for _, m := range moments {
			w.Show(m)
		}
		golden(t, c.file, []byte(strings.ReplaceAll(b.String(), "\r", "\\r\n")))
	}
}

func TestFailureKindsAreBounded(t *testing.T) {
	fs := make(failures)
	for i := range 3 * maxFailureKinds {
		fs.add(Failure{Stage: stageCall, Cause: causeCDN, Message: strings.Repeat("x", i)})
	}
	if len(fs) > maxFailureKinds+1 {
		t.Errorf("%d kinds are kept", len(fs))
	}
}
