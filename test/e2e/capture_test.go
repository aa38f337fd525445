package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/lnsd/lnsd/test/netlab"
)

// captured is a capture that runs.
type captured struct {
	t    *testing.T
	cmd  *exec.Cmd
	path string
	said bytes.Buffer
}

// capture begins one, and returns when it is in force.
func (r *rig) capture(file string, target ...string) *captured {
	r.t.Helper()
	c := &captured{t: r.t, path: r.path(file)}
	c.cmd = exec.Command(binary("lnsctl"), append(append([]string{"--socket", r.path("lnsd.sock"), "capture"}, target...), "-w", c.path)...)
	c.cmd.Stderr = &c.said
	if err := c.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	r.until(patience, func() error {
		if info, err := os.Stat(c.path); err != nil || info.Size() == 0 {
			return errors.New("the capture has not begun")
		}
		return nil
	})
	return c
}

// end interrupts lnsctl and waits for it.
func (c *captured) end() {
	c.t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGINT); err != nil {
		c.t.Fatal(err)
	}
	if err := c.cmd.Wait(); err != nil {
		c.t.Fatalf("%v: %s", err, c.said.String())
	}
	if !strings.HasSuffix(c.said.String(), " packets captured, 0 dropped\n") {
		c.t.Errorf("lnsctl said %q", c.said.String())
	}
}

// count counts what is in the file by interface and direction, and the comments of
// packets that have some words.
func (c *captured) count(words ...string) map[string]int {
	c.t.Helper()
	file, err := os.ReadFile(c.path)
	if err != nil {
		c.t.Fatal(err)
	}
	ng, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		c.t.Fatal(err)
	}
	seen := map[string]int{}
	for {
		_, info, o, err := ng.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			return seen
		}
		if err != nil {
			c.t.Fatal(err)
		}
		of, err := ng.Interface(info.InterfaceIndex)
		if err != nil {
			c.t.Fatal(err)
		}
		way := " out"
		if o.Flags.Direction == pcapgo.NgEpbFlagDirectionInbound {
			way = " in"
		}
		seen[of.Name+way]++
		for _, w := range words {
			if strings.Contains(strings.Join(o.Comments, "|"), w) {
				seen[w]++
			}
		}
	}
}

// atLeast compares counts with what must be there.
func (c *captured) atLeast(seen, least map[string]int) {
	c.t.Helper()
	for what, n := range least {
		if seen[what] < n {
			c.t.Errorf("%d %s, want %d at least; all: %v", seen[what], what, n, seen)
		}
	}
}

// readable has Wireshark read the file: what it finds malformed is a fault of ours, and
// each of some texts must be in what it makes of a packet: the protocols, types of control
// messages, names in PAP and the comment.
func (c *captured) readable(texts ...string) {
	c.t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		c.t.Log("no tshark: the file was not read by Wireshark")
		return
	}
	args := []string{"-n", "-r", c.path, "-T", "fields"}
	for _, f := range []string{"_ws.malformed", "frame.protocols", "l2tp.avp.message_type", "pap.peer_id", "frame.comment"} {
		args = append(args, "-e", f)
	}
	cmd := exec.Command("tshark", args...)
	var faults bytes.Buffer
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("tshark: %v: %s", err, faults.String())
	}
	for line := range strings.Lines(string(out)) {
		if malformed, _, _ := strings.Cut(line, "\t"); malformed != "" {
			c.t.Errorf("Wireshark: %q", line)
		}
	}
	for _, text := range texts {
		if !strings.Contains(string(out), text) {
			c.t.Errorf("Wireshark finds no %q in:\n%s", text, out)
		}
	}
}

// A user is captured from before the call: control messages, PPP and packets of this
// user are in the file, both ways, and the password is not. Wireshark reads it.
func TestCaptureOfAUser(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	r.reflect()
	c := r.capture("user1.pcapng", "user", "user1")
	p := r.lacsim("--auth", "pap", "--sessions", "2", "--traffic-target", echoTarget, "--traffic", "100", "--verify", "--hold", "2s")
	r.finish(p, patience, true)
	c.end()

	file, err := os.ReadFile(c.path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(file, []byte(userPassword)) || bytes.Contains(file, []byte("user2")) || !bytes.Contains(file, []byte("user1")) {
		t.Error("the password or another user is in the file, or the user is not")
	}
	c.atLeast(c.count(), map[string]int{"control in": 2, "control out": 1, "ppp in": 4, "ppp out": 4, "packets in": 20, "packets out": 20})
	c.readable("raw:ip:udp:l2tp\t10\t", "ppp:lcp", "ppp:pap\t\tuser1", "ppp:ipcp", "fast path, forwarded")
}

// Without XDP, and from a LAC that speaks IPv6: captures of the LAC, with secrets and
// from before its tunnel, and of one of its sessions, which ends with it.
func TestCaptureOfALAC(t *testing.T) {
	t.Parallel()
	r := newLab(t)
	if err := r.lab.AddIPv6(); err != nil {
		t.Fatal(err)
	}
	r.writeConfig(options{config: "set bind_address6 " + netlab.LNSAddr6.String() + "\nset xdp_mode none"})
	r.startLNSD()
	r.reflect()
	all := r.capture("lac.pcapng", "lac", netlab.LACAddr6.String(), "--secrets")
	p := r.lacsimOver(netlab.LACAddr6, netlab.LNSAddr6, "--auth", "pap", "--sessions", "2", "--hold", "forever",
		"--traffic-target", echoTarget, "--traffic", "50", "--traffic-time", "60s")
	r.waitUp(2)
	r.until(patience, func() error {
		if n := r.counters()["slow_down_forwarded"]; n < 4 {
			return fmt.Errorf("%d packets", n)
		}
		return nil
	})
	sid := r.sessions()[0].SID
	one := r.capture("session.pcapng", "session", fmt.Sprint(sid))
	r.ctl("drop", "session", fmt.Sprint(sid))
	if err := one.cmd.Wait(); err != nil || !strings.Contains(one.said.String(), "the session has ended") {
		t.Errorf("the capture of a session did not end with it: %v, %q", err, one.said.String())
	}
	r.interrupt(p)
	all.end()

	const slow = "slow path, forwarded"
	all.atLeast(all.count(slow), map[string]int{"control in": 5, "control out": 4, "ppp in": 8, "ppp out": 8, slow: 2})
	one.atLeast(one.count(), map[string]int{"ppp out": 1})
	file, err := os.ReadFile(all.path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(file, []byte(userPassword)) {
		t.Error("the password is not in the file, and was asked for")
	}
	all.readable("raw:ipv6:udp:l2tp\t1\t", "raw:ipv6:udp:l2tp\t14\t", "ppp:pap\t\tuser2", slow)
	one.readable("ppp:lcp")
}
