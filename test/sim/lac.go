package sim

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

// LAC is a LAC with its subscribers.
type LAC struct {
	w       *World
	Addr    netip.AddrPort
	cfg     *l2tp.Config
	tunnels map[uint16]*Tunnel
	nextID  uint16
	// Dead makes it neither hear nor speak, as if its power had failed.
	Dead bool
	// Far is what it answers tunnels and calls with that the LNS begins; nil: nothing.
	Far *Far
}

// Tunnel is a tunnel as the LAC sees it.
type Tunnel struct {
	lac     *LAC
	T       *l2tp.Tunnel
	out     l2tp.Out
	clients map[uint16]*Client
	nextID  uint16
	armed   time.Time

	Up, Closed, Gone bool
	Remote           bool        // the LNS closed it
	Result           l2tp.Result // why it was closed
}

// Client is a subscriber.
type Client struct {
	tun   *Tunnel
	Call  *l2tp.Call
	Link  *ppp.Link
	out   ppp.Out
	User  string
	cfg   *ppp.Config
	armed time.Time

	Connected, Up, LinkDown, Down bool
	Address                       netip.Addr
	DNS                           [2]netip.Addr
	Up6                           bool
	ID6                           [8]byte
	// Prefix6 is what the last router advertisement announced, Withdrawn whether
	// that was to end its use.
	Prefix6   netip.Prefix
	Withdrawn bool
	Cause     ppp.Cause
	Message   string      // of LinkDown
	CDN       l2tp.Result // of the call
	Remote    bool        // the LNS hung up
	// Mute makes the client ignore everything.
	Mute bool
}

// LAC makes a LAC at an address; secret "" has none.
func (w *World) LAC(addr, name, secret string) *LAC {
	l := &LAC{w: w, Addr: netip.MustParseAddrPort(addr), tunnels: make(map[uint16]*Tunnel)}
	cfg := L2TPConfig()
	cfg.Role, cfg.HostName, cfg.Secret, cfg.Challenge = l2tp.LAC, name, []byte(secret), secret != ""
	l.cfg = cfg
	w.lacs[l.Addr] = l
	return l
}

// Open opens a tunnel.
func (l *LAC) Open() *Tunnel {
	l.nextID++
	return l.OpenAs(l.nextID)
}

// OpenAs opens a tunnel under a certain id.
func (l *LAC) OpenAs(id uint16) *Tunnel {
	t := &Tunnel{lac: l, clients: make(map[uint16]*Client), T: l2tp.NewTunnel(l.cfg, id, l.w.random)}
	l.tunnels[id] = t
	t.T.Open(l.w.Now, &t.out)
	t.pump()
	return t
}

// send brings a datagram to the LNS.
func (l *LAC) send(b []byte) {
	if l.Dead {
		return
	}
	l.w.travel(b, func(b []byte) { l.w.packet(l.Addr, b) })
}

func (l *LAC) receive(b []byte) {
	if l.Dead {
		return
	}
	h, body, err := l2tp.ParseHeader(b)
	if err != nil {
		l.w.T.Errorf("LAC received %x: %v", b, err)
		return
	}
	t := l.tunnels[h.TunnelID]
	if h.TunnelID == 0 && l.Far != nil {
		t = l.answer(body)
	}
	if t == nil {
		return
	}
	if h.IsControl() {
		t.T.Receive(l.w.Now, h, body, &t.out)
		t.pump()
		return
	}
	if c := t.clients[h.SessionID]; c != nil && !c.Mute {
		c.linkPacket(body)
		c.Link.Receive(l.w.Now, body, &c.out)
		c.pump()
	}
}

// pump carries out what the tunnel wants.
func (t *Tunnel) pump() {
	for sent, seen := 0, 0; sent < len(t.out.Send) || seen < len(t.out.Events); {
		for ; sent < len(t.out.Send); sent++ {
			t.lac.send(t.out.Send[sent])
		}
		if seen < len(t.out.Events) {
			e := t.out.Events[seen]
			seen++
			t.event(&e)
		}
	}
	t.out.Reset()
	w := t.lac.w
	if d := t.T.Deadline(); !d.IsZero() && !d.Equal(t.armed) {
		t.armed = d
		w.at(d, func() {
			if x := t.T.Deadline(); t.lac.Dead || x.IsZero() || w.Now.Before(x) {
				return
			}
			t.armed = time.Time{}
			t.T.Timer(w.Now, &t.out)
			t.pump()
		})
	}
}

func (t *Tunnel) event(e *l2tp.Event) {
	w := t.lac.w
	switch e.Kind {
	case l2tp.TunnelUp:
		t.Up = true
	case l2tp.TunnelClosing:
		t.Up, t.Closed, t.Result, t.Remote = false, true, e.Result, e.Remote
	case l2tp.TunnelGone:
		t.Gone = true
		if t.lac.tunnels[t.T.ID()] == t {
			delete(t.lac.tunnels, t.T.ID())
		}
	case l2tp.CallRequest:
		t.take(e.Call)
	case l2tp.CallUp:
		c := t.clients[e.Call.LocalID]
		c.Connected = true
		c.Link.Start(w.Now, nil, &c.out)
		c.pump()
	case l2tp.CallDown:
		c := t.clients[e.Call.LocalID]
		if c == nil || c.Call != e.Call && c.Call != nil {
			return
		}
		c.Down, c.Up, c.CDN, c.Remote = true, false, e.Result, e.Remote
		delete(t.clients, e.Call.LocalID)
	}
}

