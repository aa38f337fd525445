package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"log/syslog"

	"github.com/coreos/go-systemd/v22/journal"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/session"
)

func debugLevel() zap.AtomicLevel { return zap.NewAtomicLevelAt(zapcore.DebugLevel) }

func holds(t *testing.T, path, text string) bool {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(b), text)
}

// SIGHUP opens the log again under its name, also when the configuration can't be read:
// who rotates logs must not depend on it.
func TestHangupReopensTheLog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lnsd.log")
	sink, err := openLogSink(path)
	if err != nil {
		t.Fatal(err)
	}
	log := newLogger(sink, debugLevel(), "json").With(zap.Int("shard", 3))
	log.Info("before")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	log.Info("meanwhile")
	d := &daemon{log: log}
	d.hangup(context.Background(), newLive(flags{config: filepath.Join(dir, "none")}, &config.Config{}, "", d, sink, debugLevel()))
	log.Info("after")
	if !holds(t, path+".1", "before") || !holds(t, path+".1", "meanwhile") || !holds(t, path, "after") || !holds(t, path, `"shard":3`) {
		t.Error("lines are not where they belong")
	}
	if holds(t, path+".1", "after") {
		t.Error("the old file is still written")
	}
}

// The log goes to another file when log_file changes, and stays where it is when that
// can't be opened.
func TestLogSwitches(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	sink, err := openLogSink(one)
	if err != nil {
		t.Fatal(err)
	}
	log := newLogger(sink, debugLevel(), "json")
	if err := sink.Switch(filepath.Join(dir, "no", "such")); err == nil {
		t.Error("a path that is none is taken")
	}
	log.Info("first")
	if err := sink.Switch(two); err != nil {
		t.Fatal(err)
	}
	log.Info("second")
	if !holds(t, one, "first") || !holds(t, two, "second") || holds(t, one, "second") {
		t.Error("lines are not where they belong")
	}
}

// Every facility that the configuration takes exists, and lines carry it with the
// severity of their level.
func TestSyslog(t *testing.T) {
	for name := range facilities {
		if err := config.CheckLogFile(syslogPrefix + name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(facilities) != 21 {
		t.Errorf("%d facilities", len(facilities))
	}
	path := filepath.Join(t.TempDir(), "log")
	ln, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	w, err := syslog.Dial("unixgram", path, facilities["local5"]|syslog.LOG_INFO, "lnsd")
	if err != nil {
		t.Fatal(err)
	}
	log := newLogger(&logSink{name: "syslog:local5", to: destination{syslog: w}}, debugLevel(), "")
	log.Debug("one", zap.Int("n", 7))
	log.Info("two")
	log.Warn("three")
	log.Error("four")
	log.DPanic("five")
	const local5 = 21 * 8
	for i, want := range []string{"one", "two", "three", "four", "five"} {
		severity := []string{"175", "174", "172", "171", "170"}[i] // local5, then 7, 6, 4, 3, 2
		b := make([]byte, 4096)
		if err := ln.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, err := ln.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		line := string(b[:n])
		if !strings.HasPrefix(line, "<"+severity+">") || !strings.Contains(line, want) || !strings.Contains(line, "lnsd[") {
			t.Errorf("%q, want %q with priority %s (facility %d)", line, want, severity, local5)
		}
		if i == 0 && !strings.Contains(line, `"n":7`) {
			t.Errorf("%q has no fields", line)
		}
	}
}

// journalSocket is where systemd's journal listens.
const journalSocket = "/run/systemd/journal/socket"

// The journal gets the line, its priority, and the fields as fields of its own.
func TestJournal(t *testing.T) {
	if _, err := os.Stat(journalSocket); !errors.Is(err, os.ErrNotExist) || os.Getuid() != 0 {
		t.Skip("takes root, and a host without a journal, to stand in for it")
	}
	if err := os.MkdirAll(filepath.Dir(journalSocket), 0o755); err != nil {
		t.Fatal(err)
	}
	ln, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: journalSocket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ln.Close()
		os.Remove(journalSocket)
	})
	if !journal.Enabled() {
		t.Skip("the journal's client has looked before")
	}
	sink, err := openLogSink(journalFile)
	if err != nil {
		t.Fatal(err)
	}
	newLogger(sink, debugLevel(), "").Named("engine").Warn("call refused", zap.Uint16("tunnel", 9), zap.String("odd key", "x"))
	b := make([]byte, 4096)
	if err := ln.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	n, err := ln.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"MESSAGE=call refused\n", "PRIORITY=4\n", "SYSLOG_IDENTIFIER=lnsd\n", "LNSD_TUNNEL=9\n", "LNSD_ODD_KEY=x\n", "LNSD_LOGGER=engine\n"} {
		if !strings.Contains(string(b[:n]), want) {
			t.Errorf("%q lacks %q", b[:n], want)
		}
	}
}

// The flags for traces and syslog mean what they say, and a wrong value is a mistake of
// usage.
func TestTraceFlags(t *testing.T) {
	for _, c := range []struct {
		f    flags
		mask session.TraceMask
		file string
		ok   bool
	}{
		{flags{}, 0, "/log", true},
		{flags{trace: "1027"}, session.TraceProtocol | session.TraceFSM | session.TracePPP, "/log", true},
		{flags{trace: "ppp,avp"}, session.TracePPP | session.TraceAVP, "/log", true},
		{flags{traceAll: true}, session.TraceAll, "/log", true},
		{flags{facility: "local3"}, 0, "syslog:local3", true},
		{flags{trace: "everything"}, 0, "/log", false},
		{flags{facility: "local8"}, 0, "syslog:local8", false},
	} {
		if err := c.f.valid(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.f, err)
		}
		if m, _ := c.f.traced(); m != c.mask {
			t.Errorf("%+v: mask %v, want %v", c.f, m, c.mask)
		}
		if got := c.f.logFile(&config.Config{Log: config.Log{File: "/log"}}); got != c.file {
			t.Errorf("%+v: log file %s", c.f, got)
		}
	}
	cmd := command()
	cmd.SetArgs([]string{"-d", "4096", "--check"})
	var usage usageError
	if err := cmd.Execute(); !errors.As(err, &usage) {
		t.Errorf("-d 4096: %v", err)
	}
	for short, long := range map[string]string{"d": "trace", "D": "trace-all", "L": "syslog"} {
		if f := cmd.Flags().ShorthandLookup(short); f == nil || f.Name != long {
			t.Errorf("-%s is not --%s", short, long)
		}
	}
}
