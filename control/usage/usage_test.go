package usage

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/lnsd/lnsd/control/session"
)

var now = time.Date(2026, 11, 20, 14, 5, 9, 0, time.Local)

func writer(t *testing.T, origin bool) *Writer {
	return New(Config{
		Dir: t.TempDir(), HostName: "lns1", Endpoint: netip.MustParseAddr("192.0.2.1"),
		Started: now.Add(-24 * time.Hour), Origin: origin, Log: zaptest.NewLogger(t),
	})
}

func view(id, user string, up, down uint64) session.View {
	v := session.View{State: "up", User: user, Address: netip.MustParseAddr("10.0.0.1"), AcctSessionID: id, UpSince: now}
	v.Counters.UpBytes, v.Counters.DownBytes = up, down
	return v
}

func list(views ...session.View) Lister {
	return func(_ context.Context, yield func([]session.View) error) error { return yield(views) }
}

// files returns the names and the lines behind the header.
func (w *Writer) files(t *testing.T) map[string][]string {
	t.Helper()
	names, err := os.ReadDir(w.cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]string)
	for _, n := range names {
		b, err := os.ReadFile(filepath.Join(w.cfg.Dir, n.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[n.Name()] = strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
		if err := os.Remove(filepath.Join(w.cfg.Dir, n.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func wantFile(t *testing.T, got map[string][]string, name string, lines ...string) {
	t.Helper()
	if len(got) != 1 || strings.Join(got[name], "\n") != strings.Join(lines, "\n") {
		t.Errorf("files %q, not %s with %q", got, name, lines)
	}
}

var header = []string{
	"# dslwatch.pl dump file V1.01", "# host: lns1", "# endpoint: 192.0.2.1", "# time: " + strconv.FormatInt(now.Unix(), 10), "# uptime: 86400",
}

// The file is l2tpns' to the byte: its name, its header, and who is in it.
func TestFile(t *testing.T) {
	w := writer(t, false)
	throttled, garden, silent, nobody, setup := view("2", "slow", 7, 0), view("3", "gardened", 5, 5), view("4", "silent", 0, 0), view("5", "", 5, 5), view("6", "setup", 5, 5)
	throttled.Services = &session.Services{Down: session.Rate{Bits: 64000}}
	garden.Services = &session.Services{Garden: "default"}
	setup.UpSince = time.Time{}
	odd := view("7", "two words\n", 1, 2)
	if err := w.All(context.Background(), now, list(view("1", "alice", 5<<32, 99), throttled, garden, silent, nobody, setup, odd)); err != nil {
		t.Fatal(err)
	}
	wantFile(t, w.files(t), "20261120140509", append(append([]string(nil), header...),
		"# format: username ip qos uptxoctets downrxoctets",
		"alice 10.0.0.1 1 21474836480 99", "slow 10.0.0.1 2 7 0", "two_words_ 10.0.0.1 1 1 2")...)
}

func TestOrigin(t *testing.T) {
	w := writer(t, true)
	if err := w.All(context.Background(), now, list(view("1", "alice", 1, 2))); err != nil {
		t.Fatal(err)
	}
	wantFile(t, w.files(t), "20261120140509", append(append([]string(nil), header...),
		"# format: username ip qos uptxoctets downrxoctets origin(L=LAC, R=Remote LNS, P=PPPOE)", "alice 10.0.0.1 1 1 2 L")...)
}

// Each byte is in one file, whether the session goes on or ends; without any there is
// no file.
func TestEachByteOnce(t *testing.T) {
	w := writer(t, false)
	last := func() string {
		files := w.files(t)
		for _, lines := range files {
			return strings.Join(lines[6:], ";")
		}
		return ""
	}
	for i, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return w.All(context.Background(), now, list(view("1", "a", 100, 10))) }, "a 10.0.0.1 1 100 10"},
		{func() error { return w.All(context.Background(), now, list(view("1", "a", 100, 10))) }, ""},
		{func() error { return w.All(context.Background(), now, list(view("1", "a", 150, 10))) }, "a 10.0.0.1 1 50 0"},
		{func() error { return w.Ended(now) }, ""},
		{func() error {
			stop := &session.AcctRecord{Kind: session.AcctStop, User: "a", Address: netip.MustParseAddr("10.0.0.1"), Throttled: true}
			stop.Call.AcctSessionID, stop.Counters.UpBytes, stop.Counters.DownBytes = "1", 151, 12
			w.Account(stop)
			w.Account(&session.AcctRecord{Kind: session.AcctStart, User: "b"})
			return w.Ended(now)
		}, "a 10.0.0.1 2 1 2"},
		{func() error { return w.Ended(now) }, ""},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got := last(); got != step.want {
			t.Errorf("step %d: %q, not %q", i, got, step.want)
		}
	}
	if len(w.written) != 0 {
		t.Errorf("%d sessions are remembered for ever", len(w.written))
	}
}