// ClientConfig is a subscriber's PPP configuration.
func ClientConfig(user, password string) *ppp.Config {
	return &ppp.Config{
		Client: true, User: user, Password: password, MRU: 1492, ACFC: true, PFC: true,
		Auth: []ppp.Auth{ppp.CHAPMD5, ppp.PAP},
	}
}

// Dial places a call for a subscriber.
func (t *Tunnel) Dial(user, password string) *Client {
	return t.DialWith(ClientConfig(user, password), &l2tp.CallParams{})
}

// DialWith places a call with everything said.
func (t *Tunnel) DialWith(cfg *ppp.Config, p *l2tp.CallParams) *Client {
	w := t.lac.w
	t.nextID++
	for t.clients[t.nextID] != nil || t.nextID == 0 {
		t.nextID++
	}
	p.Serial = uint32(t.nextID)
	p.FramingType, p.TxSpeed, p.RxSpeed = l2tp.FramingSync, 50_000_000, 10_000_000
	p.CalledNumber = "isp"
	if p.CallingNumber == "" {
		p.CallingNumber = fmt.Sprintf("line-%d", t.nextID)
	}
	c := &Client{tun: t, User: cfg.User, cfg: cfg, Link: ppp.NewLink(cfg, w.random)}
	t.clients[t.nextID] = c
	call, err := t.T.PlaceCall(w.Now, t.nextID, p, &t.out)
	if err != nil {
		delete(t.clients, t.nextID)
		c.Down = true
		return c
	}
	c.Call = call
	t.pump()
	return c
}

// pump carries out what the link wants.
func (c *Client) pump() {
	w := c.tun.lac.w
	for sent, seen := 0, 0; sent < len(c.out.Send) || seen < len(c.out.Events); {
		for ; sent < len(c.out.Send); sent++ {
			if f := c.out.Send[sent]; !c.Down {
				b := l2tp.AppendDataHeader(nil, c.tun.T.PeerID(), c.Call.PeerID, false, false, 0, len(f))
				c.tun.lac.send(append(b, f...))
			}
		}
		if seen < len(c.out.Events) {
			e := c.out.Events[seen]
			seen++
			c.event(&e)
		}
	}
	c.out.Reset()
	if d := c.Link.Deadline(); !d.IsZero() && !d.Equal(c.armed) {
		c.armed = d
		w.at(d, func() {
			if x := c.Link.Deadline(); c.tun.lac.Dead || c.Mute || c.Down || x.IsZero() || w.Now.Before(x) {
				return
			}
			c.armed = time.Time{}
			c.Link.Timer(w.Now, &c.out)
			c.pump()
		})
	}
}

func (c *Client) event(e *ppp.Event) {
	switch e.Kind {
	case ppp.AuthRequested:
		c.judge(e.Auth)
	case ppp.IPv4Up:
		c.Up, c.Address, c.DNS = true, e.IPv4.Local, e.IPv4.DNS
	case ppp.IPv4Down:
		c.Up = false
	case ppp.IPv6Up:
		c.Up6, c.ID6 = true, e.IPv6[0]
	case ppp.IPv6Down:
		c.Up6 = false
	case ppp.LinkDown:
		c.Up6 = false
		c.Up, c.LinkDown, c.Cause, c.Message = false, true, e.Cause, e.Message
		if c.Link.Phase() == "dead" && !c.Down {
			// The LAC sees the subscriber's line go, a moment later.
			c.tun.lac.w.After(100*time.Millisecond, func() { c.HangUp(l2tp.Result{Code: l2tp.CDNLostCarrier}) })
		}
	}
}

// Quit ends the subscriber's link in the orderly way.
func (c *Client) Quit() {
	if !c.Down && c.Connected {
		c.Link.Close(c.tun.lac.w.Now, "bye", &c.out)
		c.pump()
	}
}

// HangUp makes the LAC end the call.
func (c *Client) HangUp(r l2tp.Result) {
	if c.Down || c.Call == nil || c.tun.lac.Dead {
		return
	}
	c.tun.T.HangUp(c.tun.lac.w.Now, c.Call, r, &c.tun.out)
	c.tun.pump()
}

// Close ends the tunnel.
func (t *Tunnel) Close() {
	t.T.Close(t.lac.w.Now, l2tp.Result{Code: l2tp.StopClear}, &t.out)
	t.pump()
}

// Clients are the subscribers whose calls are not down.
func (t *Tunnel) Clients() []*Client {
	var cs []*Client
	for id := range uint32(1 << 16) {
		if c := t.clients[uint16(id)]; c != nil {
			cs = append(cs, c)
		}
	}
	return cs
}
