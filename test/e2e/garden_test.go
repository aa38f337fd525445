package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

// Places beyond the core that a subscriber in a garden asks for in vain, or is
// brought elsewhere from.
var (
	somewhere  = netip.MustParseAddr("203.0.113.80")
	nameServer = netip.MustParseAddr("203.0.113.53")
)

const gardenConfig = `garden unpaid portal http://pay.example/login?from=%u
garden unpaid dns ` + "10.2.0.1" + `
set reject_garden unpaid
`

// answering runs a UDP server in the core that says who was asked.
func (r *rig) answering(port uint16) { r.answeringAt(netip.AddrPortFrom(netlab.CoreAddr, port)) }

func (r *rig) answeringAt(at netip.AddrPort) {
	r.t.Helper()
	var conn net.PacketConn
	if err := r.lab.Core.Do(func() (err error) {
		conn, err = net.ListenPacket("udp", at.String())
		return err
	}); err != nil {
		r.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(append([]byte("answer to "), b[:n]...), from)
		}
	}()
	r.t.Cleanup(func() { conn.Close(); <-done })
}

// ask sends a question over UDP as the subscriber and waits for an answer, asking again
// meanwhile.
func (r *rig) ask(to netip.AddrPort, patience time.Duration) error {
	r.t.Helper()
	var conn net.Conn
	if err := r.lab.LAC.Do(func() (err error) {
		conn, err = net.Dial("udp", to.String())
		return err
	}); err != nil {
		return err
	}
	defer conn.Close()
	b := make([]byte, 1500)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if _, err := conn.Write([]byte("question")); err != nil {
			continue // an ICMP error to the question before
		}
		_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		if n, err := conn.Read(b); err == nil {
			if got := string(b[:n]); !strings.HasSuffix(got, "question") {
				return fmt.Errorf("answered %q", got)
			}
			return nil
		}
	}
	return errors.New("no answer")
}

// route sends the LAC namespace's packets to some addresses through a subscriber's
// interface.
func (r *rig) route(device string, to ...netip.Addr) {
	r.t.Helper()
	for _, a := range to {
		if _, err := r.lab.LAC.Output(context.Background(), "ip", "route", "add", a.String()+"/32", "dev", device); err != nil {
			r.t.Fatal(err)
		}
	}
}

// browse asks for a page as the subscriber and returns the answer's status and where
// it points to.
func (r *rig) browse(page string) (status int, location string, err error) {
	client := &http.Client{
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (c net.Conn, err error) {
			err = r.lab.LAC.Do(func() (err error) {
				c, err = (&net.Dialer{}).DialContext(ctx, network, address)
				return err
			})
			return c, err
		}},
	}
	answer, err := client.Get(page)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, answer.Header.Get("Location"), err
}

// shownGarden is what these tests read of `lnsctl --json show garden`.
type shownGarden struct {
	Name      string `json:"name"`
	Sessions  int    `json:"sessions"`
	DNS       uint64 `json:"dns_connections"`
	Portal    uint64 `json:"portal_connections"`
	UpDropped struct {
		Packets uint64 `json:"packets"`
	} `json:"up_dropped"`
	Error string `json:"error"`
}

func (r *rig) garden() shownGarden {
	r.t.Helper()
	var list []shownGarden
	r.ctlJSON(&list, "show", "garden", "unpaid")
	if len(list) != 1 || list[0].Error != "" {
		r.t.Fatalf("gardens: %+v", list)
	}
	return list[0]
}

// A subscriber whom RADIUS refuses comes up in the garden: names are resolved by one
// server, web pages lead to the portal, and nothing else gets through. Let out by
// a CoA-Request, it has normal service in XDP, and an account, in the same session.
func TestWalledGarden(t *testing.T) {
	t.Parallel()
	r := newLab(t)
	r.writeConfig(options{config: gardenConfig + r.freeradius("DEFAULT\tAuth-Type := Reject\n\tReply-Message = \"unpaid\"") +
		fmt.Sprintf("dae_client billing address %s secret %q\n", netlab.LACAddr, daeSecret)})
	r.startLNSD()
	r.reflect()
	r.answering(53)
	lac := r.lacsim("--sessions", "1", "--hold", "forever", "--tun", "sub0", "--auth", "pap")
	r.waitUp(1)
	r.routeSubscriber("sub0")
	r.route("sub0", somewhere, nameServer)
	session := r.sessions()[0]
	before := r.counters()

	dns, echo := netip.AddrPortFrom(nameServer, 53), netip.AddrPortFrom(netlab.CoreAddr, echoPort)
	if err := r.ask(dns, 20*time.Second); err != nil {
		t.Errorf("DNS in the garden: %v", err)
	}
	status, location, err := r.browse("http://" + somewhere.String() + "/news?id=7")
	if want := "http://pay.example/login?from=http%3A%2F%2F203.0.113.80%2Fnews%3Fid%3D7"; err != nil || status != 302 || location != want {
		t.Errorf("a web page in the garden: %d %q (%v), want %q", status, location, err, want)
	}
	if err := r.ask(echo, time.Second); err == nil {
		t.Error("the core answers a subscriber in the garden")
	}
	g := r.garden()
	if g.Sessions != 1 || g.DNS == 0 || g.Portal != 1 || g.UpDropped.Packets == 0 {
		t.Errorf("garden: %+v", g)
	}
	moved := since(r.counters(), before)
	if moved["xdp_punt_garden"] == 0 || moved["xdp_sent_up"]+moved["xdp_sent_down"] > 0 {
		t.Errorf("in the garden: %v", moved)
	}
	for _, record := range r.accounting() {
		if record["User-Name"] != "" {
			t.Errorf("an account is kept of a subscriber in the garden: %v", record)
		}
	}

	out := r.radclient(r.lab.LAC, "coa", daeSecret, "User-Name = "+session.User, `Cisco-AVPair = "garden=no"`)
	if !strings.Contains(out, "Received CoA-ACK") {
		t.Fatalf("radclient printed:\n%s", out)
	}
	before = r.counters()
	if err := r.ask(echo, 20*time.Second); err != nil {
		t.Errorf("out of the garden: %v", err)
	}
	moved = since(r.counters(), before)
	if moved["xdp_sent_up"] == 0 || moved["xdp_sent_down"] == 0 || moved["xdp_punt_garden"] > 0 {
		t.Errorf("out of the garden: %v", moved)
	}
	if err := r.ask(dns, time.Second); err == nil {
		t.Error("DNS is redirected out of the garden")
	}
	if again := r.sessions()[0]; again.SID != session.SID || again.TID != session.TID {
		t.Errorf("another session: %+v, was %+v", again, session)
	}
	if g := r.garden(); g.Sessions != 0 {
		t.Errorf("garden: %+v", g)
	}
	if err := lac.Stop(syscall.SIGINT, patience); err != nil {
		t.Error(err)
	}
	stop := r.bills(1)[session.User]
	if stop == nil || stop["Acct-Input-Octets"] == "0" {
		t.Errorf("the account: %v", stop)
	}
}

