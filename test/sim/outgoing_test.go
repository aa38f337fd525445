package sim

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

const farAddr = "203.0.113.7:1701"

// outgoing is a persistent tunnel of the operator's with one call in it.
func outgoing(role l2tp.Role) engine.Outgoing {
	cfg := L2TPConfig()
	cfg.Role, cfg.TieBreaker = role, true
	o := engine.Outgoing{
		Name: "north", Local: LNS, Peer: netip.MustParseAddrPort(farAddr), L2TP: cfg, Session: SessionConfig(),
		Persist: true, Retry: time.Minute,
	}
	call := engine.OutgoingCall{Name: "line", Session: SessionConfig(), Persist: true, Retry: time.Minute}
	call.Params = l2tp.CallParams{FramingType: l2tp.FramingSync, BearerType: l2tp.BearerDigital, TxSpeed: 1_000_000, CalledNumber: "isp"}
	if role == l2tp.LAC {
		call.Session.PPP = ClientConfig("north", "pw-north")
	}
	o.Calls = []engine.OutgoingCall{call}
	return o
}

func wanting(os ...engine.Outgoing) *engine.Policy {
	return &engine.Policy{Default: L2TPConfig(), Session: SessionConfig(), Outgoing: os}
}

// dials makes a world of a server that wants something.
func dials(t *testing.T, p *engine.Policy) *World {
	t.Helper()
	w := New(t, SeedFromEnv(t, 1), Options{Network: quick, Adjust: func(c *engine.Config) { c.Policy = p }})
	w.CheckEvery = 1
	return w
}

func (w *World) reload(p *engine.Policy) {
	w.T.Helper()
	if err := w.Engine.Reload(p); err != nil {
		w.T.Fatal(err)
	}
}

// wanted shows a tunnel of the operator's.
func (w *World) wanted(name string) session.OutgoingView {
	for _, s := range w.Engine.Shards() {
		for _, v := range s.Outgoing() {
			if v.Name == name {
				return v
			}
		}
	}
	return session.OutgoingView{}
}

func (w *World) placedUp(name string) func() bool {
	return func() bool {
		v := w.wanted(name)
		return v.State == "up" && len(v.Calls) > 0 && v.Calls[0].State == "up"
	}
}

// nothingWanted takes the wishes away and looks for what is left.
func (w *World) nothingWanted() {
	w.T.Helper()
	v := w.wanted("north")
	w.reload(wanting())
	w.Run(time.Second)
	if v.State == "up" && w.Engine.Census().Tunnels == 0 {
		w.T.Error("a reload has ended a tunnel")
	}
	if v.State == "up" {
		w.operate(func() error { return w.Engine.DropTunnel(context.Background(), v.TunnelID) })
	}
	w.Run(settleTime)
	w.CheckEnd()
}

func TestPlacedIncomingCall(t *testing.T) {
	o := outgoing(l2tp.LAC)
	o.Calls[0].Session.Routes = []netip.Prefix{netip.MustParsePrefix("10.99.0.0/16")}
	w := dials(t, wanting(o))
	far := w.FarLNS(farAddr, Secret)
	w.Until(5*time.Second, "call up", w.placedUp("north"))
	v := w.wanted("north")
	if v.HostName != "far" || v.Role != "lac" || v.Attempts != 1 || v.TunnelID == 0 {
		t.Errorf("the tunnel is %+v", v)
	}
	c := v.Calls[0]
	if c.Type != "laic" || c.User != "north" || c.Own != netip.MustParseAddr("172.31.1.1") || c.Peer != far.Far.Gateway || c.Slot == 0 {
		t.Errorf("the call is %+v", c)
	}
	r := w.Forward.records[c.Ref]
	if r.OwnAddress != c.Own || r.Address != c.Peer || len(r.Routes) != 1 || r.MTU == 0 || r.PeerSessionID == 0 {
		t.Errorf("installed as %+v", r)
	}
	if w.Acct.Starts != 0 || w.Auth.Requests != 0 {
		t.Errorf("%d accounts, %d requests: nobody is billed or asked for our own calls", w.Acct.Starts, w.Auth.Requests)
	}
	w.wantCount("tunnels_dialed", 1)
	w.wantCount("calls_placed", 1)
	w.wantLog("opening tunnel")
	w.wantLog("placing call")

	// The call alone goes when it alone is wanted no more.
	o.Calls = nil
	w.reload(wanting(o))
	w.operate(func() error { return w.Engine.DropSession(context.Background(), c.Slot, 0) })
	w.Until(5*time.Second, "call gone", func() bool { return len(w.Forward.records) == 0 && w.wanted("north").Sessions == 0 })
	if w.wanted("north").State != "up" {
		t.Errorf("the tunnel went with its call")
	}
	w.nothingWanted()
}

