package cli_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/lnsd/lnsd/cli"
	"github.com/lnsd/lnsd/control/api/apitest"
	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/test/terminal"
)

// shellVariable makes the test's own program an lnsctl: a shell wants a process with a
// terminal.
const (
	shellVariable = "LNSCTL_SHELL_TEST"
	argsVariable  = "LNSCTL_SHELL_ARGS"
)

func shellMain() {
	os.Exit(cli.Run(context.Background(), cli.Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Version: "1.0-test", Socket: os.Getenv(shellVariable),
	}, strings.Fields(os.Getenv(argsVariable))))
}

// operator is a person at a terminal.
type operator struct {
	*terminal.Screen
	home string
}

func sit(t *testing.T, b *apitest.Backend, rows uint16) *operator {
	t.Helper()
	return sitFor(t, b, rows, "")
}

// sitFor is sit for one command instead of a shell.
func sitFor(t *testing.T, b *apitest.Backend, rows uint16, args string) *operator {
	t.Helper()
	socket := apitest.Start(t, b, now)
	o := &operator{home: t.TempDir()}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), shellVariable+"="+socket, argsVariable+"="+args, "HOME="+o.home, "TERM=xterm")
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: rows, Cols: 200})
	if err != nil {
		t.Fatal(err)
	}
	o.Screen = terminal.Watch(t, tty, tty)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		tty.Close()
		o.Ends()
	})
	return o
}

