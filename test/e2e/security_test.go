package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/test/netlab"
)

// stranger is on the LAC's network, but no LAC.
var stranger = netip.MustParseAddr("10.1.0.77")

// shownIDs is what a forger must know of a session.
type shownIDs struct {
	TID           uint16         `json:"tid"`
	SessionID     uint16         `json:"session_id"`
	PeerTunnelID  uint16         `json:"peer_tunnel_id"`
	PeerSessionID uint16         `json:"peer_session_id"`
	Address       netip.Addr     `json:"address"`
	LAC           netip.AddrPort `json:"lac"`
}

// Who is not the session's LAC moves nothing, and who is not the subscriber sends
// nothing, even with all ids right: each try is counted by its reason, and the session
// carries on.
func TestStrangersAreNotServed(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"auto", "none"} {
		t.Run("xdp_mode "+mode, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, options{config: "set xdp_mode " + mode})
			r.reflect()
			core := r.listen(r.lab.Core, netip.AddrPortFrom(netlab.CoreAddr, 9000))
			p := r.lacsim("--sessions", "2", "--traffic-target", echoTarget, "--traffic", "40", "--verify", "--hold", "forever")
			r.waitUp(2)
			var sessions []shownIDs
			r.ctlJSON(&sessions, "show", "session")
			s, other := sessions[0], sessions[1]
			f := r.forger()

			var want []string
			for _, c := range strangeCases(s, other, mode == "auto") {
				before := r.counters()
				f.send(c.from, c.datagram)
				if c.counter == "" {
					want = append(want, c.name)
					r.until(5*time.Second, func() error {
						if !slices.Equal(core.received(), want) {
							return fmt.Errorf("%s: the core has received %q", c.name, core.received())
						}
						return nil
					})
					continue
				}
				r.until(5*time.Second, func() error {
					if moved := since(r.counters(), before); moved[c.counter] != 1 {
						return fmt.Errorf("%s: %s moved by %d: %v", c.name, c.counter, moved[c.counter], moved)
					}
					return nil
				})
			}
			if got := core.received(); !slices.Equal(got, want) {
				t.Errorf("the core received %q", got)
			}
			r.wantTraffic(2)
			report := r.interrupt(p)
			if report.Sessions.Lost != 0 || report.Tunnels.Lost != 0 {
				t.Errorf("sessions %+v, tunnels %+v", report.Sessions, report.Tunnels)
			}
			if report.Traffic.Received == 0 || report.Traffic.LossFraction > 0.1 || len(report.Traffic.Wrong) > 0 {
				t.Errorf("traffic: %+v", report.Traffic)
			}
			r.waitEmpty()
		})
	}
}

// wantTraffic waits until each of n sessions has got more packets than it had.
func (r *rig) wantTraffic(n int) {
	r.t.Helper()
	before := r.sessions()
	if len(before) != n {
		r.t.Fatalf("%d sessions, not %d", len(before), n)
	}
	r.until(10*time.Second, func() error {
		now := r.sessions()
		if len(now) != n {
			r.t.Fatalf("%d sessions are left of %d", len(now), n)
		}
		for i := range now {
			if now[i].SID != before[i].SID || now[i].DownPackets < before[i].DownPackets+5 {
				return fmt.Errorf("session %d had %d packets down and has %d", before[i].SID, before[i].DownPackets, now[i].DownPackets)
			}
		}
		return nil
	})
}

// strangeCase is one datagram and the counter that it moves; none for a good one, that
// the core receives.
type strangeCase struct {
	name     string
	from     netip.AddrPort
	datagram []byte
	counter  string
}