func TestPlacedOutgoingCall(t *testing.T) {
	w := dials(t, wanting(outgoing(l2tp.LNS)))
	w.FarLAC(farAddr, Secret, "alice")
	w.Until(10*time.Second, "call up", w.placedUp("north"))
	c := w.wanted("north").Calls[0]
	if c.Type != "lnoc" || c.User != "alice" || c.Own != LNS.Addr() || !c.Peer.Is4() {
		t.Errorf("the call is %+v", c)
	}
	if w.Auth.Requests != 1 || w.Acct.Starts != 1 {
		t.Errorf("%d requests, %d accounts: the subscriber is one like others", w.Auth.Requests, w.Acct.Starts)
	}
	w.Forward.Pass(c.Peer, 10, 20)
	w.nothingWanted()
	if s := w.lastStop(); s.Counters.UpPackets != 10 || s.User != "alice" {
		t.Errorf("the account says %+v", s)
	}
}

// A peer that calls on the tunnel that the server has opened gets sessions as on any
// other, and one that asks for what we can't do is told so.
func TestPeersCallsInOurTunnel(t *testing.T) {
	w := dials(t, wanting(func() engine.Outgoing { o := outgoing(l2tp.LNS); o.Calls = nil; return o }()))
	far := w.FarLAC(farAddr, Secret, "bob")
	w.Until(5*time.Second, "tunnel up", func() bool { return w.wanted("north").State == "up" })
	var tun *Tunnel
	for _, x := range far.tunnels {
		tun = x
	}
	w.up(tun, "carol")
	w.nothingWanted()
}

func TestPersistentTunnelComesBack(t *testing.T) {
	w := dials(t, wanting(outgoing(l2tp.LAC)))
	far := w.FarLNS(farAddr, Secret)
	w.Until(5*time.Second, "call up", w.placedUp("north"))
	far.Dead = true
	w.Until(5*time.Minute, "loss noticed", func() bool { return w.wanted("north").State != "up" })
	w.Run(10 * time.Minute)
	v := w.wanted("north")
	if v.State != "opening" && v.State != "waiting" || v.Attempts < 4 || v.Attempts > 20 || len(w.Forward.records) != 0 {
		t.Errorf("after ten minutes: %+v", v)
	}
	if v.State == "waiting" && v.RetryAt.Sub(w.Now) > time.Minute {
		t.Errorf("waits until %v, more than the longest wait", v.RetryAt)
	}
	far.Dead, far.tunnels, far.Far.first = false, map[uint16]*Tunnel{}, map[uint16]*Tunnel{}
	w.Until(5*time.Minute, "call up again", w.placedUp("north"))
	w.nothingWanted()
}

func TestPersistentCallComesBack(t *testing.T) {
	w := dials(t, wanting(outgoing(l2tp.LAC)))
	far := w.FarLNS(farAddr, Secret)
	far.Far.Refuses = true
	w.Until(time.Minute, "a second attempt", func() bool {
		v := w.wanted("north")
		return v.State == "up" && v.Calls[0].Attempts > 1
	})
	if r := w.wanted("north").Calls[0].Reason; r != "call cleared by the peer: line is busy" && r != "" {
		t.Errorf("the reason is %q", r)
	}
	far.Far.Refuses = false
	w.Until(5*time.Minute, "call up", w.placedUp("north"))
	w.nothingWanted()
}

func TestTunnelThatIsTriedOnce(t *testing.T) {
	o := outgoing(l2tp.LAC)
	o.Persist, o.Said = false, "one"
	w := dials(t, wanting(o))
	far := w.FarLNS(farAddr, "another secret")
	w.Until(time.Minute, "end of the attempt", func() bool { return w.wanted("north").State == "over" })
	w.Run(time.Hour)
	w.reload(wanting(o)) // as it was: no reason to try again
	w.Run(time.Minute)
	if v := w.wanted("north"); v.Attempts != 1 || v.Reason == "" || v.Calls[0].State != "tunnel" {
		t.Errorf("the tunnel is %+v", v)
	}
	w.wantCount("tunnel_dial_failures", 1)
	far.cfg.Secret = []byte(Secret)
	o.Said = "two"
	w.reload(wanting(o))
	w.Until(time.Minute, "call up", w.placedUp("north"))
	w.nothingWanted()
}

func TestWrongPasswordOfOurs(t *testing.T) {
	o := outgoing(l2tp.LAC)
	o.Calls[0].Session.PPP = ClientConfig("north", "wrong")
	o.Calls[0].Persist = false
	w := dials(t, wanting(o))
	w.FarLNS(farAddr, Secret)
	w.Until(time.Minute, "end of the call", func() bool {
		v := w.wanted("north")
		return v.State == "up" && v.Calls[0].State == "over"
	})
	if r := w.wanted("north").Calls[0].Reason; r != "authentication failed" {
		t.Errorf("the reason is %q", r)
	}
	w.nothingWanted()
}

