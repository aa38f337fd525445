package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/session"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// wantStop checks how the LNS ended or refused a tunnel.
func (w *World) wantStop(t *Tunnel, code, errorCode uint16, message string) {
	w.T.Helper()
	w.Until(2*time.Minute, "tunnel closed", func() bool { return t.Closed })
	if !t.Remote || t.Result.Code != code || t.Result.Error != errorCode || t.Result.Message != message {
		w.T.Errorf("StopCCN %+v (remote %v), want result %d error %d %q", t.Result, t.Remote, code, errorCode, message)
	}
}

func TestWrongSecret(t *testing.T) {
	w := New(t, 1, Options{Network: quick})
	// This LAC does not check us; we check it.
	l := w.LAC("198.51.100.1:1701", "lac1", "not the secret")
	l.cfg.Challenge = false
	tun := l.Open()
	w.Until(time.Minute, "tunnel closed", func() bool { return tun.Closed })
	if !tun.Remote || tun.Result.Code != l2tp.StopUnauthorized || tun.Result.Message == "" {
		t.Errorf("StopCCN %+v", tun.Result)
	}
	w.wantCount("tunnel_auth_failures", 1)
	w.wantLog("tunnel authentication failed")
	w.Run(settleTime)
	w.CheckEnd()
}

// An answer of the authenticator or of the forwarding path that comes after its
// session has gone reaches nobody, whoever has the ids by then.
func TestLateAnswers(t *testing.T) {
	w, tun := begin(t, nil)
	w.Auth.Delay = 20 * time.Second
	c := tun.Dial("alice", "pw-alice")
	w.Until(time.Second, "asked", func() bool { return w.Auth.Requests == 1 })
	c.HangUp(l2tp.Result{Code: l2tp.CDNLostCarrier})
	w.Run(time.Minute)
	w.wantCount("answers_late", 1)
	w.Auth.Delay = 0
	// The same ids, another serial number.
	b := w.up(tun, "bob")
	r := w.Forward.records[w.Forward.byAddr[b.Address]].Ref
	r.Serial--
	w.In.Programmed([]session.Programmed{{Ref: r, Removed: true}, {Ref: r, Err: errFull}})
	w.In.AuthDone(&session.AuthResult{Ref: r})
	w.Run(time.Second)
	w.wantCount("answers_late", 4)
	if !b.Up || b.Down {
		t.Error("a late answer ended a session")
	}
	w.end(tun)
}

func TestLACPolicy(t *testing.T) {
	own := L2TPConfig()
	own.Secret = []byte("other secret")
	w := New(t, 1, Options{Network: quick, Adjust: func(c *engine.Config) {
		c.Policy.Default = nil
		c.Policy.LACs = []engine.LAC{
			{Source: prefix("198.51.100.0/24"), HostName: "bras-*", L2TP: own},
			{Source: prefix("198.51.100.7/32"), L2TP: L2TPConfig()},
		}
	}})
	matched := w.LAC("198.51.100.1:1701", "bras-7", "other secret").Open()
	byAddress := w.LAC("198.51.100.7:1701", "anybody", Secret).Open()
	unknownName := w.LAC("198.51.100.2:1701", "anybody", Secret).Open()
	unknownAddress := w.LAC("203.0.113.1:1701", "bras-7", "other secret").Open()
	w.Run(5 * time.Second)
	if !matched.Up || !byAddress.Up || unknownName.Up || unknownAddress.Up {
		t.Errorf("up: %v %v %v %v", matched.Up, byAddress.Up, unknownName.Up, unknownAddress.Up)
	}
	// To strangers we are not there at all.
	if st := unknownAddress.T.Stats(); st.ZLBReceived+st.Received != 0 {
		t.Error("a stranger got an answer")
	}
	if n := w.Count("lac_unknown"); n < 2 {
		t.Errorf("%d unknown LACs counted", n)
	}
	w.wantLog("tunnel from unknown LAC ignored")
	w.end(matched, byAddress)
}

