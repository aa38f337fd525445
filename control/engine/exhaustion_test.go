package engine

import (
	"net/netip"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/pool"
	"github.com/lnsd/lnsd/control/session"
)

// nobody takes everything and answers nothing.
type nobody struct{ sent [][]byte }

func (n *nobody) Authenticate(*session.AuthRequest) bool { return true }
func (n *nobody) Account(*session.AcctRecord) bool       { return true }
func (n *nobody) Apply([]session.ProgramOp)              {}
func (n *nobody) Counters(uint32) session.Counters       { return session.Counters{} }
func (n *nobody) Flush()                                 {}
func (n *nobody) Send(_, _ netip.AddrPort, b []byte) {
	n.sent = append(n.sent, append([]byte(nil), b...))
}

// pair is an engine of one shard and a LAC's tunnel, wired without a network.
type pair struct {
	e    *Engine
	s    *Shard
	port *nobody
	now  time.Time
	logs *observer.ObservedLogs
}

func newPair(t *testing.T) *pair {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	p := &pair{port: &nobody{}, now: time.Unix(1_700_000_000, 0), logs: logs}
	in := NewInboxes(1)
	e, err := New(Config{
		Policy:      &Policy{Default: &l2tp.Config{HostName: "lns", ReceiveWindow: 8}, Session: testSession()},
		Pools:       []*pool.Pool{testPool(t, "default", "10.0.0.0/24")},
		MaxSessions: 100, Now: func() time.Time { return p.now },
	}, in, Ports{Authenticator: p.port, Accountant: p.port, Forwarder: p.port, Send: []Sender{p.port}}, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	p.e, p.s = e, e.Shards()[0]
	return p
}

// talk passes messages until both sides are content, and returns what happened
// at the LAC.
func (p *pair) talk(lac *l2tp.Tunnel, out *l2tp.Out) []l2tp.Event {
	var events []l2tp.Event
	for {
		events = append(events, out.Events...)
		for _, b := range out.Send {
			p.e.in.Packet(testLocal, testPeer, b)
		}
		out.Reset()
		p.s.Step(p.now)
		if len(p.port.sent) == 0 {
			return events
		}
		for _, b := range p.port.sent {
			if h, body, err := l2tp.ParseHeader(b); err == nil && h.IsControl() {
				lac.Receive(p.now, h, body, out)
			}
		}
		p.port.sent = nil
	}
}

func newLAC(id uint16) *l2tp.Tunnel {
	return l2tp.NewTunnel(&l2tp.Config{Role: l2tp.LAC, HostName: "lac"}, id, func(b []byte) {})
}

func countOf(e *Engine, name string) uint64 {
	for _, c := range e.Counts() {
		if c.Name == name {
			return c.Value
		}
	}
	return 0
}

func TestSessionIDsExhausted(t *testing.T) {
	p := newPair(t)
	lac, out := newLAC(1), &l2tp.Out{}
	lac.Open(p.now, out)
	p.talk(lac, out)
	tun := p.s.tunnels[lac.PeerID()]
	tun.ids = pool.NewIDs(p.s.random16, 0, 0)
	for range 65535 {
		tun.ids.Take(p.now)
	}
	lac.PlaceCall(p.now, 1, &l2tp.CallParams{}, out)
	events := p.talk(lac, out)
	last := events[len(events)-1]
	if last.Kind != l2tp.CallDown || last.Result.Code != l2tp.CDNTemporary || last.Result.Message != "no session id left" {
		t.Errorf("events %+v", events)
	}
	if countOf(p.e, "session_ids_exhausted") != 1 || p.logs.FilterMessage("call refused").Len() != 1 {
		t.Error("neither counted nor logged")
	}
	if n := p.e.Census().Slots; n != 0 {
		t.Errorf("%d slots leaked", n)
	}
}

func TestTunnelIDsExhausted(t *testing.T) {
	p := newPair(t)
	for {
		if _, ok := p.s.ids.Take(p.now); !ok {
			break
		}
	}
	lac, out := newLAC(1), &l2tp.Out{}
	lac.Open(p.now, out)
	events := p.talk(lac, out)
	if len(events) == 0 || events[0].Kind != l2tp.TunnelClosing || events[0].Result.Code != l2tp.StopError ||
		events[0].Result.Error != l2tp.ErrorResources {
		t.Errorf("events %+v", events)
	}
	if countOf(p.e, "tunnel_ids_exhausted") != 1 || p.logs.FilterMessage("tunnel refused").Len() != 1 {
		t.Error("neither counted nor logged")
	}
	if c := p.e.Census(); c != (Census{TunnelIDs: 65535}) { // those that the test took
		t.Errorf("leaked %+v", c)
	}
}

// Lines that packets can cause are limited, and say how many were held back.
func TestWarningsAreLimited(t *testing.T) {
	p := newPair(t)
	for range 100 {
		p.s.warn(gateTunnel, "x")
		p.s.warn(gateCall, "y")
	}
	if n := p.logs.FilterMessage("x").Len(); n != gateLines {
		t.Errorf("%d lines", n)
	}
	p.s.now = p.s.now.Add(time.Second)
	p.s.warn(gateTunnel, "x")
	lines := p.logs.FilterMessage("x").All()
	if got := lines[len(lines)-1].ContextMap()["suppressed"]; got != int64(90) {
		t.Errorf("suppressed %v", got)
	}
}
