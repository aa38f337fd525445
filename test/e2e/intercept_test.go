package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

// receiver takes the copies of interceptions in the core, and counts them by the
// subscriber's address and the direction.
type receiver struct {
	conn *net.UDPConn
	mu   sync.Mutex
	seen map[netip.Addr]*copiesSeen
	bad  int
}

type copiesSeen struct{ up, upBytes, down, downBytes uint64 }

func (r *rig) receiver(port uint16) *receiver {
	r.t.Helper()
	x := &receiver{seen: map[netip.Addr]*copiesSeen{}}
	err := r.lab.Core.Do(func() (err error) {
		x.conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netlab.CoreAddr, port)))
		if err != nil {
			return err
		}
		raw, err := x.conn.SyscallConn()
		if err != nil {
			return err
		}
		// What is counted here must not be lost here.
		ctlErr := raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, 64<<20)
		})
		if ctlErr != nil {
			return ctlErr
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); x.run() }()
	r.t.Cleanup(func() { x.conn.Close(); <-done })
	return x
}

func (x *receiver) run() {
	b := make([]byte, 65536)
	for {
		n, err := x.conn.Read(b)
		if err != nil {
			return
		}
		x.take(b[:n])
	}
}

func (x *receiver) take(b []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(b) < 20 || b[0]>>4 != 4 || int(b[2])<<8|int(b[3]) != len(b) {
		x.bad++
		return
	}
	src, dst := netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	of := func(a netip.Addr) *copiesSeen {
		if x.seen[a] == nil {
			x.seen[a] = &copiesSeen{}
		}
		return x.seen[a]
	}
	if netlab.Pool.Contains(src) {
		s := of(src)
		s.up, s.upBytes = s.up+1, s.upBytes+uint64(len(b))
	}
	if netlab.Pool.Contains(dst) {
		s := of(dst)
		s.down, s.downBytes = s.down+1, s.downBytes+uint64(len(b))
	}
}

func (x *receiver) of(a netip.Addr) copiesSeen {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s := x.seen[a]; s != nil {
		return *s
	}
	return copiesSeen{}
}

// shownIntercept is what these tests read of `lnsctl --json show intercept`.
type shownIntercept struct {
	User        string `json:"user"`
	Target      string `json:"target"`
	UpPackets   uint64 `json:"up_packets"`
	DownPackets uint64 `json:"down_packets"`
	Lost        uint64 `json:"lost"`
	NotSent     uint64 `json:"not_sent"`
}

func (r *rig) intercepts() map[string]shownIntercept {
	r.t.Helper()
	var list []shownIntercept
	r.ctlJSON(&list, "show", "intercept")
	out := map[string]shownIntercept{}
	for _, x := range list {
		out[x.User] = x
	}
	return out
}

// audited reads the audit log: event, user, by, of each line.
func (r *rig) audited(path string) (out []string) {
	r.t.Helper()
	f, err := os.Open(path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var e struct {
			Event, User, By string
			To              *string
		}
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			r.t.Fatalf("%s: %v", s.Text(), err)
		}
		line := e.Event + " " + e.User
		if e.To != nil {
			line += " " + *e.To
		}
		out = append(out, line)
	}
	return out
}

// expectCopies holds the copies of a subscriber's packets to the counters of its
// session: every packet was copied, whole, and nothing else.
func (r *rig) expectCopies(x *receiver, s shownSession) {
	r.t.Helper()
	var got copiesSeen
	want := copiesSeen{s.UpPackets, s.UpBytes, s.DownPackets, s.DownBytes}
	err := netlab.Until(20*time.Second, func() error {
		got = x.of(s.Address)
		if got != want {
			return fmt.Errorf("%s: copies %+v, the session has %+v", s.User, got, want)
		}
		return nil
	})
	if err != nil {
		r.t.Errorf("%v (lost, as shown: %+v)", err, r.intercepts()[s.User])
	}
}

// Interception ordered by a login, by a CoA-Request and by an operator: every packet
// arrives, at 10,000 a second each way, and nobody else's; it goes on over a restart;
// it ends where it is told to; and the audit log has all of it.
func TestInterception(t *testing.T) {
	for _, mode := range []string{"auto", "none"} {
		t.Run("xdp_"+mode, func(t *testing.T) { testInterception(t, mode) })
	}
}