func TestTunnelLimits(t *testing.T) {
	cases := []struct {
		name    string
		adjust  func(*engine.Policy)
		allowed int
		same    bool // all from one address
		code    uint16
		message string
	}{
		{"in all", func(p *engine.Policy) { p.Limits.Tunnels = 3 }, 3, false, l2tp.StopError, "too many tunnels"},
		{"per address", func(p *engine.Policy) { p.Limits.TunnelsPerPeer = 2 }, 2, true, l2tp.StopError, "too many tunnels from this address"},
		{"per LAC entry", func(p *engine.Policy) {
			p.LACs = []engine.LAC{{L2TP: p.Default, MaxTunnels: 1}}
		}, 1, true, l2tp.StopError, "too many tunnels from this address"},
		{"one per LAC", func(p *engine.Policy) { p.OneTunnelPerLAC = true }, 1, true, l2tp.StopExists, "a tunnel exists"},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			w := New(t, 1, Options{Network: quick, Adjust: func(c *engine.Config) { x.adjust(c.Policy) }})
			var up []*Tunnel
			l := w.LAC("198.51.100.1:1701", "lac", Secret)
			for i := range x.allowed {
				if !x.same && i > 0 {
					l = w.LAC(fmt.Sprintf("198.51.100.%d:1701", i+1), "lac", Secret)
				}
				tun := l.Open()
				w.Until(time.Second, "tunnel up", func() bool { return tun.Up })
				up = append(up, tun)
			}
			if !x.same {
				l = w.LAC("198.51.100.99:1701", "lac", Secret)
			}
			late := l.Open()
			errorCode := l2tp.ErrorResources
			if x.code != l2tp.StopError {
				errorCode = 0
			}
			w.wantStop(late, x.code, errorCode, x.message)
			w.wantCount("tunnels_refused", 1)
			w.wantLog("tunnel refused")
			// A place that was left can be taken at once.
			up[0].Close()
			w.Run(time.Second)
			again := l.Open()
			w.Until(time.Second, "tunnel up", func() bool { return again.Up })
			w.end(append(up, again)...)
		})
	}
}

func TestHalfOpenTunnelsAreBounded(t *testing.T) {
	w := New(t, 1, Options{Network: quick, Adjust: func(c *engine.Config) {
		c.Policy.Limits.HalfOpenPerPeer, c.Policy.Limits.HalfOpen = 5, 8
	}})
	w.Net.Loss = 0
	// SCCRQs from addresses that never hear our answers.
	for i := range 40 {
		l := w.LAC(fmt.Sprintf("198.51.100.%d:%d", 1+i/20, 1000+i), "ghost", Secret)
		l.Open()
		delete(w.lacs, l.Addr)
	}
	w.Run(2 * time.Second)
	if c := w.Engine.Census(); c.Tunnels != 8 || c.HalfOpen != 8 {
		t.Errorf("%+v", c)
	}
	w.Run(2 * settleTime)
	w.CheckEnd()
}

func TestSessionLimits(t *testing.T) {
	cases := []struct {
		name    string
		adjust  func(*engine.Config)
		message string
		counter string
	}{
		{"per tunnel", func(c *engine.Config) { c.Policy.Limits.SessionsPerTunnel = 3 }, "too many sessions in this tunnel", "sessions_refused"},
		{"per LAC entry", func(c *engine.Config) {
			c.Policy.LACs = []engine.LAC{{L2TP: c.Policy.Default, MaxSessions: 3}}
		}, "too many sessions in this tunnel", "sessions_refused"},
		{"in all", func(c *engine.Config) { c.Policy.Limits.Sessions = 3 }, "too many sessions", "session_slots_exhausted"},
		{"slots", func(c *engine.Config) { c.MaxSessions = 3 }, "too many sessions", "session_slots_exhausted"},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			w, tun := begin(t, x.adjust)
			var cs []*Client
			for _, user := range users(3) {
				cs = append(cs, w.up(tun, user))
			}
			late := tun.Dial("late", "pw-late")
			w.down(late)
			wantCDN(t, late, l2tp.CDNTemporary, 0, x.message, 0)
			w.wantCount(x.counter, 1)
			w.wantLog("call refused")
			cs[0].Quit()
			w.down(cs[0])
			w.Run(time.Second)
			w.up(tun, "later")
			w.end(tun)
		})
	}
}

