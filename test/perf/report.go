package perf

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Report is all that a run has measured.
type Report struct {
	Host     Host
	Rates    []Rate
	Programs []Program
	Extras   []Extra
	Setups   []Setup
	Maps     []MapMemory
}

// Host is the machine of a run.
type Host struct {
	Date   string `json:"date"`
	Kernel string `json:"kernel"`
	CPU    string `json:"cpu"`
	CPUs   int    `json:"cpus"`
}

func thisHost() Host {
	h := Host{Date: time.Now().UTC().Format(time.DateOnly), CPUs: runtime.NumCPU(), Kernel: "unknown", CPU: "unknown"}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		h.Kernel = strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				h.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	return h
}

// line is one line of JSON: exactly one field is set.
type line struct {
	Host    *Host      `json:"host,omitempty"`
	Rate    *Rate      `json:"rate,omitempty"`
	Program *Program   `json:"program,omitempty"`
	Extra   *Extra     `json:"extra,omitempty"`
	Setup   *Setup     `json:"setup,omitempty"`
	Maps    *MapMemory `json:"maps,omitempty"`
}

// WriteJSON writes one JSON object per line.
func (r *Report) WriteJSON(w io.Writer) error {
	lines := []line{{Host: &r.Host}}
	for i := range r.Rates {
		lines = append(lines, line{Rate: &r.Rates[i]})
	}
	for i := range r.Programs {
		lines = append(lines, line{Program: &r.Programs[i]})
	}
	for i := range r.Extras {
		lines = append(lines, line{Extra: &r.Extras[i]})
	}
	for i := range r.Maps {
		lines = append(lines, line{Maps: &r.Maps[i]})
	}
	for i := range r.Setups {
		lines = append(lines, line{Setup: &r.Setups[i]})
	}
	enc := json.NewEncoder(w)
	for _, l := range lines {
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	return nil
}

// ReadJSON is the inverse of WriteJSON.
func ReadJSON(r io.Reader) (*Report, error) {
	report := &Report{}
	in := bufio.NewScanner(r)
	for n := 1; in.Scan(); n++ {
		dec := json.NewDecoder(bytes.NewReader(in.Bytes()))
		dec.DisallowUnknownFields()
		var l line
		if err := dec.Decode(&l); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		switch {
		case l.Host != nil:
			report.Host = *l.Host
		case l.Rate != nil:
			report.Rates = append(report.Rates, *l.Rate)
		case l.Program != nil:
			report.Programs = append(report.Programs, *l.Program)
		case l.Extra != nil:
			report.Extras = append(report.Extras, *l.Extra)
		case l.Maps != nil:
			report.Maps = append(report.Maps, *l.Maps)
		case l.Setup != nil:
			report.Setups = append(report.Setups, *l.Setup)
		}
	}
	return report, in.Err()
}

// Problems lists packets that were not as they had to be, and forwarders of which
// nothing was checked.
func (r *Report) Problems() error {
	var errs []error
	checked := make(map[string]int)
	for _, rate := range r.Rates {
		checked[rate.Forwarder] += rate.Checked
		if rate.Wrong > 0 {
			errs = append(errs, fmt.Errorf("%s, %s, %d bytes, %d sessions: %d of %d packets wrong: %s",
				rate.Forwarder, rate.Direction, rate.Size, rate.Sessions, rate.Wrong, rate.Checked, rate.Problem))
		}
	}
	for _, name := range Forwarders {
		if n, measured := checked[name]; measured && n == 0 {
			errs = append(errs, fmt.Errorf("%s: no packet was checked", name))
		}
	}
	return errors.Join(errs...)
}

// Spread is the median of rounds, with their minimum and maximum.
type Spread struct{ Median, Min, Max float64 }

func spreadOf(values []float64) Spread {
	slices.Sort(values)
	n := len(values)
	return Spread{(values[(n-1)/2] + values[n/2]) / 2, values[0], values[n-1]}
}

// spread sums up the rounds of one forwarder in one cell; false where there are none.
func (r *Report) spread(forwarder string, c cell) (Spread, bool) {
	var values []float64
	for _, rate := range r.Rates {
		if rate.Forwarder == forwarder && rate.Direction == c.direction.String() && rate.Size == c.size && rate.Sessions == c.sessions {
			values = append(values, rate.PPS)
		}
	}
	if len(values) == 0 {
		return Spread{}, false
	}
	return spreadOf(values), true
}

// cells lists what was measured, in the order of first appearance.
func (r *Report) cells() []cell {
	var list []cell
	for _, rate := range r.Rates {
		c := cell{direction: Up, size: rate.Size, sessions: rate.Sessions}
		if rate.Direction == Down.String() {
			c.direction = Down
		}
		if !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// disturbed counts the rounds in which the generator did not have its CPU.
func (r *Report) disturbed() (n, of int) {
	for _, rate := range r.Rates {
		if rate.Offered == 0 {
			of++
			if rate.Share < MinShare {
				n++
			}
		}
	}
	return n, of
}
