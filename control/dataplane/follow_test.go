package dataplane_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/lnsd/lnsd/control/dataplane"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/test/netlab"
)

// insideEnv tells TestInside what to do. A plane follows its host's interfaces
// from several threads, so it needs a whole process in the namespace.
const insideEnv = "LNSD_TEST_INSIDE"

// TestInside is the process in the LNS's namespace. It prints the modes and a
// session's counters whenever they change, until its input ends.
func TestInside(t *testing.T) {
	args := strings.Fields(os.Getenv(insideEnv))
	if len(args) == 0 {
		t.Skip("run by the tests that follow interfaces")
	}
	peer := netip.MustParseAddrPort(args[0])
	cfg := dataplane.Config{
		MaxSessions: 100, Interfaces: args[1:], UDPChecksum: true,
		Locals: []netip.AddrPort{lns}, LACs: []netip.Addr{netlab.LACAddr},
	}
	answered := make(chan error, 1)
	plane, err := dataplane.Open(cfg, func(a []session.Programmed) { answered <- a[0].Err }, zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	plane.Apply([]session.ProgramOp{{Record: newRecord(peer)}})
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	last := ""
	for {
		if now := fmt.Sprintf("state %v up=%d", plane.Modes(), plane.Counters(5).UpPackets); now != last {
			fmt.Println(now)
			last = now
		}
		select {
		case <-ended:
			if err := plane.Close(); err != nil {
				t.Error(err)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// inside starts TestInside and returns a function that waits until it prints a
// state with all of the given words.
func inside(r *rig, interfaces ...string) func(words ...string) {
	r.t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestInside$")
	cmd.Env = append(os.Environ(), insideEnv+"="+addrOf(r.lac).String()+" "+strings.Join(interfaces, " "))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err, err2, r.lab.LNS.Start(cmd)); err != nil {
		r.t.Fatal(err)
	}
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	r.t.Cleanup(func() {
		_ = stdin.Close()
		for range lines { // until it ends
		}
		if err := cmd.Wait(); err != nil {
			r.t.Error(err)
		}
	})
	return func(words ...string) {
		r.t.Helper()
		deadline := time.After(2 * wait)
		last := ""
	next:
		for {
			select {
			case line, ok := <-lines:
				if !ok {
					r.t.Fatalf("the process ended; last: %s", last)
				}
				last = line
				for _, w := range words {
					if !strings.HasPrefix(line, "state ") || !strings.Contains(line, w) {
						continue next
					}
				}
				return
			case <-deadline:
				r.t.Fatalf("waited for %q, last: %s", words, last)
			}
		}
	}
}

func TestInterfaceComesBack(t *testing.T) {
	r := newLab(t)
	wait := inside(r, netlab.LACSide, netlab.CoreSide)
	wait("{lns0 native }", "{lns1 native }")
	r.up(pattern(1))
	r.expect(r.core)
	wait("up=1")

	r.ip(r.lab.LNS, "ip", "link", "del", netlab.CoreSide)
	wait("{lns0 native }", "{lns1 none no such interface}")

	// A new pair of the same name, with another index.
	r.ip(r.lab.LNS, "ip", "link", "add", netlab.CoreSide, "type", "veth", "peer", "name", "core0", "netns", r.lab.Core.Name)
	r.ip(r.lab.LNS, "ip", "addr", "add", netlab.LNSCore.String()+"/24", "dev", netlab.CoreSide)
	r.ip(r.lab.Core, "ip", "addr", "add", netlab.CoreAddr.String()+"/24", "dev", "core0")
	r.ip(r.lab.Core, "ethtool", "-K", "core0", "gro", "on", "tx", "off")
	r.ip(r.lab.LNS, "ip", "link", "set", netlab.CoreSide, "up")
	r.ip(r.lab.Core, "ip", "link", "set", "core0", "up")
	wait("{lns0 native }", "{lns1 native }")
	r.ip(r.lab.LNS, "ping", "-c", "1", "-W", "5", netlab.CoreAddr.String())
	r.up(pattern(33))
	if got := r.expect(r.core); len(got) != 33 {
		t.Errorf("%d bytes arrived, want 33", len(got))
	}
	wait("up=2") // by XDP
}

func TestAutomaticInterfaces(t *testing.T) {
	r := newLab(t)
	r.ip(r.lab.LNS, "ip", "route", "flush", "0/0")
	wait := inside(r)
	wait("[{lns0 native }]")
	r.ip(r.lab.LNS, "ip", "route", "add", "default", "via", netlab.CoreAddr.String())
	wait("{lns0 native }", "{lns1 native }")
	r.ip(r.lab.LNS, "ip", "route", "del", "default")
	wait("[{lns0 native }]")
	r.ip(r.lab.LNS, "ip", "route", "add", "default", "via", netlab.CoreAddr.String())
	wait("{lns0 native }", "{lns1 native }")
}
