package perf

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// sampleReport has three rounds of two forwarders with known medians.
func sampleReport() *Report {
	r := &Report{
		Host:     Host{Date: "2024-01-02", Kernel: "6.1", CPU: "a CPU", CPUs: 2},
		Programs: []Program{{Forwarder: LNSD, Path: "up", NS: 101.4, Translated: 1600, JITed: 7600, Verified: 13000}},
		Setups:   []Setup{{Server: L2TPNS, Auth: "radius", Up: 10, Rate: 7000}, {Server: LNSD, Auth: "radius", Up: 10, Rate: 14000, Memory: 2500}},
		Maps:     []MapMemory{{Sessions: 1 << 20, Bytes: 400 << 20, ByMap: map[string]uint64{"lns_calls": 100 << 20, "lns_live": 64}}},
	}
	for round, factor := range []float64{1, 1.1, 0.8} {
		for _, f := range []struct {
			name string
			pps  float64
		}{{Plain, 4e6}, {Reference, 2e6}, {LNSD, 2.5e6}, {L2TPNS, 1e5}} {
			for _, d := range []Direction{Up, Down} {
				r.Rates = append(r.Rates, Rate{
					Forwarder: f.name, Direction: d.String(), Size: 64, Sessions: usualSessions, Round: round + 1,
					PPS: f.pps * factor, Share: 1, Checked: 1,
				})
			}
		}
	}
	return r
}

func TestReportSurvivesJSON(t *testing.T) {
	want := sampleReport()
	var b bytes.Buffer
	if err := want.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n != 1+24+1+1+2 {
		t.Errorf("%d lines", n)
	}
	got, err := ReadJSON(&b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if _, err := ReadJSON(strings.NewReader(`{"rate":{"pss":1}}`)); err == nil {
		t.Error("an unknown field is not noticed")
	}
}

func TestTablesShowMediansAndRatios(t *testing.T) {
	var b strings.Builder
	if err := sampleReport().WriteTables(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2.50 (2.00–2.75)",    // lnsd
		"0.100 (0.080–0.110)", // l2tpns
		"| 1.25 ",             // lnsd / reference
		"| 25.00 ",            // lnsd / l2tpns
		"| 250 ",              // ns of the plain redirect
		"| 150 ",              // what lnsd takes beyond it
		"| 14,000 ", "| 2.00 ", "lns_calls 100",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestWrongPacketsAreProblems(t *testing.T) {
	r := sampleReport()
	if err := r.Problems(); err != nil {
		t.Fatal(err)
	}
	r.Rates[3].Wrong, r.Rates[3].Problem = 1, "TTL"
	if err := r.Problems(); err == nil || !strings.Contains(err.Error(), "TTL") {
		t.Errorf("got %v", err)
	}
	r = sampleReport()
	for i := range r.Rates {
		if r.Rates[i].Forwarder == LNSD {
			r.Rates[i].Checked = 0
		}
	}
	if err := r.Problems(); err == nil || !strings.Contains(err.Error(), LNSD) {
		t.Errorf("got %v", err)
	}
}

func TestDocumentKeepsWhatIsAround(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, documentName)
	before, after := "# Title\n\ntext\n\n"+beginMark+"\n", endMark+"\n\nmore\n"
	if err := os.WriteFile(name, []byte(before+"stale\n"+after), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time must change nothing more
		if err := sampleReport().Document(dir); err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := string(page)
		if !strings.HasPrefix(text, before) || !strings.HasSuffix(text, after) || strings.Contains(text, "stale") {
			t.Errorf("got\n%s", text)
		}
	}
	plot, err := os.ReadFile(filepath.Join(dir, plotName))
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, plot)
	if err := os.WriteFile(name, []byte("no marks"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sampleReport().Document(dir); err == nil {
		t.Error("a document without marks is accepted")
	}
}

func wellFormed(t *testing.T, svg []byte) {
	t.Helper()
	for dec := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestScaleStepsAreRound(t *testing.T) {
	for v, want := range map[float64]float64{1: 1, 0.9e6: 1e6, 1.2e6: 2e6, 3e6: 5e6, 6e6: 1e7} {
		if got := niceStep(v); got != want {
			t.Errorf("step of %g is %g, want %g", v, got, want)
		}
	}
}
