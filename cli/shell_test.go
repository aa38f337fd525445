package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/lnsd/lnsd/cli"
	"github.com/lnsd/lnsd/control/api/apitest"
	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/session"
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

// operator is a person at a terminal: types, and waits for what comes.
type operator struct {
	t    *testing.T
	tty  *os.File
	home string

	mu   sync.Mutex
	more *sync.Cond
	seen bytes.Buffer // all that came
	read int          // how much of it was expected
	done bool
}

func sit(t *testing.T, b *apitest.Backend, rows uint16) *operator {
	t.Helper()
	return sitFor(t, b, rows, "")
}

// sitFor is sit for one command instead of a shell.
func sitFor(t *testing.T, b *apitest.Backend, rows uint16, args string) *operator {
	t.Helper()
	socket := apitest.Start(t, b, now)
	o := &operator{t: t, home: t.TempDir()}
	o.more = sync.NewCond(&o.mu)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), shellVariable+"="+socket, argsVariable+"="+args, "HOME="+o.home, "TERM=xterm")
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: rows, Cols: 200})
	if err != nil {
		t.Fatal(err)
	}
	o.tty = tty
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var b [4096]byte
		for {
			n, err := tty.Read(b[:])
			o.mu.Lock()
			o.seen.Write(b[:n])
			o.done = err != nil
			o.more.Broadcast()
			o.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		tty.Close()
		<-ended
	})
	return o
}

func (o *operator) types(text string) {
	o.t.Helper()
	if _, err := o.tty.WriteString(text); err != nil {
		o.t.Fatal(err)
	}
}

// sees waits until something is on the screen, behind what was seen before.
func (o *operator) sees(what string) string {
	o.t.Helper()
	text, ok := o.look(what, time.Minute)
	if !ok {
		o.t.Fatalf("%q does not come; there is\n%s", what, text)
	}
	return text
}

// comes is sees for something that need not come within a time.
func (o *operator) comes(what string, within time.Duration) bool {
	o.t.Helper()
	_, ok := o.look(what, within)
	if !ok && o.over() {
		o.t.Fatalf("%q does not come any more", what)
	}
	return ok
}

// look waits for what, and returns the text up to its end, or all that there is.
func (o *operator) look(what string, within time.Duration) (string, bool) {
	late := false
	deadline := time.AfterFunc(within, func() {
		o.mu.Lock()
		late = true
		o.more.Broadcast()
		o.mu.Unlock()
	})
	defer deadline.Stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		text := string(o.seen.Bytes()[o.read:])
		if i := strings.Index(text, what); i >= 0 {
			o.read += i + len(what)
			return text[:i+len(what)], true
		}
		if o.done || late {
			return text, false
		}
		o.more.Wait()
	}
}

func (o *operator) over() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.done
}

// ends waits for the end of the shell.
func (o *operator) ends() {
	o.t.Helper()
	const nothing = "\x00"
	if text, _ := o.look(nothing, time.Minute); !o.over() {
		o.t.Fatalf("the shell does not end; there is\n%s", text)
	}
}

func (o *operator) transcript() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen.String()
}

func TestAPersonWalksTheShell(t *testing.T) {
	b := daemon()
	b.Grammars = grammar()
	o := sit(t, b, 60)
	o.sees("lns1> ")
	o.types("sh ver\r")
	o.sees("lnsd   1.0-test")
	o.sees("lns1> ")
	o.types("drop session 1\r")
	o.sees("% unknown command: drop")
	o.types("ena\r")
	o.sees("lns1# ")
	o.types("drop session ?")
	o.sees("alice@example")
	o.types("1\r")
	o.sees("lns1# ")
	o.types("show sess\t")
	o.sees("show session ")
	o.types("| include alice\r")
	o.sees("alice@example")
	o.sees("lns1# ")
	o.types("sh sess | count alice\r")
	o.sees("1\r\n")
	o.sees("lns1# ")
	o.types("show session | exclude alice|evil|SID\r")
	if text := o.sees("lns1# "); strings.Contains(text, "alice@") {
		t.Errorf("exclude shows what it is to exclude:\n%s", text)
	}
	o.types("sh s\r")
	o.sees("% ambiguous command: sh s may be session, status")
	o.types("show counters | begin session\r")
	if text := o.sees("lns1# "); strings.Contains(text, "tunnel_created") {
		t.Errorf("begin begins too early:\n%s", text)
	}
	o.types("clear counters\r")
	o.sees("counts from now on")
	o.types("show counters | include tunnel_created\r")
	o.sees("tunnel_created                                              0")
	o.types("garbage that I think better of\x03")
	o.sees("lns1# ")
	o.types("\x1b[A") // up: the last line again
	o.sees("show counters | include tunnel_created")
	o.types("\x03")

	o.types("conf t\r")
	o.sees("lns1(config)# ")
	o.types("set de?")
	o.sees("debug")
	o.types("\t?")
	o.sees("now 3, 1 unless set; takes effect: live")
	o.types("4\r")
	o.sees("lns1(config)# ")
	o.types("set partial one\r")
	o.sees("% not yet in force: something is missing")
	o.types("set wrong 1\r")
	o.sees("% refused: that is wrong")
	o.types("set hostname \"a b\"\r")
	o.sees("lns1(config)# ")
	o.types("ip access-list extended web\r")
	o.sees("lns1(config-acl)# ")
	o.types("permit ip any any\r")
	o.sees("lns1(config-acl)# ")
	o.types("exit\r")
	o.sees("lns1(config)# ")
	o.types("do sh status\r")
	o.sees("Host name:")
	o.types("\x1a")
	o.sees("lns1# ")
	o.types("write mem\r")
	o.sees("1 changes written to /etc/lnsd/startup-config")
	o.types("disable\r")
	o.sees("lns1> ")
	o.types("exit\r")
	o.ends()

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
	goldenText(t, "shell", o.transcript())
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
	o.sees("lns1> ")
	o.types("show counters\r")
	first := o.sees("--More--")
	if n := strings.Count(first, "\n"); n > 10 {
		t.Errorf("%d lines on a screen of 10:\n%s", n, first)
	}
	o.types(" ")
	o.sees("--More--")
	o.types("\r")
	if text := o.sees("--More--"); strings.Count(text, "counter_") != 1 {
		t.Errorf("Enter shows\n%s", text)
	}
	o.types("q")
	o.sees("lns1> ")
	o.types("show counters | include counter_4\r")
	o.sees("--More--")
	o.types("\x03")
	o.sees("lns1> ")
	o.types("terminal length 0\r")
	o.sees("lns1> ")
	o.types("show counters\r")
	if text := o.sees("counter_49"); strings.Contains(text, "--More--") {
		t.Error("the pager stops although it is off")
	}
	o.sees("lns1> ")
	o.types("\x04")
	o.ends()
}

func TestInterruptEndsACommand(t *testing.T) {
	o := sit(t, daemon(), 24)
	o.sees("lns1> ")
	o.types("watch\r")
	for !o.comes("lns1> ", 200*time.Millisecond) { // ^C before the command runs is for the line
		o.types("\x03")
	}
	o.types("show version\r")
	o.sees("lnsd   1.0-test")
	o.types("exit\r")
	o.ends()
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