// strangeCases begins and ends with what only the right ones can send, so that the
// others are known to have been refused for what is strange about them.
func strangeCases(s, other shownIDs, xdp bool) []strangeCase {
	data := func(tunnelID, sessionID uint16, source netip.Addr, text string) []byte {
		ip := appendIPv4UDP(nil, netip.AddrPortFrom(source, 1), netip.AddrPortFrom(netlab.CoreAddr, 9000), []byte(text))
		return l2tp.AppendDataIP(nil, l2tp.Framing{AddressControl: true}, tunnelID, sessionID, 0, ip)
	}
	terminate := l2tp.AppendData(nil, l2tp.Framing{AddressControl: true}, s.TID, s.SessionID, 0, 0xc021, []byte{5, 1, 0, 4})
	peer, source, pppPeer, malformed := "slow_up_spoofed_peer", "slow_up_spoofed_source", "packets_wrong_peer", "packets_malformed"
	controlPeer, tunnel := "packets_wrong_peer", "packets_unknown_tunnel"
	if xdp {
		peer, source, pppPeer, malformed = "xdp_drop_peer", "xdp_drop_source", "xdp_drop_peer", "xdp_drop_version"
		controlPeer, tunnel = "xdp_drop_tunnel", "xdp_drop_tunnel"
	}
	wrongPort := netip.AddrPortFrom(s.LAC.Addr(), s.LAC.Port()^1)
	wrongHost := netip.AddrPortFrom(stranger, s.LAC.Port())
	var cases []strangeCase
	add := func(name string, from netip.AddrPort, datagram []byte, counter string) {
		cases = append(cases, strangeCase{name, from, datagram, counter})
	}
	own := func(name string, from netip.AddrPort, counter string) {
		add(name, from, data(s.TID, s.SessionID, s.Address, name), counter)
	}
	own("all is right", s.LAC, "")
	own("data from another port", wrongPort, peer)
	own("data from another host", wrongHost, peer)
	for _, inner := range []netip.Addr{other.Address, netlab.CoreAddr, netlab.LNSAddr, netip.MustParseAddr("192.0.2.1")} {
		name := "data of " + inner.String()
		add(name, s.LAC, data(s.TID, s.SessionID, inner, name), source)
	}
	add("data of no session", s.LAC, data(s.TID, freeID(s.SessionID, other.SessionID), s.Address, "no session"), "packets_unknown_session")
	add("data of no tunnel", s.LAC, data(freeID(s.TID), s.SessionID, s.Address, "no tunnel"), tunnel)
	for _, from := range []netip.AddrPort{wrongPort, wrongHost} {
		at := " from " + from.String()
		add("StopCCN"+at, from, stopCCN(s.TID, 3, 3, s.PeerTunnelID), controlPeer)
		add("CDN"+at, from, cdn(s.TID, s.SessionID, 3, 3, s.PeerSessionID), controlPeer)
		add("HELLO"+at, from, hello(s.TID, 3, 3), controlPeer)
		add("LCP Terminate-Request"+at, from, terminate, pppPeer)
		add("StopCCN to no tunnel"+at, from, stopCCN(0, 0, 0, s.PeerTunnelID), "packets_unknown_tunnel")
	}
	add("HELLO to no tunnel", s.LAC, hello(freeID(s.TID), 3, 3), tunnel)
	add("not L2TP", s.LAC, []byte("hello?"), malformed)
	own("all is right again", s.LAC, "")
	return cases
}

// freeID is an id that is none of those.
func freeID(taken ...uint16) uint16 {
	id := uint16(4711)
	for slices.Contains(taken, id) {
		id++
	}
	return id
}

// Where LACs are listed, others get not a byte, whatever they send.
func TestUnknownLACGetsNothing(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]map[string]uint64{
		// L2F, which "hello?" looks like, is refused before anybody asks who sends it.
		"auto": {"xdp_drop_lac": 5, "xdp_drop_version": 1},
		"none": {"lac_unknown": 2, "packets_unknown_tunnel": 3},
	} {
		t.Run("xdp_mode "+mode, func(t *testing.T) { t.Parallel(); unknownLACGetsNothing(t, mode, want) })
	}
}