// Two SCCRQs cross: one tunnel stands, whoever wins, and the call comes up in it.
func TestCrossingTunnels(t *testing.T) {
	won, lost := uint64(0), uint64(0)
	for seed := uint64(1); seed <= 12; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := New(t, seed, Options{Network: quick, Adjust: func(c *engine.Config) { c.Policy = wanting(outgoing(l2tp.LAC)) }})
			w.CheckEvery = 1
			far := w.FarLNS(farAddr, Secret)
			far.cfg.TieBreaker = true
			w.settle()
			far.Open()
			w.Until(30*time.Second, "call up", w.placedUp("north"))
			w.Run(time.Minute)
			if c := w.Engine.Census(); c.Tunnels != 1 || c.Sessions != 1 {
				t.Errorf("%d tunnels with %d sessions stand", c.Tunnels, c.Sessions)
			}
			if v := w.wanted("north"); v.Attempts != 1 {
				t.Errorf("%d attempts", v.Attempts)
			}
			won, lost = won+w.Count("tunnel_ties_won"), lost+w.Count("tunnel_ties_lost")
			w.nothingWanted()
		})
	}
	if won == 0 || lost == 0 {
		t.Errorf("%d ties won and %d lost: both are to be seen", won, lost)
	}
}

func TestTunnelsDenied(t *testing.T) {
	p := wanting(outgoing(l2tp.LAC))
	p.DenyLocal, p.DenyRemote = true, true
	w := dials(t, p)
	w.FarLNS(farAddr, Secret)
	w.Run(time.Minute)
	if v := w.wanted("north"); v.State != "waiting" || v.Attempts != 0 || v.Reason != "refused by deny_local_tunnel_creates" {
		t.Errorf("the tunnel is %+v", v)
	}
	lac := w.LAC("198.51.100.1:1701", "lac1", Secret).Open()
	w.Until(5*time.Second, "refusal", func() bool { return lac.Closed })
	if lac.Result.Code != l2tp.StopUnauthorized {
		t.Errorf("the LAC was told %+v", lac.Result)
	}
	w.reload(wanting(outgoing(l2tp.LAC)))
	w.Until(time.Minute, "call up", w.placedUp("north"))
	w.open("198.51.100.2:1701", "lac2").Close()

	// What is up stays when more is denied, and while the server drains.
	p = wanting(outgoing(l2tp.LAC))
	p.DenyLocal, p.DenyRemote = true, true
	w.reload(p)
	w.Engine.Drain(true)
	w.Run(10 * time.Minute)
	if !w.placedUp("north")() {
		t.Errorf("the tunnel is %+v", w.wanted("north"))
	}
	w.Engine.Drain(false)
	w.nothingWanted()
}

func TestDrainingPlacesNothing(t *testing.T) {
	w := dials(t, wanting())
	w.FarLNS(farAddr, Secret)
	w.Engine.Drain(true)
	w.reload(wanting(outgoing(l2tp.LAC)))
	w.Run(time.Minute)
	if v := w.wanted("north"); v.Attempts != 0 || v.Reason != "server is draining" {
		t.Errorf("the tunnel is %+v", v)
	}
	w.Engine.Drain(false)
	w.Until(time.Minute, "call up", w.placedUp("north"))
	w.nothingWanted()
}

// A tunnel that nobody needs is closed, whoever has opened it; a persistent one stays.
func TestIdleTunnels(t *testing.T) {
	o := outgoing(l2tp.LNS)
	o.Calls, o.Persist, o.IdleTimeout = nil, false, time.Minute
	p := wanting(o)
	p.LACs = []engine.LAC{{L2TP: L2TPConfig(), IdleTimeout: 2 * time.Minute}}
	w := dials(t, p)
	w.FarLAC(farAddr, Secret, "alice")
	w.Until(5*time.Second, "tunnel up", func() bool { return w.wanted("north").State == "up" })
	tun := w.open("198.51.100.1:1701", "lac1")
	w.Run(90 * time.Second)
	if v := w.wanted("north"); v.State != "over" || v.Reason != "no session for too long" {
		t.Errorf("our tunnel is %+v", v)
	}
	c := w.up(tun, "bob")
	w.Run(10 * time.Minute)
	if tun.Closed {
		t.Fatal("a tunnel with a session was closed")
	}
	c.Quit()
	w.down(c)
	w.Until(3*time.Minute, "the LAC's tunnel closed", func() bool { return tun.Closed && tun.Remote })
	w.wantCount("tunnels_idle", 2)
	w.nothingWanted()
}

