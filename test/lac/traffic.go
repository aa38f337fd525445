package lac

import (
	"time"

	"github.com/lnsd/lnsd/control/ppp"
)

// maxBurst is how many packets are sent before mail is looked at again.
const maxBurst = 256

// generator sends the test packets of a worker's sessions, in turn.
type generator struct {
	w       *worker
	running bool
	active  []*session // that are up
	cursor  int
	pace    pacer

	began, ended time.Duration
}

// flow is a session's share of the traffic.
type flow struct {
	endpoint
	ready bool // to send
	slot  int  // index in generator.active + 1
	seq   uint64
	seen  seen
	parts *reassembly

	sentPackets, sentBytes         uint64
	receivedPackets, receivedBytes uint64
}

// Source ports of the sessions' packets, so that receive-side scaling has
// something to spread.
const firstPort, portRange = 10240, 50000

// initFlow takes over the session's address.
func (s *session) initFlow() {
	cfg := s.t.w.cfg
	if !s.address.Is4() {
		return
	}
	s.flow.ready = cfg.Traffic.Target.Addr().Is4()
	s.flow.endpoint = endpoint{
		run:        s.t.w.run,
		session:    uint32(s.number()),
		local:      s.address.As4(),
		localPort:  uint16(firstPort + s.index%portRange),
		remotePort: cfg.Traffic.Target.Port(),
		size:       cfg.Traffic.Size,
		fragmented: cfg.Traffic.Fragment > 0,
		hops:       cfg.Traffic.Hops,
		verify:     cfg.Traffic.Verify,
	}
	if target := cfg.Traffic.Target.Addr(); target.Is4() {
		s.flow.remote = target.As4()
	}
}

func (g *generator) join(s *session) {
	g.active = append(g.active, s)
	s.flow.slot = len(g.active)
}

func (g *generator) leave(s *session) {
	if s.flow.slot == 0 {
		return
	}
	i, last := s.flow.slot-1, len(g.active)-1
	s.flow.slot = 0
	g.active[i] = g.active[last]
	if i != last {
		g.active[i].flow.slot = i + 1
	}
	g.active[last] = nil
	g.active = g.active[:last]
}

// start begins to send rate packets per second over the sessions that are up.
func (g *generator) start(rate float64) {
	if g.w.leave.started {
		return
	}
	g.running = rate > 0
	g.pace = pacer{rate: rate, last: g.w.clock}
	g.began, g.ended = g.w.clock, g.w.clock
}

func (g *generator) stop() {
	if g.running {
		g.running = false
		g.ended = g.w.clock
	}
}

// step sends what is due.
func (g *generator) step() {
	if !g.running || len(g.active) == 0 {
		return
	}
	g.w.stats.behind += g.pace.refill(g.w.clock)
	for n := 0; g.pace.tokens >= 1 && n < maxBurst; n++ {
		g.pace.tokens--
		g.cursor = (g.cursor + 1) % len(g.active)
		g.active[g.cursor].probe()
	}
}

func (g *generator) next() (time.Duration, bool) {
	if !g.running || len(g.active) == 0 {
		return 0, false
	}
	if g.pace.tokens >= 1 {
		return g.w.clock, true
	}
	return g.pace.next(g.w.clock), true
}

// probe sends the session's next test packet, of IPv4 and IPv6 in turn where it has
// both.
func (s *session) probe() {
	w := s.t.w
	switch s.turn = !s.turn; {
	case s.flow6.ready && (s.turn || !s.flow.ready):
		s.probe6()
		return
	case !s.flow.ready:
		return
	}
	w.packet = s.flow.appendProbe(w.packet[:0], s.flow.seq, w.clock)
	s.flow.seq++
	w.stats.sent++
	w.stats.sentBytes += uint64(len(w.packet))
	if most := w.cfg.Traffic.Fragment; most > 0 && len(w.packet) > most {
		w.fragments = appendFragments(w.fragments, w.packet, most, s.sendIP)
		return
	}
	s.sendIP(w.packet)
}

// sendIP sends an IPv4 or IPv6 packet of the subscriber.
func (s *session) sendIP(p []byte) {
	w := s.t.w
	if s.call == nil {
		return
	}
	var room [4]byte
	number, flow := ppp.ProtoIPv4, &s.flow
	if p[0]>>4 == 6 {
		number, flow = ppp.ProtoIPv6, &s.flow6
	}
	protocol := w.cfg.Framing.appendProtocol(room[:0], &s.n, number)
	w.frame = s.appendHeader(w.frame[:0], len(protocol)+len(p))
	w.frame = append(w.frame, protocol...)
	w.frame = append(w.frame, p...)
	w.touch(s.t.socket)
	s.t.socket.data.Send(s.t.socket.udp.LocalAddr(), s.t.peer, w.frame)
	flow.sentPackets++
	flow.sentBytes += uint64(len(p))
}

// ip takes an IPv4 packet for the subscriber.
func (s *session) ip(p []byte) {
	st := &s.t.w.stats
	if len(p) < ipv4HeaderLen {
		st.wrong[faultHeader]++
		return
	}
	s.flow.receivedPackets++
	s.flow.receivedBytes += uint64(len(p))
	if isFragment(p) {
		st.fragments++
		if s.toTUN(p) {
			return
		}
		if s.flow.parts == nil {
			s.flow.parts = &reassembly{}
		}
		if p = s.flow.parts.add(p); p == nil {
			return
		}
	}
	e, f := s.flow.check(p)
	switch f {
	case faultNone:
		s.echoed(&s.flow, e, len(p))
	case faultForeign:
		s.foreign(p)
	default:
		st.wrong[f]++
	}
}

// echoed counts a right echo.
func (s *session) echoed(flow *flow, e echo, size int) {
	st := &s.t.w.stats
	if e.seq >= flow.seq {
		st.wrong[faultStale]++ // never sent
		return
	}
	switch flow.seen.mark(e.seq) {
	case duplicate:
		st.duplicated++
		return
	case tooLate:
		st.late++
		return
	case outOfOrder:
		st.reordered++
	}
	st.received++
	st.receivedBytes += uint64(size)
	st.rtt.Record(s.t.w.clock - e.sent)
}

// foreign takes a packet that is no echo of ours.
func (s *session) foreign(p []byte) {
	if s.toTUN(p) {
		return
	}
	st := &s.t.w.stats
	kind, code, isError := icmpError(p)
	switch {
	case isError:
		st.icmpErrors[icmpKind{kind, code}]++
	case isPing(p):
		st.pings++
		s.sendIP(pong(p))
	default:
		st.foreign++
	}
}

// toTUN hands a packet to the TUN interface, if the session has one.
func (s *session) toTUN(p []byte) bool {
	tun := s.t.w.tun
	if tun == nil || tun.session != s {
		return false
	}
	tun.write(p)
	return true
}