func TestDrain(t *testing.T) {
	w, tun := begin(t, nil)
	c := w.up(tun, "alice")
	w.Engine.Drain(true)
	late := tun.Dial("bob", "pw-bob")
	w.down(late)
	wantCDN(t, late, l2tp.CDNTemporary, 0, "server is draining", 0)
	w.wantStop(w.LAC("198.51.100.2:1701", "lac2", Secret).Open(), l2tp.StopShutdown, 0, "server is draining")
	w.Run(time.Minute)
	if !c.Up || !tun.Up {
		t.Error("draining ended what there was")
	}
	w.Engine.Drain(false)
	w.up(tun, "bob")
	w.end(tun)
}

func TestReload(t *testing.T) {
	w, tun := begin(t, nil)
	a := w.up(tun, "alice")
	p := engine.Policy{Default: L2TPConfig(), Session: SessionConfig()}
	p.Session.LocalAddress = netip.MustParseAddr("192.0.2.77")
	p.Limits.SessionsPerTunnel = 2
	if err := w.Engine.Reload(&p); err != nil {
		t.Fatal(err)
	}
	if err := w.Engine.Reload(&engine.Policy{}); err == nil {
		t.Error("an empty policy was taken")
	}
	w.up(tun, "bob")
	if late := tun.Dial("carol", "pw-carol"); true {
		w.down(late)
	}
	if !a.Up {
		t.Error("a reload ended a session")
	}
	w.end(tun)
}

// A repeated SCCRQ makes no second tunnel (RFC 2661 section 5.8).
func TestRepeatedSCCRQ(t *testing.T) {
	w := New(t, 1, Options{Network: Network{Delay: 5 * time.Millisecond, Repeat: 1}})
	tun := w.open("198.51.100.1:1701", "lac1")
	c := tun.Dial("alice", "pw-alice")
	w.Until(time.Second, "connected", func() bool { return c.Connected })
	w.Net.Repeat = 0 // PPP itself is not made for repeats
	w.waitUp(c)
	w.Run(time.Minute)
	w.wantCount("tunnels_opened", 1)
	w.wantCount("sessions_opened", 1)
	w.end(tun)
}

// A LAC that was restarted and uses the same ids again gets a new tunnel, and the
// sessions of the old one end when it has proved who it is.
func TestLACRestartsWithSameIDs(t *testing.T) {
	w, tun := begin(t, nil)
	w.up(tun, "alice")
	w.Run(2 * time.Minute)
	tun.lac.Dead = true
	again := w.LAC("198.51.100.1:1701", "lac1", Secret).OpenAs(tun.T.ID())
	w.Until(10*time.Second, "tunnel up", func() bool { return again.Up })
	w.Until(10*time.Second, "old session ended", func() bool { return len(w.Acct.Stops) == 1 })
	w.wantLog("tunnel abandoned")
	w.up(again, "bob")
	w.Run(time.Minute)
	if !again.Up {
		t.Error("the new tunnel went down with the old one")
	}
	w.end(again)
}

// Nobody but the tunnel's peer is heard in it, by control or by data.
func TestStrangersAreNotHeard(t *testing.T) {
	w, tun := begin(t, nil)
	c := w.up(tun, "alice")
	stranger := netip.MustParseAddrPort("203.0.113.66:1701")
	var ref = w.Forward.records[w.Forward.byAddr[c.Address]].Ref
	term := []byte{0xFF, 0x03, 0xC0, 0x21, 5, 9, 0, 4} // LCP Terminate-Request
	data := l2tp.AppendDataHeader(nil, ref.TunnelID, ref.SessionID, false, false, 0, len(term))
	data = append(data, term...)
	stop := l2tp.AppendRefusal(nil, ref.TunnelID, 1, l2tp.Result{Code: l2tp.StopClear})
	w.In.Packet(LNS, stranger, data)
	w.In.Packet(LNS, stranger, stop)
	w.In.Packet(LNS, tun.lac.Addr, l2tp.AppendDataHeader(nil, ref.TunnelID, ref.SessionID+1, false, false, 0, 0))
	w.In.Packet(LNS, tun.lac.Addr, l2tp.AppendRefusal(nil, ref.TunnelID^0x100, 1, l2tp.Result{Code: l2tp.StopClear}))
	w.In.Packet(LNS, tun.lac.Addr, []byte{1, 2, 3})
	w.Run(10 * time.Second)
	if !c.Up || !tun.Up {
		t.Error("a stranger ended a session")
	}
	w.wantCount("packets_wrong_peer", 2)
	w.wantCount("packets_unknown_session", 1)
	w.wantCount("packets_unknown_tunnel", 1)
	w.wantCount("packets_malformed", 1)
	w.end(tun)
}

