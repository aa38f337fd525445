package lac

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
)

// tunnel is one control connection to the LNS.
type tunnel struct {
	w      *worker
	number int // from 0
	l2tp   *l2tp.Tunnel
	socket *socket
	// peer is where the LNS answers from; any port of the LNS until its first
	// answer fixes it (RFC 2661 section 8.1).
	peer      netip.AddrPort
	peerKnown bool
	timer     timer

	opened time.Duration
	state  tunnelState
	// sessions by our session id; waiting are those whose call is not placed yet.
	sessions map[uint16]*session
	waiting  []*session
	all      []*session
	// starting are the sessions whose ICCN waits for room in the LNS's window.
	starting []start
}

// start is a session that may begin PPP once message ns has been sent.
type start struct {
	s  *session
	ns uint16
}

// tunnelState is what became of a tunnel, as the run sees it.
type tunnelState uint8

const (
	tunnelIdle tunnelState = iota
	tunnelOpening
	tunnelUp
	tunnelClosing // by us: waits for the acknowledgement
	tunnelEnded
)

// addTunnel makes tunnel number with its share of the sessions.
func (w *worker) addTunnel(number int, s *socket) {
	t := &tunnel{
		w:        w,
		number:   number,
		socket:   s,
		peer:     w.cfg.LNS,
		sessions: make(map[uint16]*session),
	}
	t.timer.owns = t
	id := w.freeID(func(id uint16) bool { return w.byID[id] != nil })
	t.l2tp = l2tp.NewTunnel(w.cfg.l2tp(number), id, w.random)
	w.byID[id] = t
	w.tunnels = append(w.tunnels, t)
	for i := number; i < w.cfg.Sessions; i += w.cfg.Tunnels {
		t.all = append(t.all, newSession(t, i))
	}
	t.waiting = t.all
}

// freeID draws an id that is not 0 and not taken.
func (w *worker) freeID(taken func(uint16) bool) uint16 {
	var b [2]byte
	for {
		w.random(b[:])
		if id := binary.BigEndian.Uint16(b[:]); id != 0 && !taken(id) {
			return id
		}
	}
}

// accepts tells whether a datagram from peer may belong to the tunnel, and learns
// the LNS's port from its first answer.
func (t *tunnel) accepts(peer netip.AddrPort) bool {
	if t.peerKnown {
		return peer == t.peer
	}
	if t.state == tunnelIdle || peer.Addr() != t.peer.Addr() {
		return false
	}
	t.peer, t.peerKnown = peer, true
	return true
}

func (t *tunnel) open() {
	t.state = tunnelOpening
	t.opened = t.w.clock
	t.act(func(out *l2tp.Out) { t.l2tp.Open(t.w.now, out) })
}

func (t *tunnel) control(h l2tp.Header, body []byte) {
	t.act(func(out *l2tp.Out) { t.l2tp.Receive(t.w.now, h, body, out) })
}

func (t *tunnel) expire() {
	t.act(func(out *l2tp.Out) { t.l2tp.Timer(t.w.now, out) })
}

// act calls the tunnel's state machine and carries out what it wants.
func (t *tunnel) act(call func(*l2tp.Out)) {
	out := t.w.takeL2TP()
	call(out)
	for _, b := range out.Send {
		t.w.send(t.socket, t.peer, b)
	}
	for i := range out.Events {
		t.handle(&out.Events[i])
	}
	t.w.giveL2TP(out)
	t.w.wakeBy(&t.timer, t.l2tp.Deadline())
	if len(t.starting) > 0 {
		t.startSessions()
	}
	if t.state == tunnelClosing {
		t.checkClosed()
	}
}

// callUp has the session begin PPP as soon as ICCN is on its way: until then the
// call is not established for the LNS, and what comes for it may be lost.
func (t *tunnel) callUp(s *session) {
	st := t.l2tp.Stats()
	t.starting = append(t.starting, start{s, st.Ns + uint16(st.Queued)})
}

// startSessions begins PPP for those whose ICCN has been sent.
func (t *tunnel) startSessions() {
	sent := t.l2tp.Stats().Ns // everything before it
	for len(t.starting) > 0 {
		first := t.starting[0]
		if int16(sent-first.ns) < 0 {
			return
		}
		t.starting = t.starting[1:]
		first.s.begin()
	}
	t.starting = nil
}

func (t *tunnel) handle(e *l2tp.Event) {
	switch e.Kind {
	case l2tp.TunnelUp:
		t.state = tunnelUp
		t.w.stats.tunnelsUp++
		t.w.stats.tunnelsNow++
		t.w.stats.tunnel.Record(t.w.clock - t.opened)
		t.w.dial.ready(t)
	case l2tp.TunnelClosing:
		t.closing(e)
	case l2tp.TunnelGone:
		t.gone()
	case l2tp.CallRequest:
		t.refuse(e.Call)
	case l2tp.CallUp:
		if s := t.sessions[e.Call.LocalID]; s != nil {
			s.callUp()
			t.callUp(s)
		}
	case l2tp.CallDown:
		if s := t.sessions[e.Call.LocalID]; s != nil {
			s.callDown(e)
		}
	}
}

// refuse answers an outgoing call: there is no one here to be called.
func (t *tunnel) refuse(c *l2tp.Call) {
	t.act(func(out *l2tp.Out) {
		t.l2tp.RejectCall(t.w.now, c, l2tp.Result{Code: l2tp.CDNPermanent, Message: "no outgoing calls"}, out)
	})
}

// closing is called when the tunnel ends, by whomever.
func (t *tunnel) closing(e *l2tp.Event) {
	st := &t.w.stats
	switch t.state {
	case tunnelOpening:
		st.tunnelsFailed++
		st.failures.add(failureOf(stageTunnel, e.Result, true, e.Remote))
		t.w.dial.opening--
	case tunnelUp:
		st.tunnelsNow--
		if !t.w.leave.started {
			st.tunnelsLost++
			st.failures.add(failureOf(stageUp, e.Result, true, e.Remote))
		}
	case tunnelClosing:
		return // our own StopCCN: it waits for its acknowledgement
	}
	t.state = tunnelEnded
	t.abandon()
}

// abandon gives up on the sessions whose call was never placed.
func (t *tunnel) abandon() {
	for _, s := range t.waiting {
		s.finish(Failure{Stage: stageCall, Cause: causeNoTunnel})
	}
	t.waiting = nil
}

// close ends the tunnel for the teardown.
func (t *tunnel) close() {
	if t.state != tunnelUp && t.state != tunnelOpening {
		return
	}
	up := t.state == tunnelUp
	t.state = tunnelClosing
	t.act(func(out *l2tp.Out) {
		t.l2tp.Close(t.w.now, l2tp.Result{Code: l2tp.StopShutdown, Message: "end of run"}, out)
	})
	if up {
		t.w.stats.tunnelsNow--
		return
	}
	t.state = tunnelEnded // an LNS that has not answered so far is not waited for
}

// checkClosed ends the wait for the acknowledgement of our StopCCN. The RFC's wait
// of a whole retransmission cycle (section 5.7) serves repeats of the peer's
// messages; one whose StopCCN was acknowledged has none outstanding that matter.
func (t *tunnel) checkClosed() {
	st := t.l2tp.Stats()
	if st.Unacked == 0 && st.Queued == 0 {
		t.state = tunnelEnded
		t.w.stats.closedTunnels++
	}
}

func (t *tunnel) gone() {
	t.w.timers.stop(&t.timer)
	if t.state == tunnelClosing {
		t.state = tunnelEnded
		t.w.stats.unansweredTunnels++
	}
}
