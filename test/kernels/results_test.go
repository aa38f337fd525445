package kernels

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// report is what a machine has told.
type report struct {
	kernel string // its release
	suites []suite
	// complaint is what init, or the kernel of itself, had to say; empty is good.
	complaint string
}

// suite is one test binary's run.
type suite struct {
	name   string
	output []byte
	status string // exit status
}

// parse splits what a machine has printed (see command guest).
func parse(out []byte) (report, error) {
	var r report
	bye := false
	for line := range bytes.Lines(out) {
		text, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "@@ ")
		verb, rest, _ := strings.Cut(text, " ")
		switch {
		case !ok:
			if n := len(r.suites); n > 0 {
				r.suites[n-1].output = append(r.suites[n-1].output, line...)
			}
		case verb == "kernel":
			r.kernel = rest
		case verb == "begin":
			r.suites = append(r.suites, suite{name: rest})
		case verb == "end" && len(r.suites) > 0:
			_, r.suites[len(r.suites)-1].status, _ = strings.Cut(rest, " ")
		case verb == "bye":
			bye = true
		default:
			r.complaint += text + "\n"
		}
	}
	if !bye {
		return r, errors.New("the machine stopped before its tests were done")
	}
	return r, nil
}

// result is one test's end.
type result struct {
	name   string
	action string // pass, fail or skip
	output string
	attrs  map[string]string
}

// results reads the suite's output, in the order in which tests ended.
func (s suite) results() ([]result, error) {
	cmd := exec.Command("go", "tool", "test2json")
	cmd.Stdin = bytes.NewReader(s.output)
	events, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go tool test2json: %w", err)
	}
	return readEvents(bytes.NewReader(events))
}

// readEvents collects events as test2json writes them. The output of a test
// includes that of its subtests' headings only.
func readEvents(r io.Reader) ([]result, error) {
	var ended []result
	running := make(map[string]*result)
	for d := json.NewDecoder(r); ; {
		var e struct{ Action, Test, Output, Key, Value string }
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return ended, nil
		} else if err != nil {
			return nil, err
		}
		t := running[e.Test]
		if t == nil {
			t = &result{name: e.Test, attrs: make(map[string]string)}
			running[e.Test] = t
		}
		switch e.Action {
		case "output":
			t.output += e.Output
		case "attr":
			t.attrs[e.Key] = e.Value
		case "pass", "fail", "skip":
			t.action = e.Action
			if e.Test != "" {
				ended = append(ended, *t)
			}
		}
	}
}
