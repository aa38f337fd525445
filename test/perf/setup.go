package perf

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/lnsd/lnsd/test/lac/l2tpns"
)

// Setup is how fast one server took calls, and what memory they cost it.
type Setup struct {
	Server string `json:"server"`
	// Auth says who knows the subscribers: radius or file.
	Auth string `json:"auth"`
	// Parallel is how many calls were being set up at a time: the number with
	// which the server was fastest.
	Parallel int     `json:"parallel"`
	Wanted   int     `json:"wanted"`
	Up       int     `json:"up"`
	Failed   int     `json:"failed"`
	Rate     float64 `json:"sessions_per_second"`
	P50      float64 `json:"p50_seconds"` // ICRQ to address
	P99      float64 `json:"p99_seconds"`
	Teardown float64 `json:"teardown_seconds"`
	// Memory is by how many bytes the process grew per session.
	Memory float64 `json:"memory_per_session"`
}

// setupTunnels is how many LACs the calls come from.
const setupTunnels = 20

// contender is a server that takes calls.
type contender struct {
	name, auth string
	start      func(r *rig, dir string) (*server, error)
}

func contenders(lnsd string) []contender {
	return []contender{
		{L2TPNS, "radius", startL2TPNS},
		{LNSD, "radius", func(r *rig, dir string) (*server, error) { return startWithRADIUS(r, lnsd, dir) }},
		{LNSD, "file", func(r *rig, dir string) (*server, error) { return startLNSD(r, lnsd, dir) }},
	}
}

// startWithRADIUS starts lnsd with the same responder that l2tpns has.
func startWithRADIUS(r *rig, binary, dir string) (*server, error) {
	radius, err := l2tpns.Respond(r.lab.LNS, userPassword)
	if err != nil {
		return nil, err
	}
	s, err := startLNSD(r, binary, dir, "set primary_radius 127.0.0.1",
		fmt.Sprintf("set radius_secret %q", l2tpns.RADIUSSecret), `set radius_authtypes "chap"`)
	if err != nil {
		return nil, errors.Join(err, radius.Close())
	}
	stop := s.stop
	s.stop = func() error { return errors.Join(stop(), radius.Close()) }
	return s, nil
}

// parallels are the numbers of simultaneous calls that are tried. A server that is asked
// too much at once loses messages, and waiting for their repetition costs more than
// anything.
var parallels = []int{30, 100, 300}

// bestSetup has one contender take sessions calls at each pace, and returns its best.
func bestSetup(c contender, sessions int) (best Setup, err error) {
	for _, parallel := range parallels {
		s, err := measureSetup(c, sessions, parallel)
		if err != nil {
			return s, err
		}
		if s.Rate > best.Rate {
			best = s
		}
	}
	return best, nil
}

// measureSetup has one contender take sessions calls and drop them again.
func measureSetup(c contender, sessions, parallel int) (out Setup, err error) {
	var open closers
	defer func() { err = errors.Join(err, open.close()) }()
	out = Setup{Server: c.name, Auth: c.auth, Parallel: parallel, Wanted: sessions}
	r, err := newRig()
	if err != nil {
		return out, err
	}
	open.add(r.close)
	dir, err := os.MkdirTemp("", "lnsbench")
	if err != nil {
		return out, err
	}
	open.add(func() error { return os.RemoveAll(dir) })
	s, err := c.start(r, dir)
	if err != nil {
		return out, err
	}
	open.add(s.stop)
	before, err := resident(s.pid)
	if err != nil {
		return out, err
	}
	report, err := setUp(r, sessions, parallel, func() error {
		after, err := resident(s.pid)
		out.Memory = (float64(after) - float64(before)) / float64(sessions)
		return err
	})
	if err != nil {
		return out, err
	}
	out.Up, out.Failed = report.Sessions.Up, report.Sessions.Wanted-report.Sessions.Up
	out.Rate = report.Setup.Rate
	out.P50 = time.Duration(report.Setup.Session.P50).Seconds()
	out.P99 = time.Duration(report.Setup.Session.P99).Seconds()
	out.Teardown = time.Duration(report.Teardown.Duration).Seconds()
	return out, nil
}