func unknownLACGetsNothing(t *testing.T, mode string, want map[string]uint64) {
	r := newRig(t, options{config: "lac carrier address 192.0.2.0/24 secret other\nset xdp_mode " + mode})
	from := netip.AddrPortFrom(netlab.LACAddr, 40000)
	answers := r.listen(r.lab.LAC, from)
	f := r.forger()
	before := r.counters()
	for _, datagram := range [][]byte{sccrq(1), sccrq(2), stopCCN(0, 0, 0, 1), hello(0, 0, 0), hello(4711, 0, 0), []byte("hello?")} {
		f.send(from, datagram)
	}
	r.until(5*time.Second, func() error {
		moved := since(r.counters(), before)
		for name, n := range want {
			if moved[name] != n {
				return fmt.Errorf("%s moved by %d, not %d: %v", name, moved[name], n, moved)
			}
		}
		return nil
	})
	time.Sleep(2 * time.Second) // retransmissions would come after one
	if got := answers.received(); len(got) != 0 {
		t.Errorf("the answer is %x", got)
	}
	if c := r.counters(); c["udp_tx_packets"] != before["udp_tx_packets"] {
		t.Error("something was sent")
	}
}

// Until the peer of a tunnel has shown that it receives what is sent to it, it gets at
// most three times what it has sent, so that a forged source is no weapon. The
// intervals are short to see all repetitions; their number is the default.
func TestSilentPeerGetsLittle(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{config: "set l2tp_retry_interval 0.1\nset l2tp_establish_timeout 10\n"})
	f := r.forger()
	repeats := []int{1, 5} // times that each peer sends its request
	sent, answers := make([]int, len(repeats)), make([]*listener, len(repeats))
	for i, n := range repeats {
		from := netip.AddrPortFrom(netlab.LACAddr, uint16(40000+i))
		answers[i] = r.listen(r.lab.LAC, from)
		for request := sccrq(uint16(1 + i)); n > 0; n-- {
			f.send(from, request)
			sent[i] += len(request)
		}
	}
	r.waitTunnelCount(2)
	r.waitTunnelCount(0)
	for i, l := range answers {
		if got := l.receivedBytes(); got == 0 || got > 3*sent[i] {
			t.Errorf("%d bytes came back for %d", got, sent[i])
		}
	}
	if r.counters()["packets_withheld"] == 0 {
		t.Error("counter packets_withheld has not moved")
	}
}

// A flood of requests for tunnels, under forged addresses and ports, neither takes what
// established sessions need nor keeps operators out, and is forgotten when it ends.
func TestFloodOfTunnelRequests(t *testing.T) {
	const flood, halfOpen = 5000, 200
	r := newRig(t, options{config: fmt.Sprintf("set max_half_open %d\nset max_half_open_per_lac 20\n"+
		"set l2tp_hello_interval 1\nset l2tp_retry_interval 0.2\nset l2tp_max_retries 4\n", halfOpen)})
	r.reflect()
	p := r.lacsim("--sessions", "4", "--hello", "1s", "--traffic-target", echoTarget, "--traffic", "400", "--verify", "--hold", "forever")
	r.waitUp(4)
	f := r.forger()
	host := stranger.As4()
	for i := range flood {
		host[3] = byte(10 + i%240)
		f.send(netip.AddrPortFrom(netip.AddrFrom4(host), uint16(1024+i)), sccrq(uint16(1+i)))
		if i%1000 == 999 {
			begun := time.Now()
			if n := len(r.tunnels()); n > halfOpen+1 {
				t.Errorf("%d tunnels are shown", n)
			}
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("lnsctl took %v", took)
			}
		}
	}
	if c := r.counters(); c["tunnels_opened"] < halfOpen || c["tunnels_refused"] == 0 {
		t.Errorf("the flood was none: %s", pick(c, "tunnels_opened", "tunnels_refused"))
	}
	r.wantTraffic(4)
	r.waitTunnelCount(1)
	tunnel := r.waitTunnels(1).Transport
	if tunnel.HelloReceived == 0 && tunnel.HelloSent == 0 {
		t.Error("no HELLO was exchanged")
	}
	report := r.interrupt(p)
	if report.Sessions.Lost != 0 || report.Traffic.LossFraction > 0.02 {
		t.Errorf("sessions %+v, traffic %+v", report.Sessions, report.Traffic)
	}
	r.waitEmpty()
}

// waitTunnelCount waits until n tunnels are left, in whatever state.
func (r *rig) waitTunnelCount(n int) {
	r.t.Helper()
	r.until(60*time.Second, func() error {
		if k := len(r.tunnels()); k != n {
			return fmt.Errorf("%d tunnels are left, not %d", k, n)
		}
		return nil
	})
}
