package sim

import (
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

// Far is how a peer answers what the server begins. As an LNS it authenticates the
// server's calls and gives them addresses; as a LAC it connects the calls that it is
// asked for to a subscriber.
type Far struct {
	// Gateway is the LNS's own address, Pool the next one that it gives.
	Gateway, Pool netip.Addr
	// User is the subscriber of a LAC.
	User string
	// Refuses makes it turn calls down; Tunnels and Calls count what it has taken.
	Refuses        bool
	Tunnels, Calls int
	// first finds a tunnel by the server's id in its SCCRQ.
	first map[uint16]*Tunnel
}

// FarLNS makes an LNS that the server opens tunnels to.
func (w *World) FarLNS(addr, secret string) *LAC {
	l := w.LAC(addr, "far", secret)
	l.cfg.Role = l2tp.LNS
	l.Far = &Far{
		Gateway: netip.MustParseAddr("172.31.0.1"), Pool: netip.MustParseAddr("172.31.1.1"), first: make(map[uint16]*Tunnel),
	}
	return l
}

// FarLAC makes a LAC that the server opens tunnels to.
func (w *World) FarLAC(addr, secret, user string) *LAC {
	l := w.LAC(addr, "far", secret)
	l.cfg.BearerCaps = l2tp.BearerDigital | l2tp.BearerAnalog
	l.Far = &Far{User: user, first: make(map[uint16]*Tunnel)}
	return l
}

// answer finds or makes the tunnel of a message to tunnel id 0.
func (l *LAC) answer(body []byte) *Tunnel {
	_, id, ok := l2tp.PeekSCCRQ(body)
	if !ok {
		if id, ok = l2tp.PeekStopCCN(body); !ok {
			return nil
		}
		return l.Far.first[id]
	}
	if t := l.Far.first[id]; t != nil && !t.Gone {
		return t
	}
	for _, t := range l.tunnels {
		if t.T.State() != l2tp.WaitCtlReply {
			continue
		}
		var theirs *[8]byte
		if b, ok := l2tp.PeekTieBreaker(body); ok {
			theirs = &b
		}
		switch l2tp.CompareTieBreakers(t.T.TieBreaker(), theirs) {
		case l2tp.TieWon:
			return nil
		case l2tp.TieLost:
			t.T.Discard(&t.out)
			t.pump()
		}
	}
	l.nextID++
	t := &Tunnel{lac: l, clients: make(map[uint16]*Client), T: l2tp.NewTunnel(l.cfg, l.nextID, l.w.random)}
	l.tunnels[l.nextID] = t
	l.Far.first[id] = t
	l.Far.Tunnels++
	return t
}

// take answers a request for a call.
func (t *Tunnel) take(c *l2tp.Call) {
	l := t.lac
	if l.Far == nil || l.Far.Refuses {
		t.T.RejectCall(l.w.Now, c, l2tp.Result{Code: l2tp.CDNBusy, Message: "line is busy"}, &t.out)
		return
	}
	l.Far.Calls++
	for t.nextID++; t.clients[t.nextID] != nil || t.nextID == 0; t.nextID++ {
	}
	cfg := ClientConfig(l.Far.User, "pw-"+l.Far.User)
	if c.Incoming {
		cfg = SessionConfig().PPP
		cfg.Name = "far"
	}
	x := &Client{tun: t, User: cfg.User, cfg: cfg, Call: c, Link: ppp.NewLink(cfg, l.w.random)}
	t.clients[t.nextID] = x
	t.T.AcceptCall(l.w.Now, c, t.nextID, &t.out)
	if !c.Incoming {
		// The subscriber's line is answered a moment later.
		l.w.After(time.Second, func() {
			if !l.Dead && !x.Down {
				t.T.ConnectCall(l.w.Now, c, &l2tp.CallParams{TxSpeed: 1_000_000, FramingType: l2tp.FramingSync}, &t.out)
				t.pump()
			}
		})
	}
}

// judge is the far LNS's authentication.
func (c *Client) judge(a *ppp.Credentials) {
	l := c.tun.lac
	password := "pw-" + a.Name
	ok := a.Method == ppp.CHAPMD5 && ppp.VerifyCHAP(a.ID, a.Challenge, a.Response, []byte(password)) ||
		a.Method == ppp.PAP && string(a.Password) == password
	v := ppp.AuthVerdict{OK: ok, Message: "go away"}
	if ok {
		c.User = a.Name
		v.IPv4 = ppp.IPv4{Local: l.Far.Gateway, Peer: l.Far.Pool}
		l.Far.Pool = l.Far.Pool.Next()
	}
	c.Link.Authenticated(l.w.Now, v, &c.out)
}
