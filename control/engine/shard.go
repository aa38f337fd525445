package engine

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/ip6"
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/pool"
	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/session"
)

// Shard owns a part of the tunnels with all their sessions. One goroutine at a
// time may use it; it takes no lock but those of its inbox and of the directory,
// and those for moments only.
type Shard struct {
	e     *Engine
	index int
	in    *inbox
	send  Sender
	dir   *directory
	log   *zap.Logger

	now    time.Time
	random *rand.ChaCha8
	// read is random.Read as tunnels and links want it, made once.
	read func([]byte)

	tunnels   map[uint16]*tunnel
	newcomers map[newcomer]*tunnel
	dials     map[string]*dial // by name
	calls     map[callKey]*call
	ids       *pool.IDs
	timers    timers

	batch batch
	tout  l2tp.Out // of one tunnel at a time, see pump
	sout  session.Out
	ops   []session.ProgramOp
	// backlog holds accounting records that the accountant had no room for.
	backlog []*session.AcctRecord
	retryAt time.Time
	// closing are the records of a step that close accounts.
	closing []*session.AcctRecord

	journal journal

	// tracing: rules, or the policy of a LAC, may want lines of what is done.
	tracing bool
	rules   session.TraceRules

	shutdown bool
	counts   counts
	times    times
	gates    [gates]gate
}

// callKey is the pair of ids in the header of what the peer sends.
type callKey uint32

func keyOf(tunnelID, sessionID uint16) callKey {
	return callKey(tunnelID)<<16 | callKey(sessionID)
}

func newShard(e *Engine, index int, random *rand.ChaCha8, now time.Time) *Shard {
	s := &Shard{
		e: e, index: index, in: &e.in.shards[index], send: e.ports.Send[index], dir: e.dir,
		log: e.log.With(zap.Int("shard", index)), now: now, random: random,
		tunnels: make(map[uint16]*tunnel), newcomers: make(map[newcomer]*tunnel), dials: make(map[string]*dial),
		calls: make(map[callKey]*call), timers: timers{base: now},
	}
	s.read = func(b []byte) { s.random.Read(b) } // never fails
	s.ids = pool.NewIDs(s.random16, e.in.bits, uint16(index))
	return s
}

func (s *Shard) random16() uint16 {
	var b [2]byte
	s.random.Read(b[:])
	return binary.BigEndian.Uint16(b[:])
}

// run steps the shard whenever there is something to do, until ctx is done.
func (s *Shard) run(ctx context.Context) {
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for {
		now := s.e.now()
		s.Step(now)
		if s.in.pending() {
			if ctx.Err() != nil {
				return
			}
			continue
		}
		wait := time.Hour
		if d := s.Deadline(); !d.IsZero() {
			wait = max(d.Sub(now), 0)
		}
		alarm.Reset(wait)
		select {
		case <-s.in.wake:
		case <-alarm.C:
		case <-ctx.Done():
			return
		}
	}
}

// Step does all that is due at now: first what came in, then what timers say. It
// works through the inbox as it was at the beginning.
func (s *Shard) Step(now time.Time) {
	s.now = now
	s.beginTrace()
	b := &s.batch
	s.in.swap(b)
	// Answers go first: they finish what was begun.
	for i := range b.programmed {
		s.programmed(&b.programmed[i])
	}
	for _, r := range b.auth {
		s.authDone(r)
	}
	for i := range b.notices {
		s.notice(&b.notices[i])
	}
	for i := range b.packets {
		p := &b.packets[i]
		s.packet(p, b.arena[p.off:p.off+p.n])
		if i%flushEvery == flushEvery-1 {
			s.flush()
		}
	}
	for _, f := range b.calls {
		f(s)
	}
	b.reset()
	s.expire()
	s.flush()
}

// Deadline is when to step again if nothing comes in; the zero time is never.
func (s *Shard) Deadline() time.Time {
	d := s.timers.next()
	if !s.retryAt.IsZero() && (d.IsZero() || s.retryAt.Before(d)) {
		return s.retryAt
	}
	return d
}