func TestAPersonWalksTheShell(t *testing.T) {
	b := daemon()
	b.Grammars = grammar()
	o := sit(t, b, 60)
	o.Sees("lns1> ")
	o.Types("sh ver\r")
	o.Sees("lnsd   1.0-test")
	o.Sees("lns1> ")
	o.Types("drop session 1\r")
	o.Sees("% unknown command: drop")
	o.Types("ena\r")
	o.Sees("lns1# ")
	o.Types("drop session ?")
	o.Sees("alice@example")
	o.Types("1\r")
	o.Sees("lns1# ")
	o.Types("show sess\t")
	o.Sees("show session ")
	o.Types("| include alice\r")
	o.Sees("alice@example")
	o.Sees("lns1# ")
	o.Types("sh sess | count alice\r")
	o.Sees("1\r\n")
	o.Sees("lns1# ")
	o.Types("show session | exclude alice|evil|SID\r")
	if text := o.Sees("lns1# "); strings.Contains(text, "alice@") {
		t.Errorf("exclude shows what it is to exclude:\n%s", text)
	}
	o.Types("sh s\r")
	o.Sees("% ambiguous command: sh s may be session, status")
	o.Types("show counters | begin session\r")
	if text := o.Sees("lns1# "); strings.Contains(text, "tunnel_created") {
		t.Errorf("begin begins too early:\n%s", text)
	}
	o.Types("clear counters\r")
	o.Sees("counts from now on")
	o.Types("show counters | include tunnel_created\r")
	o.Sees("tunnel_created                                              0")
	o.Types("garbage that I think better of\x03")
	o.Sees("lns1# ")
	o.Types("\x1b[A") // up: the last line again
	o.Sees("show counters | include tunnel_created")
	o.Types("\x03")

	o.Types("conf t\r")
	o.Sees("lns1(config)# ")
	o.Types("set de?")
	o.Sees("debug")
	o.Types("\t?")
	o.Sees("now 3, 1 unless set; takes effect: live")
	o.Types("4\r")
	o.Sees("lns1(config)# ")
	o.Types("set partial one\r")
	o.Sees("% not yet in force: something is missing")
	o.Types("set wrong 1\r")
	o.Sees("% refused: that is wrong")
	o.Types("set hostname \"a b\"\r")
	o.Sees("lns1(config)# ")
	o.Types("ip access-list extended web\r")
	o.Sees("lns1(config-acl)# ")
	o.Types("permit ip any any\r")
	o.Sees("lns1(config-acl)# ")
	o.Types("exit\r")
	o.Sees("lns1(config)# ")
	o.Types("do sh status\r")
	o.Sees("Host name:")
	o.Types("\x1a")
	o.Sees("lns1# ")
	o.Types("write mem\r")
	o.Sees("1 changes written to /etc/lnsd/startup-config")
	o.Types("disable\r")
	o.Sees("lns1> ")
	o.Types("exit\r")
	o.Ends()

	want := []string{
		"drop session 1 cause 6", "configure set debug 4", "configure set partial one", "configure set hostname \"a b\"",
		"configure ip access-list extended web", "configure permit ip any any in ip access-list extended web", "write memory",
	}
	if got := b.Calls(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("calls:\n%s", strings.Join(got, "\n"))
	}
	info, err := os.Stat(filepath.Join(o.home, ".lnsctl_history"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("history: %v, %v", info, err)
	}
	goldenText(t, "shell", o.Text())
}

// goldenText compares a transcript without what the line editor does to the screen.
func goldenText(t *testing.T, name, text string) {
	t.Helper()
	text = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`).ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "\r", "")
	var lines []string
	for l := range strings.Lines(text) {
		// How a line grew on the screen depends on how fast the keys came.
		if strings.HasPrefix(l, "lns1") {
			continue
		}
		lines = append(lines, strings.TrimRight(l, " \n"))
	}
	got := strings.Join(lines, "\n") + "\n"
	path := filepath.Join("testdata", name+".transcript")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("transcript differs from %s (-update writes it):\n%s", path, got)
	}
}

func TestPagerStopsAndGoesOn(t *testing.T) {
	b := daemon()
	for i := range 50 {
		b.CounterList = append(b.CounterList, session.Count{Name: fmt.Sprintf("counter_%02d", i)})
	}
	o := sit(t, b, 10)
	o.Sees("lns1> ")
	o.Types("show counters\r")
	first := o.Sees("--More--")
	if n := strings.Count(first, "\n"); n > 10 {
		t.Errorf("%d lines on a screen of 10:\n%s", n, first)
	}
	o.Types(" ")
	o.Sees("--More--")
	o.Types("\r")
	if text := o.Sees("--More--"); strings.Count(text, "counter_") != 1 {
		t.Errorf("Enter shows\n%s", text)
	}
	o.Types("q")
	o.Sees("lns1> ")
	o.Types("show counters | include counter_4\r")
	o.Sees("--More--")
	o.Types("\x03")
	o.Sees("lns1> ")
	o.Types("terminal length 0\r")
	o.Sees("lns1> ")
	o.Types("show counters\r")
	if text := o.Sees("counter_49"); strings.Contains(text, "--More--") {
		t.Error("the pager stops although it is off")
	}
	o.Sees("lns1> ")
	o.Types("\x04")
	o.Ends()
}

func TestInterruptEndsACommand(t *testing.T) {
	o := sit(t, daemon(), 24)
	o.Sees("lns1> ")
	o.Types("watch\r")
	for !o.Comes("lns1> ", 200*time.Millisecond) { // ^C before the command runs is for the line
		o.Types("\x03")
	}
	o.Types("show version\r")
	o.Sees("lnsd   1.0-test")
	o.Types("exit\r")
	o.Ends()
}

func grammar() *lnsv1.GrammarReply {
	list := &lnsv1.GrammarCommand{Name: "ip", Help: "Begin an access list.", Args: []*lnsv1.GrammarArg{
		{Name: "access-list", Words: []string{"access-list"}}, {Name: "KIND", Words: []string{"standard", "extended"}}, {Name: "NAME", Help: "Name."}}}
	return &lnsv1.GrammarReply{
		Commands: []*lnsv1.GrammarCommand{
			{Name: "set", Help: "Give a setting its value.", Args: []*lnsv1.GrammarArg{{Name: "NAME"}, {Name: "VALUE"}}},
			list, {Name: "permit", Within: true, Args: []*lnsv1.GrammarArg{{Name: "RULE", Rest: true}}},
		},
		Settings: []*lnsv1.GrammarSetting{
			{Name: "debug", Help: "How much is logged.", Type: "number", Value: "3", DefaultValue: "1", Apply: "live"},
			{Name: "hostname", Help: "Our name.", Apply: "new sessions"},
		},
	}
}
