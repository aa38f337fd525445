package tcpsim

import (
	"math"
	"time"
)

// What Linux has: the window in the beginning (RFC 6928), the shortest retransmission
// timeout, the longest, the shortest tail loss probe at 250 Hz.
const (
	firstWindow = 10
	leastRTO    = 200 * time.Millisecond
	mostRTO     = 120 * time.Second
	mostQueued  = 32   // segments of a flow that wait for the link (TCP small queues)
	mostWindow  = 4096 // of 6 MB
	leastProbe  = 8 * time.Millisecond
)

type state uint8

const (
	open     state = iota
	recovery       // some are lost, and acknowledgements come
	loss           // after a timeout
)

// segment is one that was sent and not acknowledged with all before it.
type segment struct {
	sent   time.Duration
	sacked bool
	lost   bool // and not sent again yet
	again  bool // sent more than once
}

// flow is a sender that has always something to send.
type flow struct {
	world    *world
	number   int
	receiver *receiver

	una, next int       // the first that is not acknowledged, the next to be sent
	out       []segment // from una to next
	sacked    int       // of out
	missing   int       // of out, those marked as lost
	queued    int       // waiting for the link
	limited   bool      // by the window, when it last sent

	state     state
	recover   int // where recovery ends
	window    float64
	threshold float64
	delivered int // since recovery began
	resent    int // since recovery began
	flight    int // when recovery began
	cubic     cubic

	srtt, rttvar time.Duration
	newest       time.Duration // when the latest that has arrived was sent (RACK)
	backoff      uint
	timer        uint64 // the number of the timer that counts
	probed       bool
}

func newFlow(w *world, number int) *flow {
	f := &flow{world: w, number: number, window: firstWindow, threshold: mostWindow}
	f.receiver = &receiver{flow: f, beyond: make(map[int]bool)}
	return f
}

// pipe is how many are under way.
func (f *flow) pipe() int { return len(f.out) - f.sacked - f.missing }

// send sends as much as the window allows: what is lost first.
func (f *flow) send() {
	from := 0
	f.limited = false
	for room := int(f.window) - f.pipe(); ; room-- {
		if room <= 0 {
			f.limited = true
			break
		}
		if f.queued == mostQueued {
			break
		}
		if f.missing == 0 {
			f.transmit(len(f.out))
			continue
		}
		for !f.out[from].lost {
			from++
		}
		f.transmit(from)
	}
	f.arm()
}

// transmit sends the segment of that place in out, or the next one, which is one beyond.
func (f *flow) transmit(place int) {
	if place == len(f.out) {
		f.out = append(f.out, segment{})
		f.next++
	} else {
		f.out[place].again = true
		f.resent++
		f.mark(place, false)
	}
	f.out[place].sent = f.world.now
	f.queued++
	f.world.transmit(f, f.una+place)
}

// mark says whether a segment is taken for lost.
func (f *flow) mark(place int, lost bool) {
	s := &f.out[place]
	if s.lost == lost {
		return
	}
	s.lost = lost
	if lost {
		f.missing++
	} else {
		f.missing--
	}
}

// acked takes an acknowledgement of all before next, sent because of seq.
func (f *flow) acked(next, seq int) {
	fresh := 0 // segments that are known to have arrived by this
	oldest := time.Duration(-1)
	take := func(seq int) {
		if seq < f.una || f.out[seq-f.una].sacked {
			return
		}
		f.mark(seq-f.una, false)
		s := &f.out[seq-f.una]
		s.sacked = true
		f.sacked++
		fresh++
		if !s.again {
			oldest = s.sent
		}
		if f.world.now-s.sent >= f.world.RTT { // not an answer to what was sent before
			f.newest = max(f.newest, s.sent)
		}
	}
	take(seq)
	advanced := next > f.una
	for i := f.una; i < next; i++ {
		take(i)
		f.sacked--
	}
	if advanced {
		f.out = f.out[next-f.una:]
		f.una = next
	}
	if oldest >= 0 {
		f.sample(f.world.now - oldest)
	}
	if advanced {
		f.backoff = 0
		f.probed = false
	}
	f.delivered += fresh
	f.judge(fresh)
	if fresh > 0 || advanced {
		f.send()
	}
}

// sample takes a round trip (RFC 6298 section 2).
func (f *flow) sample(rtt time.Duration) {
	if f.srtt == 0 {
		f.srtt, f.rttvar = rtt, rtt/2
		return
	}
	f.rttvar += ((rtt - f.srtt).Abs() - f.rttvar) / 4
	f.srtt += (rtt - f.srtt) / 8
}