// expire serves the timers that are due.
func (s *Shard) expire() {
	for {
		a, ok := s.timers.pop(s.now)
		if !ok {
			return
		}
		switch x := a.(type) {
		case *tunnel:
			s.tunnelTimer(x)
		case *dial:
			if d := x.deadline(); !d.IsZero() && !s.now.Before(d) {
				s.attend(x)
			} else {
				s.timers.set(x, d)
			}
		case *call:
			s.noteVolatile(x)
			if d := x.s.Deadline(); !d.IsZero() && !s.now.Before(d) {
				if s.tracing {
					s.traceFunc(nil, x, "timer")
				}
				x.s.Timer(s.now, s.e.ports.Forwarder, &s.sout)
				s.carry(x)
				s.pump(x.tun)
			} else {
				s.timers.set(x, d)
			}
		}
	}
}

// tunnelTimer serves a tunnel whose timer is due, or was.
func (s *Shard) tunnelTimer(t *tunnel) {
	if s.idleFor(t) {
		s.closeIdle(t)
		return
	}
	if d := t.t.Deadline(); !d.IsZero() && !s.now.Before(d) {
		if s.tracing {
			s.traceFunc(t, nil, "timer")
		}
		t.t.Timer(s.now, &s.tout)
		s.pump(t)
		return
	}
	s.timers.set(t, t.deadline())
}

// applyBatch bounds how many operations the forwarding path gets at once.
const applyBatch = 1024

// flushEvery is after how many packets at the latest answers leave: the first
// peer of a long batch must not wait for the last.
const flushEvery = 128

// flush hands over what was collected.
func (s *Shard) flush() {
	s.save()
	s.closeAccounts()
	for ops := s.ops; len(ops) > 0; {
		n := min(len(ops), applyBatch)
		s.e.ports.Forwarder.Apply(ops[:n])
		ops = ops[n:]
	}
	clear(s.ops)
	s.ops = s.ops[:0]
	s.retryAccounting()
	s.send.Flush()
}

// packet takes one datagram.
func (s *Shard) packet(p *packet, b []byte) {
	h, body, err := l2tp.ParseHeader(b)
	if err != nil {
		return // the inbox takes none that is malformed
	}
	if h.IsControl() {
		s.counts.add(packetsControl)
		s.control(p, h, body)
		return
	}
	s.counts.add(packetsData)
	s.data(p, h, body)
}

// data takes a data message: PPP control frames come this way. User packets do
// only when neither forwarding path knows the session (yet); nobody could say
// where they should go.
func (s *Shard) data(p *packet, h l2tp.Header, frame []byte) {
	t := s.tunnels[h.TunnelID]
	if t == nil {
		s.counts.add(packetsNoTunnel)
		return
	}
	if !t.isPeer(p.peer) {
		s.counts.add(packetsWrongPeer)
		return
	}
	c := s.calls[keyOf(h.TunnelID, h.SessionID)]
	if c == nil {
		s.counts.add(packetsNoSession)
		return
	}
	t.t.Heard(s.now)
	if s.tracing {
		s.traceFrame(c, frame)
	}
	proto, payload, ok := ppp.ParseFrame(frame)
	switch {
	case !ok:
		s.counts.add(packetsBadPPP)
	case proto == ppp.ProtoIPv6 && ofLink(payload):
		s.counts.add(packetsLink6)
		c.s.LinkPacket(s.now, payload, &s.sout)
		s.carry(c)
	case proto == ppp.ProtoIPv4 || proto == ppp.ProtoIPv6:
		s.counts.add(packetsUser)
	default:
		s.tapFrame(c, false, frame)
		c.s.Frame(s.now, frame, &s.sout)
		s.carry(c)
		s.pump(t)
	}
}

// ofLink reports whether an IPv6 packet is for the router at the other end of the
// subscriber's link: discovery and DHCPv6, which nobody forwards.
func ofLink(packet []byte) bool {
	h, _, ok := ip6.Parse(packet)
	return ok && (ip6.LinkScope(h.Src) || ip6.LinkScope(h.Dst))
}