// A LAC that negotiated LCP and heard the password tells us; the subscriber is
// not asked again (RFC 2661 section 4.4.5).
func TestProxyAuthentication(t *testing.T) {
	w, tun := begin(t, func(c *engine.Config) {
		p := *c.Policy.Session.PPP
		p.Auth = []ppp.Auth{ppp.PAP}
		c.Policy.Session.PPP = &p
	})
	params := &l2tp.CallParams{}
	// MRU 1460 and PAP are what the LAC asked for, MRU 1492 what the client did.
	params.Proxy.LastSent = []byte{1, 4, 0x05, 0xB4, 3, 4, 0xC0, 0x23}
	params.Proxy.LastReceived = []byte{1, 4, 0x05, 0xD4}
	params.Proxy.InitialReceived = params.Proxy.LastReceived
	params.Proxy.AuthType, params.Proxy.AuthName, params.Proxy.AuthID = 3, "alice", 1
	params.Proxy.AuthResponse = []byte("pw-alice")
	tun.DialWith(ClientConfig("alice", "pw-alice"), params)
	w.Until(10*time.Second, "authenticated", func() bool { return w.Auth.Requests > 0 })
	if w.Count("packets_ppp") != 0 && w.Now.Sub(w.start) > 100*time.Millisecond {
		t.Error("the subscriber was asked although the LAC had told")
	}
	w.end(tun)
}

// Sequence numbers go into data headers when the LAC requires them, and count.
func TestSequencingRequired(t *testing.T) {
	w, tun := begin(t, nil)
	c := tun.DialWith(ClientConfig("alice", "pw-alice"), &l2tp.CallParams{SequencingRequired: true})
	w.waitUp(c)
	r := w.Forward.records[w.Forward.byAddr[c.Address]]
	if !r.Framing.Sequence || r.MTU != 1500-20-8-6-4-2+1 {
		t.Errorf("framing %+v, MTU %d", r.Framing, r.MTU)
	}
	w.end(tun)
}

// Shutdown with many sessions: every account is stopped, every LAC told.
func TestShutdownOfMany(t *testing.T) {
	w := New(t, 1, Options{Network: quick})
	var tuns []*Tunnel
	for i := range 5 {
		tuns = append(tuns, w.open(fmt.Sprintf("198.51.100.%d:1701", i+1), "lac"))
	}
	for i, user := range users(100) {
		tuns[i%5].Dial(user, "pw-"+user)
	}
	w.Until(10*time.Second, "all up", func() bool { return w.Acct.Starts == 100 })
	for _, s := range w.Engine.Shards() {
		s.BeginShutdown()
	}
	w.Until(10*time.Second, "quiet", func() bool {
		for _, s := range w.Engine.Shards() {
			if !s.Quiet() {
				return false
			}
		}
		return true
	})
	if len(w.Acct.Stops) != 100 {
		t.Errorf("%d Stops", len(w.Acct.Stops))
	}
	for _, tun := range tuns {
		w.wantStop(tun, l2tp.StopShutdown, 0, "server is shutting down")
	}
	w.Run(settleTime)
	w.CheckEnd()
}

// A shutdown waits for LACs that are there, not for one that asked for a tunnel and was
// never heard of again.
func TestShutdownWaitsForNoGhosts(t *testing.T) {
	w := New(t, 1, Options{Network: quick})
	w.open("198.51.100.1:1701", "lac")
	ghost := w.LAC("198.51.100.2:1701", "ghost", Secret)
	ghost.Open()
	ghost.Dead = true
	w.Until(time.Second, "both are known", func() bool { return w.Engine.Census().Tunnels == 2 })
	for _, s := range w.Engine.Shards() {
		s.BeginShutdown()
	}
	w.Until(time.Second, "quiet", func() bool {
		for _, s := range w.Engine.Shards() {
			if !s.Quiet() {
				return false
			}
		}
		return true
	})
	w.Run(settleTime)
	w.CheckEnd()
}
