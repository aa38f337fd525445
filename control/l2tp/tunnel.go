package l2tp

import "time"

// Role says which end of the control connection a tunnel is.
type Role uint8

// The roles.
const (
	// LNS terminates PPP; LAC carries it to the LNS. Both may initiate the
	// tunnel, and both may place calls (RFC 2661 section 2.0).
	LNS Role = iota
	LAC
)

// Config is what a tunnel is set up with. It is not changed afterwards and may
// be shared by any number of tunnels.
type Config struct {
	Role       Role
	HostName   string // our Host Name AVP, required
	VendorName string
	Firmware   uint16
	// Secret authenticates the tunnel and hides AVPs; empty means neither.
	Secret []byte
	// Challenge makes us challenge the peer; it needs a Secret.
	Challenge bool
	// HideAVPs hides the AVPs that may be hidden in what we send; it needs a
	// Secret.
	HideAVPs bool
	// TieBreaker puts a Tie Breaker into our SCCRQ: we want a single tunnel with
	// this peer. See CompareTieBreakers.
	TieBreaker bool
	// ReceiveWindow is what we advertise, in messages; 0 means 4.
	ReceiveWindow uint16
	// HelloInterval is the silence after which we send a HELLO; 0 never sends.
	HelloInterval time.Duration
	// RetryInterval is the first retransmission delay (0 means 1 s), which doubles
	// up to RetryCap (at least 8 s, RFC 2661 section 5.8); after MaxRetries (0
	// means 5) without an answer the tunnel is gone.
	RetryInterval, RetryCap time.Duration
	MaxRetries              int
	// EstablishTimeout ends a control connection, or a call, that is not
	// established in that time; 0 never does.
	EstablishTimeout time.Duration
	// BatchAcks leaves the acknowledgements of an established tunnel to Timer, with
	// a Deadline that is due at once: an owner that takes messages in batches and
	// serves timers after each then sends one for all messages of a batch.
	BatchAcks bool
	// FramingCaps and BearerCaps are the capability AVPs (section 4.4.3).
	FramingCaps, BearerCaps uint32
}

// Bits of the framing and bearer AVPs (sections 4.4.3 and 4.4.4).
const (
	FramingSync   uint32 = 1
	FramingAsync  uint32 = 2
	BearerDigital uint32 = 1
	BearerAnalog  uint32 = 2
)

// PeerInfo is what the peer said of itself when the tunnel was set up.
type PeerInfo struct {
	HostName, VendorName    string
	Firmware                uint16
	FramingCaps, BearerCaps uint32
	ReceiveWindow           uint16
	TieBreaker              [8]byte
	HasTieBreaker           bool
}

// TunnelState is the state of the control connection (section 7.2.1).
type TunnelState uint8

// The states; Closing is ours: the StopCCN is sent or acknowledged and repeats
// of it are still answered.
const (
	Idle TunnelState = iota
	WaitCtlReply
	WaitCtlConn
	Established
	Closing
)

var tunnelStateNames = [...]string{
	Idle:         "idle",
	WaitCtlReply: "wait-ctl-reply",
	WaitCtlConn:  "wait-ctl-conn",
	Established:  "established",
	Closing:      "closing",
}

func (s TunnelState) String() string {
	if int(s) < len(tunnelStateNames) {
		return tunnelStateNames[s]
	}
	return "unknown"
}

// Tunnel is one control connection and the calls in it (RFC 2661 section 7). It
// is not safe for concurrent use: one goroutine owns it.
//
// Every method that may cause an effect takes the time and an Out, and appends
// to Out. After any call Deadline may have changed.
type Tunnel struct {
	cfg        *Config
	random     func([]byte)
	id, peerID uint16
	state      TunnelState
	gone       bool // TunnelGone was reported; nothing happens any more
	// proven: the peer has acknowledged something of ours, so that its source
	// address is not forged.
	proven    bool
	ch        channel
	peer      PeerInfo
	challenge []byte   // ours, until it is answered
	tie       *[8]byte // in our SCCRQ; nil when there was none

	calls  callSet
	heard  time.Time // when the peer was heard last
	ackBy  time.Time // when an acknowledgement that waits for company must go
	expiry time.Time // of the establishment, or of the closing; zero: never
}

