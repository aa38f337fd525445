package config

import (
	"strings"
	"testing"
)

func TestPacketHooks(t *testing.T) {
	text := "hook up /etc/lnsd/count.o\nhook down \"/etc/lnsd/my hooks.o\" drop_all\n"
	c, _, err := Parse("f", text, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := Hooks{Up: PacketHook{File: "/etc/lnsd/count.o"}, Down: PacketHook{File: "/etc/lnsd/my hooks.o", Function: "drop_all"}}
	if c.Hooks != want {
		t.Errorf("%+v", c.Hooks)
	}
	if !strings.Contains(c.Running(), text) {
		t.Errorf("rendered as:\n%s", c.Running())
	}
	other, _, err := Parse("f", "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if changes := Diff(c, other); len(changes) != 1 || changes[0] != (Change{"hook", Live}) {
		t.Errorf("%+v", changes)
	}
}
