package kernels

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
)

// recordFile is what the verifier was seen to need; it is committed.
const recordFile = "verifier.json"

// growth is by how much an instruction count may exceed the recorded one.
const growth = 0.10

// cost is what a program costs a kernel, at most, over all knobs.
type cost struct {
	// Instructions are those of the loaded program, and Verified those that the
	// verifier walked through; its limit is a million.
	Instructions int `json:"instructions"`
	Verified     int `json:"verified"`
	// Microseconds are the verifier's time in a machine run by Accelerator, for
	// information only.
	Microseconds int    `json:"verifier_us"`
	Accelerator  string `json:"accelerator"`
	Kernel       string `json:"kernel"`
}

// record is cost by kernel series and program.
type record map[string]map[string]cost

func readRecord() (record, error) {
	b, err := os.ReadFile(recordFile)
	if os.IsNotExist(err) {
		return record{}, nil
	}
	if err != nil {
		return nil, err
	}
	r := record{}
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", recordFile, err)
	}
	return r, nil
}

func (r record) write() error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(recordFile, append(b, '\n'), 0o644)
}

// costs returns the largest cost of each program among test results.
func costs(list []result) (map[string]cost, error) {
	found := make(map[string]cost)
	for _, r := range list {
		program := r.attrs["program"]
		if program == "" {
			continue
		}
		c := found[program]
		for key, field := range map[string]*int{
			"instructions": &c.Instructions, "verified": &c.Verified, "verifier_us": &c.Microseconds,
		} {
			n, err := strconv.Atoi(r.attrs[key])
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", r.name, key, err)
			}
			*field = max(*field, n)
		}
		found[program] = c
	}
	return found, nil
}

// compare returns a line about each program, and whether one costs too much more
// than recorded, is not recorded, or is recorded and gone.
func compare(was, is map[string]cost) (lines []string, accepted bool) {
	accepted = true
	for _, program := range slices.Sorted(maps.Keys(is)) {
		old, known := was[program]
		c := is[program]
		line := fmt.Sprintf("%s: %s instructions, %s verified in %d µs (%d µs recorded)", program,
			change(old.Instructions, c.Instructions), change(old.Verified, c.Verified), c.Microseconds, old.Microseconds)
		switch {
		case !known:
			line += ": not recorded"
			accepted = false
		case grew(old.Instructions, c.Instructions) || grew(old.Verified, c.Verified):
			line += fmt.Sprintf(": more than %.0f %% growth", growth*100)
			accepted = false
		}
		lines = append(lines, line)
	}
	for _, program := range slices.Sorted(maps.Keys(was)) {
		if _, ok := is[program]; !ok {
			lines = append(lines, program+": recorded, but there is no such program")
			accepted = false
		}
	}
	return lines, accepted
}

func grew(old, now int) bool { return float64(now) > float64(old)*(1+growth) }

// change writes a count with how it differs from the recorded one.
func change(old, now int) string {
	if old == 0 || old == now {
		return strconv.Itoa(now)
	}
	return fmt.Sprintf("%d (%+.1f %%)", now, 100*float64(now-old)/float64(old))
}