// NewTunnel returns an idle tunnel. id is our tunnel id (not 0), random reads
// unpredictable bytes for challenges, tie breakers and random vectors.
func NewTunnel(cfg *Config, id uint16, random func([]byte)) *Tunnel {
	return &Tunnel{cfg: cfg, id: id, random: random, ch: newChannel(cfg)}
}

// Receive takes one control datagram from the peer, a whole L2TP message from the
// flags on. h is its parsed header, body what follows. The caller has found the
// tunnel by h.TunnelID or, for an SCCRQ, has just made it or found it by the
// peer's Assigned Tunnel ID (see PeekSCCRQ), and has checked the source address.
func (t *Tunnel) Receive(now time.Time, h Header, body []byte, out *Out) {
	if t.gone {
		return
	}
	t.heard = now
	before := t.ch.una
	t.ch.acknowledge(now, h.Nr)
	t.proven = t.proven || t.ch.una != before
	if out.Trace && t.ch.una != before {
		t.ch.step(StepAcked, ZLB, h.Ns, h.Nr, out)
	}
	events := len(out.Events)
	// Section 5.8: a ZLB takes no sequence number; only its Nr counts.
	if len(body) == 0 {
		t.ch.stats.ZLBReceived++
		out.count(ZLB, NotDiscarded)
	} else {
		t.sequence(now, h, body, out)
	}
	t.finish(now, out, requested(out.Events[events:]))
}

// sequence gives the message, and those that have waited for it, to the state
// machines in order.
func (t *Tunnel) sequence(now time.Time, h Header, body []byte, out *Out) {
	v := t.ch.accept(h, body)
	if out.Trace {
		typ, _ := PeekType(body)
		t.ch.step(StepReceived, typ, h.Ns, h.Nr, out).Verdict = verdictNames[v]
	}
	switch v {
	case deliver:
		t.process(now, h, body, out)
		for !t.gone {
			m, ok := t.ch.release()
			if !ok {
				break
			}
			t.process(now, m.h, m.body, out)
		}
	case duplicate:
		typ, _ := PeekType(body)
		out.count(typ, Duplicate)
		// A repeated SCCRQ means that our answer was lost: the answer goes again at
		// once, and acknowledges it as well (section 5.8).
		if typ == SCCRQ && !t.proven {
			t.ch.resend(out)
		}
	case tooFar:
		typ, _ := PeekType(body)
		out.count(typ, OutOfWindow)
	}
}

// requested reports whether the owner is about to answer a call request, and so
// to send a message that carries the acknowledgement.
func requested(events []Event) bool {
	for i := range events {
		if events[i].Kind == CallRequest {
			return true
		}
	}
	return false
}

// process decodes one message and hands it to the function of the state.
func (t *Tunnel) process(now time.Time, h Header, body []byte, out *Out) {
	var m message
	m.decode(body, t.cfg.Secret)
	out.VendorAVPs += int(m.vendor)
	out.IgnoredAVPs += int(m.ignored)
	if out.Trace {
		out.by = m.typ.String()
	}
	out.count(m.typ, t.dispatch(now, h, &m, out))
}

func (t *Tunnel) dispatch(now time.Time, h Header, m *message, out *Out) DiscardReason {
	if m.typ == HELLO {
		t.ch.stats.HelloReceived++
	}
	if t.state == Closing {
		return t.receiveClosing(m)
	}
	if m.fault.reaction != reactNone {
		return t.receiveFaulty(now, h, m, out)
	}
	if m.typ == StopCCN {
		t.receiveStopCCN(now, m, out)
		return NotDiscarded
	}
	switch t.state {
	case Idle:
		return t.receiveIdle(now, m, out)
	case WaitCtlReply:
		return t.receiveWaitCtlReply(now, m, out)
	case WaitCtlConn:
		return t.receiveWaitCtlConn(now, m, out)
	default:
		return t.receiveEstablished(now, h, m, out)
	}
}

// receiveFaulty does what the fault asks for.
func (t *Tunnel) receiveFaulty(now time.Time, h Header, m *message, out *Out) DiscardReason {
	reason := Malformed
	if m.typ != ZLB && !m.typ.known() {
		reason = UnknownMessage
	}
	switch {
	case m.fault.reaction == reactIgnore:
	case m.typ == StopCCN:
		// The peer is leaving, however badly it says so.
		t.receiveStopCCN(now, m, out)
	case m.fault.reaction == reactClear && t.state == Established && messageTable[m.typ].call:
		t.receiveFaultyCall(now, h, m, out)
	default:
		t.refuse(now, m, m.fault.result(), out)
	}
	return reason
}

