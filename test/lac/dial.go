package lac

import "time"

const (
	// parallelTunnels is how many tunnels a worker sets up at one time.
	parallelTunnels = 32
	// grain is the least time between two rounds of paced work: shorter sleeps
	// cost more than they smooth.
	grain = 500 * time.Microsecond
	// burst is how much of a paced rate, as time, may be made up for after a
	// delay.
	burst = 100 * time.Millisecond
)

// pacer turns a rate into permissions. Rate 0 permits everything.
type pacer struct {
	rate   float64 // per second
	tokens float64
	last   time.Duration
}

// refill adds what the time since the last call allows, and returns how many
// permissions were lost because they were not used in time.
func (p *pacer) refill(now time.Duration) (lost uint64) {
	p.tokens += p.rate * (now - p.last).Seconds()
	p.last = now
	if most := max(p.rate*burst.Seconds(), 1); p.tokens > most {
		lost = uint64(p.tokens - most)
		p.tokens = most
	}
	return lost
}

// next is when there will be a permission.
func (p *pacer) next(now time.Duration) time.Duration {
	missing := time.Duration((1 - p.tokens) / p.rate * float64(time.Second))
	return now + max(missing, grain)
}

// dialer opens a worker's tunnels and places its calls.
type dialer struct {
	w        *worker
	rate     float64 // calls per second, 0 without limit
	parallel int     // sessions being set up at one time
	stopped  bool

	opened  int // tunnels
	opening int // of them, those that are not up yet
	// ring are the tunnels that are up and have calls to place.
	ring   []*tunnel
	cursor int

	pending int // sessions being set up
	pace    pacer
	paced   bool // the last step ended for want of a permission
}

// ready is called when a tunnel is up.
func (d *dialer) ready(t *tunnel) {
	d.opening--
	if len(t.waiting) > 0 {
		d.ring = append(d.ring, t)
	}
}

// step opens and places what may be now.
func (d *dialer) step() {
	if d.stopped {
		return
	}
	for d.opening < parallelTunnels && d.opened < len(d.w.tunnels) {
		t := d.w.tunnels[d.opened]
		d.opened++
		d.opening++
		t.open()
	}
	if len(d.ring) == 0 {
		d.pace.last = d.w.clock
		return
	}
	if d.pace.rate = d.rate; d.rate > 0 {
		d.pace.refill(d.w.clock)
	}
	d.placeCalls()
}

func (d *dialer) placeCalls() {
	d.paced = false
	for full := 0; len(d.ring) > 0 && full < len(d.ring) && d.pending < d.parallel; {
		if d.rate > 0 && d.pace.tokens < 1 {
			d.paced = true
			return
		}
		d.cursor %= len(d.ring)
		t := d.ring[d.cursor]
		switch {
		case t.state != tunnelUp || len(t.waiting) == 0:
			d.ring = append(d.ring[:d.cursor], d.ring[d.cursor+1:]...)
		case !t.hasRoom():
			full++
			d.cursor++
		default:
			full = 0
			d.cursor++
			d.pace.tokens--
			d.place(t)
		}
	}
}

// place starts the next session of t.
func (d *dialer) place(t *tunnel) {
	s := t.waiting[0]
	t.waiting = t.waiting[1:]
	d.pending++
	if st := &d.w.stats; !st.dialled {
		st.dialled, st.firstCall = true, d.w.clock
	}
	s.place()
}

// hasRoom tells whether the LNS's receive window would take another message now.
// Calls that only wait in our queue would make the set-up times a lie.
func (t *tunnel) hasRoom() bool { return t.l2tp.Stats().Queued == 0 }

// next is when there will be something to do without a message having come.
func (d *dialer) next() (time.Duration, bool) {
	if d.stopped || !d.paced {
		return 0, false
	}
	return d.pace.next(d.w.clock), true
}