// An operator puts a subscriber into a garden and takes it out, also without XDP; the
// rules of a build-garden file count; whoever flushes the host's rules opens nothing.
func TestGardenByCommand(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"auto", "none"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			r := newLab(t)
			r.writeConfig(options{config: gardenConfig + "set xdp_mode " + mode})
			rules := "add rule inet lnsd user_filter_unpaid ip daddr " + netlab.CoreAddr.String() + " udp dport 4444 accept\n" +
				"add rule inet lnsd user_filter_unpaid ip saddr " + netlab.CoreAddr.String() + " udp sport 4444 accept\n"
			if err := os.WriteFile(r.path("build-garden"), []byte(rules), 0o600); err != nil {
				t.Fatal(err)
			}
			r.startLNSD()
			r.reflect()
			r.answering(4444)
			r.lacsim("--sessions", "1", "--hold", "forever", "--tun", "sub0")
			r.waitUp(1)
			r.routeSubscriber("sub0")
			echo, extra := netip.AddrPortFrom(netlab.CoreAddr, echoPort), netip.AddrPortFrom(netlab.CoreAddr, 4444)
			user := r.sessions()[0].User
			if err := r.ask(echo, 20*time.Second); err != nil {
				t.Errorf("before the garden: %v", err)
			}
			if out, err := r.tryCtl("garden", user, "nowhere"); err == nil || !strings.Contains(err.Error(), "no such walled garden") {
				t.Errorf("a garden that is not there: %s (%v)", out, err)
			}
			r.ctl("garden", user, "unpaid")
			if mode == "auto" {
				r.flushRules()
			}
			if err := r.ask(extra, 20*time.Second); err != nil {
				t.Errorf("what the build-garden file allows: %v", err)
			}
			if err := r.ask(echo, time.Second); err == nil {
				t.Error("the core answers a subscriber in the garden")
			}
			r.ctl("no", "garden", user)
			if err := r.ask(echo, 20*time.Second); err != nil {
				t.Errorf("after the garden: %v", err)
			}
		})
	}
}

// flushRules removes all of nftables' rules, and waits until the daemon has noticed.
func (r *rig) flushRules() {
	r.t.Helper()
	if _, err := r.lab.LNS.Output(context.Background(), "nft", "flush", "ruleset"); err != nil {
		r.t.Fatal(err)
	}
	r.until(30*time.Second, func() error {
		out, err := r.lab.LNS.Output(context.Background(), "nft", "list", "table", "inet", "lnsd")
		if err == nil && !strings.Contains(out, "4444") {
			err = errors.New("the rules are not back")
		}
		return err
	})
}

// A restart lets nobody out of the garden, nor past an access list.
func TestGardenAndFilterOutliveARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{config: gardenConfig + filterConfig})
	r.reflect()
	r.answering(53)
	r.lacsim("--sessions", "2", "--hold", "forever", "--tun", "sub0")
	r.waitUp(2)
	users := r.sessions()
	r.ctl("garden", users[0].User, "unpaid")
	r.ctl("filter", users[1].User, "in", "no-echo")
	if err := r.lnsd.Stop(syscall.SIGTERM, patience); err != nil {
		t.Fatal(err)
	}
	out, err := r.lab.LNS.Output(context.Background(), "nft", "list", "set", "inet", "lnsd", "addresses4_unpaid")
	if err != nil || !strings.Contains(out, users[0].Address.String()) {
		t.Errorf("while no daemon runs: %s (%v)", out, err)
	}
	r.startLNSD()
	r.waitUp(2)
	if g := r.garden(); g.Sessions != 1 {
		t.Errorf("garden: %+v", g)
	}
	s := r.ctl("show", "session", fmt.Sprint(users[1].SID))
	if !strings.Contains(s, "no-echo") {
		t.Errorf("the filter is gone:\n%s", s)
	}
	r.ctl("no", "garden", users[0].User)
	if g := r.garden(); g.Sessions != 0 {
		t.Errorf("garden: %+v", g)
	}
	out, err = r.lab.LNS.Output(context.Background(), "nft", "list", "set", "inet", "lnsd", "addresses4_unpaid")
	if err != nil || strings.Contains(out, users[0].Address.String()) {
		t.Errorf("out of the garden: %s (%v)", out, err)
	}
}