// finish sends what waits, and an acknowledgement when nothing that was sent
// carries it. With deferAck, and in an established tunnel with BatchAcks, the owner
// gets the chance to send something first: the acknowledgement is due at once, but by
// Timer.
func (t *Tunnel) finish(now time.Time, out *Out, deferAck bool) {
	if t.gone {
		return
	}
	t.ch.transmit(now, out)
	if !t.ch.ackDue {
		return
	}
	if deferAck || t.cfg.BatchAcks && t.state == Established {
		t.ackBy = now
		return
	}
	t.ch.sendZLB(t.peerID, out)
}

// Heard notes that a data packet of the tunnel was received: it counts as life
// for the HELLO interval (section 5.5).
func (t *Tunnel) Heard(now time.Time) { t.heard = now }

// Timer does what is due at now. Deadline is when to call it next; the zero time
// means never.
func (t *Tunnel) Timer(now time.Time, out *Out) {
	if t.gone {
		return
	}
	if out.Trace {
		out.by = "timer"
	}
	if t.ch.timedOut(now) && !t.ch.retransmit(now, out) {
		t.lost(out)
		return
	}
	switch t.state {
	case WaitCtlReply, WaitCtlConn:
		if due(now, t.expiry) {
			t.giveUp(now, out)
		}
	case Established:
		t.expireCalls(now, out)
		if due(now, t.helloAt()) {
			t.send(HELLO, 0, nil)
		}
	case Closing:
		if due(now, t.expiry) && t.ch.idle() {
			t.bury(out)
		}
	}
	if t.gone {
		return
	}
	t.ch.transmit(now, out)
	if t.ch.ackDue {
		t.ch.sendZLB(t.peerID, out)
	}
}

// Deadline is when Timer is to be called next; the zero time means never.
func (t *Tunnel) Deadline() time.Time {
	var d time.Time
	if t.gone {
		return d
	}
	if t.ch.next > 0 {
		d = t.ch.deadline
	}
	if t.ch.ackDue {
		d = earlier(d, t.ackBy)
	}
	switch t.state {
	case WaitCtlReply, WaitCtlConn:
		d = earlier(d, t.expiry)
	case Established:
		d = earlier(d, t.helloAt())
		d = earlier(d, t.calls.deadline())
	case Closing:
		if t.ch.idle() {
			d = earlier(d, t.expiry)
		}
	}
	return d
}

// due reports whether deadline, if there is one, has come.
func due(now, deadline time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

// earlier is the earlier of two deadlines, either of which may be none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// after is the deadline d from now, none when d is 0.
func after(now time.Time, d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return now.Add(d)
}

// newMessage begins a message of this tunnel.
func (t *Tunnel) newMessage(typ MessageType, sessionID uint16) builder {
	var h hider
	if t.cfg.HideAVPs {
		h = hider{t.cfg.Secret, t.random}
	}
	return newBuilder(make([]byte, 0, 128), typ, t.peerID, sessionID, h)
}

// send queues a message; add appends its AVPs.
func (t *Tunnel) send(typ MessageType, sessionID uint16, add func(*builder)) {
	w := t.newMessage(typ, sessionID)
	if add != nil {
		add(&w)
	}
	t.ch.enqueue(w.finish(), typ)
}

// ID is our tunnel id, PeerID the peer's (0 until known), Peer what the peer
// said of itself, State its state, Stats the reliable channel's state and counts.
func (t *Tunnel) ID() uint16          { return t.id }
func (t *Tunnel) PeerID() uint16      { return t.peerID }
func (t *Tunnel) Peer() *PeerInfo     { return &t.peer }
func (t *Tunnel) State() TunnelState  { return t.state }
func (t *Tunnel) Stats() ChannelStats { return t.ch.snapshot() }

// TieBreaker is the Tie Breaker of our SCCRQ, nil if it has none.
func (t *Tunnel) TieBreaker() *[8]byte { return t.tie }
