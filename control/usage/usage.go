// Package usage writes the subscribers' traffic into files of the form that l2tpns
// has: one every five minutes, with a line for each session that moved something
// since the file before, and one each minute in between for sessions that ended.
//
//	accounting_dir/YYYYMMDDhhmmss
//	# dslwatch.pl dump file V1.01
//	# host: lns1
//	# endpoint: 192.0.2.1
//	# time: 1700000000
//	# uptime: 86400
//	# format: username ip qos uptxoctets downrxoctets
//	user 10.0.0.1 1 12345 67890
//
// Up is from the subscriber; qos is 2 for one that is throttled and 1 for others.
package usage

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/session"
)

// The periods are l2tpns' own.
const (
	allEvery   = 5 * time.Minute
	endedEvery = time.Minute
)

// Config says what the files say of us, and where they go.
type Config struct {
	Dir      string
	HostName string
	// Endpoint is our address towards the LACs.
	Endpoint netip.Addr
	// Started is when the daemon did.
	Started time.Time
	// Origin adds a column that says where the traffic came from: always "L", from
	// a LAC.
	Origin bool
	Log    *zap.Logger
}

// Writer writes the files.
type Writer struct {
	cfg Config

	mu sync.Mutex
	// written is what of each session is in the files already, by accounting id.
	written map[string]volume
	// ended are the sessions that are over and not in a file yet.
	ended []line
	nfull uint64
}

type volume struct{ up, down uint64 }

type line struct {
	user      string
	address   netip.Addr
	throttled bool
	volume
}

// maxEnded bounds what is kept of ended sessions between two files.
const maxEnded = 1 << 18

// New returns a writer; Run makes it work.
func New(cfg Config) *Writer {
	return &Writer{cfg: cfg, written: make(map[string]volume)}
}

// Lister calls yield with the sessions there are, some at a time.
type Lister func(ctx context.Context, yield func([]session.View) error) error

// Run writes files until ctx ends, and then a last one of the sessions that ended.
func (w *Writer) Run(ctx context.Context, sessions Lister) {
	tick := time.NewTicker(endedEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case now := <-tick.C:
			if n%int(allEvery/endedEvery) == 0 {
				w.report(w.All(ctx, now, sessions))
			} else {
				w.report(w.Ended(now))
			}
		case <-ctx.Done():
			w.report(w.Ended(time.Now()))
			return
		}
	}
}

func (w *Writer) report(err error) {
	if err != nil {
		w.cfg.Log.Error("the subscribers' usage was not written", zap.Error(err))
	}
}

// Account takes note of sessions that end. Other records are passed over.
func (w *Writer) Account(r *session.AcctRecord) {
	if r.Kind != session.AcctStop {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l := line{user: r.User, address: r.Address, throttled: r.Throttled}
	l.volume = w.since(r.Call.AcctSessionID, r.Counters)
	delete(w.written, r.Call.AcctSessionID)
	if !l.counts() {
		return
	}
	if len(w.ended) >= maxEnded {
		w.nfull++
		return
	}
	w.ended = append(w.ended, l)
}

// since returns what a session moved since it was last written.
func (w *Writer) since(id string, c session.Counters) volume {
	old := w.written[id]
	return volume{c.UpBytes - old.up, c.DownBytes - old.down}
}

// counts reports whether l2tpns would write the line: somebody has moved something.
func (l *line) counts() bool {
	return l.user != "" && l.address.IsValid() && (l.up != 0 || l.down != 0)
}

// Ended writes a file of the sessions that ended since the last one, if any did.
func (w *Writer) Ended(now time.Time) error { return w.write(now, nil) }

// All writes a file of all sessions, if any moved something.
func (w *Writer) All(ctx context.Context, now time.Time, sessions Lister) error {
	var lines []line
	err := sessions(ctx, func(views []session.View) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		for i := range views {
			v := &views[i]
			if v.UpSince.IsZero() || v.State == "closing" || v.Services != nil && v.Services.Garden != "" {
				continue
			}
			l := line{user: v.User, address: v.Address, volume: w.since(v.AcctSessionID, v.Counters)}
			if s := v.Services; s != nil {
				l.throttled = s.Up.Limited() || s.Down.Limited()
			}
			if l.counts() {
				lines = append(lines, l)
				w.written[v.AcctSessionID] = volume{v.Counters.UpBytes, v.Counters.DownBytes}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.write(now, lines)
}

// write makes a file of the lines and of the sessions that ended. It appears under
// its name when it is complete: who collects them must not find half of one.
func (w *Writer) write(now time.Time, lines []line) error {
	w.mu.Lock()
	lines = append(w.ended, lines...)
	w.ended = nil
	lost := w.nfull
	w.nfull = 0
	w.mu.Unlock()
	if lost > 0 {
		w.cfg.Log.Error("sessions that ended are missing in the usage file", zap.Uint64("sessions", lost))
	}
	if len(lines) == 0 {
		return nil
	}
	name := filepath.Join(w.cfg.Dir, now.Local().Format("20060102150405"))
	tmp := filepath.Join(w.cfg.Dir, "."+filepath.Base(name)+".tmp")
	if err := os.WriteFile(tmp, w.text(now, lines), 0o640); err != nil {
		return fmt.Errorf("usage: %w", err)
	}
	if err := os.Rename(tmp, name); err != nil {
		return fmt.Errorf("usage: %w", err)
	}
	return nil
}

func (w *Writer) text(now time.Time, lines []line) []byte {
	var b bytes.Buffer
	columns, origin := "username ip qos uptxoctets downrxoctets", ""
	if w.cfg.Origin {
		columns, origin = columns+" origin(L=LAC, R=Remote LNS, P=PPPOE)", " L"
	}
	fmt.Fprintf(&b, "# dslwatch.pl dump file V1.01\n# host: %s\n# endpoint: %s\n# time: %d\n# uptime: %d\n# format: %s\n",
		w.cfg.HostName, w.cfg.Endpoint, now.Unix(), int64(now.Sub(w.cfg.Started).Seconds()), columns)
	for _, l := range lines {
		qos := 1
		if l.throttled {
			qos = 2
		}
		fmt.Fprintf(&b, "%s %s %d %d %d%s\n", word(l.user), l.address, qos, l.up, l.down, origin)
	}
	return b.Bytes()
}

// word keeps a name one column of one line.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f || r == '\uFFFD' {
			return '_'
		}
		return r
	}, s)
}