// judge looks for lost segments and changes state and window.
func (f *flow) judge(fresh int) {
	if f.state != open && f.una >= f.recover {
		if f.state == recovery {
			f.window = f.threshold
		}
		f.state = open
	}
	lost := f.detect()
	switch {
	case f.state == open && lost > 0:
		f.enter(recovery)
		f.rate(fresh)
	case f.state == recovery:
		f.rate(fresh)
	case fresh > 0:
		f.grow(fresh)
	}
}

// detect marks what was sent before something that has arrived (RFC 8985 section 6.2).
// Reordering has never been seen here, so that nothing waits for it once three others
// have arrived.
func (f *flow) detect() int {
	if f.sacked == 0 && f.state == open {
		return 0
	}
	lost, window := 0, f.srtt/4
	if f.sacked >= 3 || f.state != open {
		window = 0
	}
	for i := range f.out {
		s := &f.out[i]
		if s.sacked || s.lost || s.sent >= f.newest {
			continue
		}
		if window > 0 && f.world.now < s.sent+f.srtt+window {
			f.world.after(window, f.detectLate)
			break
		}
		f.mark(i, true)
		lost++
	}
	return lost
}

// detectLate looks for lost segments once reordered ones would have arrived.
func (f *flow) detectLate() {
	if f.state == open && f.detect() > 0 {
		f.enter(recovery)
		f.rate(0)
		f.send()
	}
}

// enter begins recovery, or what follows a timeout.
func (f *flow) enter(s state) {
	if f.state == open || s == loss && f.state == recovery && f.una >= f.recover {
		f.flight = len(f.out)
		f.threshold = max(f.cubic.shrink(f.window, f.world.Congestion), 2)
		f.delivered, f.resent = 0, 0
		f.recover = f.next
	}
	f.state = s
	if s == loss {
		f.window = 1
	}
}

// rate bounds the window while in recovery, in proportion to what arrives (RFC 6937).
func (f *flow) rate(fresh int) {
	pipe := f.pipe()
	var more int
	if float64(pipe) > f.threshold {
		more = int(math.Ceil(float64(f.delivered)*f.threshold/float64(max(f.flight, 1)))) - f.resent
	} else {
		more = min(int(f.threshold)-pipe, max(f.delivered-f.resent, fresh)+1)
	}
	if more < 1 && f.resent == 0 {
		more = 1
	}
	f.window = float64(pipe + max(more, 0))
}

// grow opens the window after fresh segments have arrived.
func (f *flow) grow(fresh int) {
	if !f.limited && f.window >= f.threshold {
		return
	}
	if !f.limited && f.window > 2*float64(f.pipe()+fresh) {
		return
	}
	if f.window < f.threshold {
		f.window = min(f.window+float64(fresh), f.threshold)
		return
	}
	f.window = min(f.window+f.cubic.growth(f.window, fresh, f.world.now, f.srtt, f.world.Congestion), mostWindow)
}

// arm sets the timer anew: a tail loss probe where that is due first, or the timeout.
func (f *flow) arm() {
	f.timer++
	timer := f.timer
	if len(f.out) == 0 {
		return
	}
	if f.state == open && !f.probed && f.srtt > 0 {
		probe := max(2*f.srtt, leastProbe)
		if f.pipe() == 1 {
			probe += leastRTO
		}
		if probe < f.timeout() {
			f.world.after(probe, func() { f.probe(timer) })
			return
		}
	}
	f.world.after(f.timeout(), func() { f.expire(timer) })
}

func (f *flow) timeout() time.Duration {
	rto := time.Second // RFC 6298 section 2.1
	if f.srtt > 0 {
		rto = f.srtt + max(4*f.rttvar, leastRTO)
	}
	return min(rto<<f.backoff, mostRTO)
}

// probe sends one segment more, so that an acknowledgement tells what is lost
// (RFC 8985 section 7).
func (f *flow) probe(timer uint64) {
	if timer != f.timer {
		return
	}
	f.probed = true
	f.transmit(len(f.out))
	f.timer++
	timer = f.timer
	f.world.after(f.timeout(), func() { f.expire(timer) })
}

// expire is the retransmission timeout (RFC 6298 section 5).
func (f *flow) expire(timer uint64) {
	if timer != f.timer {
		return
	}
	f.world.result.Timeouts++
	f.enter(loss)
	for i := range f.out {
		f.mark(i, !f.out[i].sacked)
	}
	f.backoff++
	f.send()
}