// Where nothing says what to open a tunnel from, the peer's answer does.
func TestLocalAddressIsLearnt(t *testing.T) {
	o := outgoing(l2tp.LAC)
	o.Local = netip.AddrPortFrom(netip.IPv4Unspecified(), LNS.Port())
	w := dials(t, wanting(o))
	w.FarLNS(farAddr, Secret)
	w.Until(5*time.Second, "call up", w.placedUp("north"))
	v := w.wanted("north")
	if r := w.Forward.records[v.Calls[0].Ref]; v.Local != LNS || r.Local != LNS {
		t.Errorf("the tunnel is from %v, the session from %v", v.Local, r.Local)
	}
	w.nothingWanted()
}

// MaxSessions bounds what is placed.
func TestPlacedCallsAreBounded(t *testing.T) {
	o := outgoing(l2tp.LAC)
	second := o.Calls[0]
	second.Name = "second"
	o.Calls, o.MaxSessions = append(o.Calls, second), 1
	w := dials(t, wanting(o))
	w.FarLNS(farAddr, Secret)
	w.Until(5*time.Second, "call up", w.placedUp("north"))
	w.Run(time.Minute)
	if v := w.wanted("north"); v.Calls[1].State != "waiting" || v.Calls[1].Reason != "too many sessions in this tunnel" {
		t.Errorf("the second call is %+v", v.Calls[1])
	}
	w.nothingWanted()
}

// Two calls to one LNS have one address at the far end: the second needs a route.
func TestTwoCallsToOneGateway(t *testing.T) {
	o := outgoing(l2tp.LAC)
	routed, bare := o.Calls[0], o.Calls[0]
	cfg := *routed.Session
	cfg.Routes = []netip.Prefix{netip.MustParsePrefix("10.98.0.0/16")}
	routed.Name, routed.Session = "routed", &cfg
	bare.Name, bare.Persist = "bare", false
	o.Calls = append(o.Calls, routed, bare)
	w := dials(t, wanting(o))
	w.FarLNS(farAddr, Secret)
	w.Until(30*time.Second, "two calls up, one over", func() bool {
		v := w.wanted("north")
		return len(v.Calls) == 3 && v.Calls[0].State == "up" && v.Calls[1].State == "up" && v.Calls[2].State == "over"
	})
	if r := w.wanted("north").Calls[2].Reason; r != "the peer's address 172.31.0.1 is another session's: address in use" {
		t.Errorf("the reason is %q", r)
	}
	w.nothingWanted()
}

// The daemon is killed: tunnel and call go on, without a word to the peer.
func TestPlacedCallSurvives(t *testing.T) {
	for _, role := range []l2tp.Role{l2tp.LAC, l2tp.LNS} {
		t.Run(outgoingName(role), func(t *testing.T) {
			w := dials(t, wanting(outgoing(role)))
			far := w.FarLNS(farAddr, Secret)
			if role == l2tp.LNS {
				far = w.FarLAC(farAddr, Secret, "alice")
			}
			w.Until(10*time.Second, "call up", w.placedUp("north"))
			w.Run(time.Minute)
			before := w.wanted("north").Calls[0]
			w.Crash()
			w.Run(5 * time.Minute)
			after := w.wanted("north")
			if !w.placedUp("north")() || after.Calls[0].Ref != before.Ref || after.Calls[0].Own != before.Own || far.Far.Tunnels != 1 || far.Far.Calls != 1 {
				t.Errorf("before %+v, after %+v; the peer has seen %d tunnels, %d calls", before, after, far.Far.Tunnels, far.Far.Calls)
			}
			w.nothingWanted()
		})
	}
}

func outgoingName(r l2tp.Role) string {
	if r == l2tp.LAC {
		return "lac"
	}
	return "lns"
}

// What is wanted comes true over a network that loses, repeats and reorders, with peers
// that die and come back.
func TestOutgoingThroughBadNetworks(t *testing.T) {
	for seed := uint64(1); seed <= 10; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			role := l2tp.Role(seed % 2)
			w := New(t, seed, Options{
				Network: Network{Loss: 0.1, Repeat: 0.1, Delay: 10 * time.Millisecond, Jitter: 40 * time.Millisecond},
				Adjust:  func(c *engine.Config) { c.Policy = wanting(outgoing(role)) },
			})
			w.CheckEvery = 1
			far := w.FarLNS(farAddr, Secret)
			if role == l2tp.LNS {
				far = w.FarLAC(farAddr, Secret, "alice")
			}
			for range 3 {
				w.Until(time.Hour, "call up", w.placedUp("north"))
				far.Dead = true
				w.Until(time.Hour, "loss noticed", func() bool { return !w.placedUp("north")() })
				far.Dead, far.tunnels, far.Far.first = false, map[uint16]*Tunnel{}, map[uint16]*Tunnel{}
			}
			w.Net = quick
			w.Until(time.Hour, "call up", w.placedUp("north"))
			w.nothingWanted()
		})
	}
}
