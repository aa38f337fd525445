package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/dataplane"
)

// slots is a forwarding path that takes functions for packets.
type slots struct {
	in    [2]*dataplane.Hook
	calls int
	err   error
}

func (s *slots) SetHook(up bool, h *dataplane.Hook) error {
	s.calls++
	if s.err == nil {
		s.in[index(up)] = h
	}
	return s.err
}

func (s *slots) HookFunction(up bool) string {
	if h := s.in[index(up)]; h != nil {
		return string(h.Object)
	}
	return ""
}

// A reload reads the objects again, puts in and takes out what has changed, touches
// nothing else, and leaves alone what an operator has loaded.
func TestPacketHooksReload(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, two := write("one.o", "one"), write("two.o", "two")
	s, h := &slots{}, &packetHooks{}
	if err := s.SetHook(true, h.first(true, config.PacketHook{File: one}, zap.NewNop())); err != nil {
		t.Fatal(err)
	}
	s.calls = 0
	step := func(what string, c config.Hooks, calls int, up, down string, notes int) {
		t.Helper()
		got, err := h.reload(&c, s)
		if err != nil || len(got) != notes || s.calls != calls || s.HookFunction(true) != up || s.HookFunction(false) != down {
			t.Errorf("%s: %v, notes %q, %d calls, up %q, down %q", what, err, got, s.calls, s.HookFunction(true), s.HookFunction(false))
		}
		s.calls = 0
	}
	both := config.Hooks{Up: config.PacketHook{File: one}, Down: config.PacketHook{File: two}}
	step("nothing has changed", config.Hooks{Up: both.Up}, 0, "one", "", 0)
	step("another direction", both, 1, "one", "two", 0)
	write("one.o", "one, compiled again")
	step("the file has changed", both, 1, "one, compiled again", "two", 0)
	step("one is gone", config.Hooks{Down: both.Down}, 1, "", "two", 0)
	if _, err := h.reload(&config.Hooks{Up: config.PacketHook{File: filepath.Join(dir, "none")}}, s); err == nil || s.HookFunction(false) != "two" {
		t.Errorf("a file that is not there: %v, down %q", err, s.HookFunction(false))
	}
	s.err, s.calls = errors.New("the verifier refuses"), 0
	if _, err := h.reload(&both, s); err == nil {
		t.Error("a refusal was not told")
	}
	s.err, s.calls = dataplane.ErrNoXDP, 0
	step("without XDP", both, 1, "", "two", 1)

	s.err, s.calls = nil, 0
	s.in[0], h.source[0] = &dataplane.Hook{Object: []byte("an operator's")}, "uid 0"
	step("an operator's stays", both, 0, "an operator's", "two", 1)
	step("also where none is named", config.Hooks{}, 1, "an operator's", "", 0)
}
