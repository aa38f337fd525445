package tcpsim

import "time"

// Sizes of a full segment: what it carries, and the IP packet that carries it.
const (
	Payload = 1390
	Packet  = Payload + 52
)

// Congestion is what a sender does about loss.
type Congestion uint8

// The kinds of congestion control.
const (
	Cubic Congestion = iota
	Reno
)

// Setup is one experiment.
type Setup struct {
	Flows      int
	RTT        time.Duration // without any queue
	Link       uint64        // bit/s of the sender's link, which all flows share
	Congestion Congestion
	Lasts      time.Duration
	Pings      time.Duration // time between two pings beside the flows; 0 for none
	Start      time.Duration // the clock's time at which all begins
	// Admit says whether a packet of size bytes of a flow passes at a time of the
	// clock. Calls are in the order of time. Flow -1 is the ping.
	Admit func(at time.Duration, flow, size int) bool
}

// Result is what the receivers have.
type Result struct {
	Bytes     []uint64 // of payload in order, by flow
	Passed    uint64   // bytes of packets that were admitted
	Sent      uint64   // packets
	Dropped   uint64
	Timeouts  int // of retransmission
	Pings     int
	PingsLost int
}

// Goodput is what all flows got, in bit/s.
func (r *Result) Goodput(lasts time.Duration) float64 {
	var sum uint64
	for _, n := range r.Bytes {
		sum += n
	}
	return float64(sum) * 8 / lasts.Seconds()
}

// Jain is Jain's index of fairness.
func (r *Result) Jain() float64 {
	var sum, squares float64
	for _, n := range r.Bytes {
		sum += float64(n)
		squares += float64(n) * float64(n)
	}
	return sum * sum / (float64(len(r.Bytes)) * squares)
}

// world is an experiment that runs.
type world struct {
	Setup
	now    time.Duration
	free   time.Duration // when the link has sent what it has
	events events
	serial uint64
	result Result
}

// event is something that happens at a time; those of one time in the order in which
// they were asked for.
type event struct {
	at     time.Duration
	serial uint64
	do     func()
}

// events is a heap, the next of them first.
type events []event

func (e events) before(i, j int) bool {
	return e[i].at < e[j].at || (e[i].at == e[j].at && e[i].serial < e[j].serial)
}

func (e *events) push(x event) {
	*e = append(*e, x)
	h := *e
	for i := len(h) - 1; i > 0 && h.before(i, (i-1)/2); i = (i - 1) / 2 {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
	}
}

func (e *events) pop() event {
	h := *e
	first, last := h[0], len(h)-1
	h[0], h[last] = h[last], event{}
	h = h[:last]
	*e = h
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return first
		}
		if child+1 < last && h.before(child+1, child) {
			child++
		}
		if !h.before(child, i) {
			return first
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

func (w *world) after(d time.Duration, do func()) {
	w.serial++
	w.events.push(event{w.now + d, w.serial, do})
}

// Run runs an experiment.
func Run(s Setup) Result {
	w := &world{Setup: s}
	w.result.Bytes = make([]uint64, s.Flows)
	for i := range s.Flows {
		f := newFlow(w, i)
		// Connections are not made at one moment.
		w.after(time.Duration(i)*700*time.Microsecond, f.send)
	}
	if s.Pings > 0 {
		w.after(0, w.ping)
	}
	for len(w.events) > 0 && w.events[0].at <= s.Lasts {
		e := w.events.pop()
		w.now = e.at
		e.do()
	}
	return w.result
}

func (w *world) ping() {
	w.result.Pings++
	if !w.Admit(w.Start+w.now, -1, 84) {
		w.result.PingsLost++
	}
	w.after(w.Pings, w.ping)
}

// transmit sends a segment over the link and then past the policer.
func (w *world) transmit(f *flow, seq int) {
	w.free = max(w.free, w.now) + time.Duration(uint64(Packet)*8*uint64(time.Second)/w.Link)
	w.after(w.free-w.now, func() {
		w.result.Sent++
		if f.queued--; f.queued == mostQueued/2 && !f.limited {
			f.send()
		}
		if !w.Admit(w.Start+w.now, f.number, Packet) {
			w.result.Dropped++
			return
		}
		w.result.Passed += Packet
		w.after(w.RTT/2, func() { f.receiver.segment(seq) })
	})
}
