package ppp

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// flight is one frame under way.
type flight struct {
	at    time.Time
	seq   int
	to    *end
	frame []byte
}

type flights []flight

func (f flights) Len() int { return len(f) }
func (f flights) Less(i, j int) bool {
	if !f[i].at.Equal(f[j].at) {
		return f[i].at.Before(f[j].at)
	}
	return f[i].seq < f[j].seq
}
func (f flights) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *flights) Push(x any)   { *f = append(*f, x.(flight)) }
func (f *flights) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

// network carries the frames of a pair and loses, repeats and reorders them until
// it is repaired. Verdicts take their time too.
type network struct {
	*pair
	rng    *rand.Rand
	air    flights
	seq    int
	broken bool
	// verdicts are given at their time.
	verdicts []struct {
		at time.Time
		v  AuthVerdict
	}
}

func (n *network) carry(e *end) {
	for _, f := range e.out.Send {
		n.logFrame(e, f)
		copies := 1
		if n.broken {
			switch r := n.rng.Float64(); {
			case r < 0.2:
				copies = 0
			case r < 0.35:
				copies = 2
			}
		}
		for range copies {
			delay := 20 * time.Millisecond
			if n.broken {
				delay += time.Duration(n.rng.IntN(400)) * time.Millisecond
			}
			n.seq++
			heap.Push(&n.air, flight{n.now.Add(delay), n.seq, n.other(e), append([]byte(nil), f...)})
		}
	}
	for _, ev := range e.out.Events {
		n.logEvent(e, ev)
		e.events = append(e.events, ev)
		if ev.Kind == AuthRequested {
			n.verdicts = append(n.verdicts, struct {
				at time.Time
				v  AuthVerdict
			}{n.now.Add(time.Duration(n.rng.IntN(2000)) * time.Millisecond), n.judge(ev.Auth)})
		}
	}
	e.out.Reset()
}

// next is when something happens next, zero for never.
func (n *network) next() time.Time {
	var first time.Time
	consider := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	consider(n.lns.link.Deadline())
	consider(n.client.link.Deadline())
	if len(n.air) > 0 {
		consider(n.air[0].at)
	}
	for _, v := range n.verdicts {
		consider(v.at)
	}
	return first
}

func (n *network) stepOnce() {
	for _, e := range []*end{n.lns, n.client} {
		if d := e.link.Deadline(); !d.IsZero() && !d.After(n.now) {
			e.link.Timer(n.now, &e.out)
			n.carry(e)
		}
	}
	for len(n.air) > 0 && !n.air[0].at.After(n.now) {
		f := heap.Pop(&n.air).(flight)
		f.to.link.Receive(n.now, f.frame, &f.to.out)
		n.carry(f.to)
	}
	due := n.verdicts
	n.verdicts = nil
	for _, v := range due {
		if v.at.After(n.now) {
			n.verdicts = append(n.verdicts, v)
			continue
		}
		n.lns.link.Authenticated(n.now, v.v, &n.lns.out)
		n.carry(n.lns)
	}
}

// up reports whether the last word about IPv4 was that it is up.
func (e *end) up() bool {
	for i := len(e.events) - 1; i >= 0; i-- {
		switch e.events[i].Kind {
		case IPv4Up:
			return true
		case IPv4Down, LinkDown:
			return false
		}
	}
	return false
}

// checkEvents: up and down alternate, nothing comes after LinkDown, and that comes
// with a cause.
func checkEvents(t *testing.T, e *end) {
	t.Helper()
	v4, v6, ended := false, false, false
	for _, ev := range e.events {
		if ended {
			t.Errorf("%s: %v after LinkDown", e.name, ev.Kind)
		}
		switch ev.Kind {
		case IPv4Up, IPv4Down:
			if v4 == (ev.Kind == IPv4Up) {
				t.Errorf("%s: %v twice", e.name, ev.Kind)
			}
			v4 = !v4
		case IPv6Up, IPv6Down:
			if v6 == (ev.Kind == IPv6Up) {
				t.Errorf("%s: %v twice", e.name, ev.Kind)
			}
			v6 = !v6
		case LinkDown:
			ended = true
			if v4 || v6 {
				t.Errorf("%s: LinkDown with network protocols up", e.name)
			}
			if ev.Cause == CauseNone {
				t.Errorf("%s: LinkDown without a cause", e.name)
			}
		}
	}
}

// TestConvergesOverBadNetwork: whatever is lost, repeated and reordered in the
// first minute, afterwards both ends agree: both up with the same addresses, or
// both down with a cause.
func TestConvergesOverBadNetwork(t *testing.T) {
	seeds := 1500
	if testing.Short() {
		seeds = 200
	}
	outcomes := map[string]int{}
	for seed := range seeds {
		method := []Auth{PAP, CHAPMD5, MSCHAPv2}[seed%3]
		lns, client := lnsConfig(method), clientConfig(method)
		lns.IPv6CP, client.IPv6CP = true, true
		lns.EchoInterval, lns.EchoFailures = 10*time.Second, 3
		client.EchoInterval, client.EchoFailures = 10*time.Second, 3
		if seed%5 == 0 {
			lns.Rechallenge = 25 * time.Second
		}
		n := &network{pair: newPair(lns, client), rng: rand.New(rand.NewPCG(uint64(seed), 1)), broken: true}
		n.lns.link.Start(n.now, nil, &n.lns.out)
		n.carry(n.lns)
		n.client.link.Start(n.now, nil, &n.client.out)
		n.carry(n.client)
		repaired, over := epoch().Add(time.Minute), epoch().Add(6*time.Minute)
		for {
			at := n.next()
			if at.IsZero() || at.After(over) {
				break
			}
			if at.Before(n.now) {
				t.Fatalf("seed %d: a deadline lies in the past", seed)
			}
			n.now = at
			n.broken = at.Before(repaired)
			n.stepOnce()
		}
		checkEvents(t, n.lns)
		checkEvents(t, n.client)
		outcome := fmt.Sprintf("lns %v client %v", n.lns.up(), n.client.up())
		outcomes[outcome]++
		if n.lns.up() != n.client.up() {
			t.Errorf("seed %d: %s", seed, outcome)
		}
		if n.lns.up() {
			l, _ := n.lns.saw(IPv4Up)
			c, _ := n.client.saw(IPv4Up)
			if l.IPv4.Peer != c.IPv4.Local || l.IPv4.Peer != offered().Peer {
				t.Errorf("seed %d: addresses lns %v client %v", seed, l.IPv4, c.IPv4)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, n.log.String())
		}
	}
	t.Log(outcomes)
	if outcomes["lns true client true"] < seeds*9/10 {
		t.Errorf("too few links came up: %v", outcomes)
	}
}