func testInterception(t *testing.T, mode string) {
	r := newLab(t)
	audit := r.path("audit.log")
	rate, target := "10000", fmt.Sprintf("%s:%d", netlab.CoreAddr, 4001)
	if mode == "none" {
		rate = "1000"
	}
	config := r.freeradius(radiusUser("user1", `Cisco-AVPair += "intercept=yes"`) + "\n" + anyUser)
	r.writeConfig(options{config: config + strings.Join([]string{
		"set xdp_mode " + mode, "set intercept_log " + audit,
		"set snoop_host " + netlab.CoreAddr.String(), "set snoop_port 4000",
		fmt.Sprintf("dae_client court address %s secret %q intercept yes", netlab.LACAddr, daeSecret),
	}, "\n")})
	r.startLNSD()
	r.reflect()
	usual, special := r.receiver(4000), r.receiver(4001)

	p := r.lacsim("--sessions", "4", "--traffic-target", echoTarget, "--traffic", rate, "--traffic-on-signal", "--traffic-time", "2s",
		"--per-session", "--hold", "forever")
	r.waitUp(4)
	out := r.radclient(r.lab.LAC, "coa", daeSecret, "User-Name = user2", `Cisco-AVPair = "intercept=`+target+`"`)
	if !strings.Contains(out, "Received CoA-ACK") {
		t.Fatalf("radclient printed:\n%s", out)
	}
	r.ctl("snoop", "user3", netlab.CoreAddr.String(), "4001")
	list := r.intercepts()
	if len(list) != 3 || list["user1"].Target != netlab.CoreAddr.String()+":4000" || list["user2"].Target != target || list["user3"].Target != target {
		t.Fatalf("interceptions %+v", list)
	}
	if err := p.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	byUser := map[string]shownSession{}
	for _, s := range r.settled() {
		byUser[s.User] = s
	}
	r.expectCopies(usual, byUser["user1"])
	r.expectCopies(special, byUser["user2"])
	r.expectCopies(special, byUser["user3"])
	other := byUser["user4"].Address
	if n := byUser["user1"].UpPackets; n == 0 || usual.bad+special.bad > 0 || usual.of(other) != (copiesSeen{}) || special.of(other) != (copiesSeen{}) {
		t.Errorf("%d packets, %d malformed copies, of another: %+v", n, usual.bad+special.bad, special.of(other))
	}
	for user, x := range r.intercepts() {
		if s := byUser[user]; x.Lost+x.NotSent > 0 || x.UpPackets != s.UpPackets || x.DownPackets != s.DownPackets {
			t.Errorf("%s: shown %+v of %+v", user, x, s)
		}
	}

	if err := r.lnsd.Stop(syscall.SIGTERM, patience); err != nil {
		t.Errorf("lnsd ended: %v", err)
	}
	r.startLNSD()
	if list := r.intercepts(); len(list) != 3 || list["user1"].Target != netlab.CoreAddr.String()+":4000" {
		t.Errorf("after a restart: %+v", list)
	}
	r.ctl("no", "snoop", "user3")
	if list := r.intercepts(); len(list) != 2 || list["user3"].Target != "" {
		t.Errorf("after the end of one: %+v", list)
	}
	r.ctl("drop", "user", "user1")
	want := []string{"start user1 " + netlab.CoreAddr.String() + ":4000", "start user2 " + target, "start user3 " + target, "stop user3", "stop user1"}
	r.until(20*time.Second, func() error {
		if got := r.audited(audit); strings.Join(got, ",") != strings.Join(want, ",") {
			return fmt.Errorf("audit log %q, want %q", got, want)
		}
		return nil
	})
	if info, err := os.Stat(audit); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("audit log: %v, %v", info.Mode(), err)
	}
	if log := r.lnsd.Log(); strings.Contains(log, target) || strings.Contains(log, ":4000") {
		t.Error("the log tells of an interception")
	}
	_ = p.Stop(syscall.SIGINT, patience)
}
