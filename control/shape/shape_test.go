package shape

import (
	"sync"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// packet is an IPv4 packet of 1,400 bytes.
func packet(protocol, port byte) []byte {
	b := make([]byte, 1400)
	b[0], b[9], b[20] = 0x45, protocol, port
	return b
}

// TestExact: over any time there pass the rate and the burst at most, and an
// overloading flow gets the rate, at any rate and after any pause.
func TestExact(t *testing.T) {
	for _, rate := range []uint64{64e3, 10e6, 1e9, 100e9} {
		r := session.Rate{Bits: rate}
		if rate == 100e9 {
			r.Burst = 100e6 // 8 ms, of which the test runs through several
		}
		s := New(r, 1)
		p := packet(17, 1)
		cost := time.Duration(float64(len(p)) * 8e9 / float64(rate))
		for _, start := range []time.Duration{time.Hour, 25 * time.Hour, 9000 * time.Hour} {
			burst := time.Duration(s.depth >> tickShift)
			span := 2 * burst
			step := max(cost/2, span/100000)
			if step > cost { // as many as fit
				span, step = 500000*cost, max(cost/2, 1)
			}
			var first, second int
			for at := time.Duration(0); at < span; at += step {
				if s.Admit(p, start+at) {
					if at < span/2 {
						first += len(p)
					} else {
						second += len(p)
					}
				}
			}
			want := float64(rate) / 8 * (span / 2).Seconds()
			most := 2*want + float64(rate)/8*burst.Seconds()
			if float64(first+second) > most {
				t.Errorf("%d bit/s from %v: %d bytes, at most %.0f", rate, start, first+second, most)
			}
			if slack := 0.015*want + 2*float64(len(p)); float64(second) < want-slack || float64(second) > want+slack {
				t.Errorf("%d bit/s from %v: %d bytes in the second half, want %.0f", rate, start, second, want)
			}
		}
	}
}

// TestRoom: beside flows that take all they can get one that sends little loses
// nothing, and they share alike.
func TestRoom(t *testing.T) {
	s := New(session.Rate{Bits: 10e6}, 1)
	ping, passed := packet(1, 0)[:84], [8]int{}
	for i := range 10000 {
		at := time.Hour + time.Duration(i)*time.Millisecond
		for f := range passed {
			for range f + 1 { // unequal pressure
				if s.Admit(packet(6, byte(f+1)), at) {
					passed[f]++
				}
			}
		}
		if i%20 == 0 && !s.Admit(ping, at) {
			t.Fatalf("a ping was lost after %d ms", i)
		}
	}
	var sum, squares float64
	for _, n := range passed {
		sum += float64(n)
		squares += float64(n) * float64(n)
	}
	if jain := sum * sum / (8 * squares); jain < 0.95 {
		t.Errorf("shares %v: Jain index %.3f", passed, jain)
	}
}

// TestSetRate: a change gives nobody a second burst.
func TestSetRate(t *testing.T) {
	s := New(session.Rate{Bits: 10e6}, 1)
	for range 2000 {
		s.Admit(packet(17, 1), time.Hour)
	}
	s.SetRate(session.Rate{Bits: 20e6})
	n := 0
	for range 2000 {
		if s.Admit(packet(17, 1), time.Hour) {
			n++
		}
	}
	if n > 1 {
		t.Errorf("%d packets passed at once after the change", n)
	}
	s.SetRate(session.Rate{})
	if !s.Admit(packet(17, 1), time.Hour) {
		t.Error("a limit that was taken back still holds")
	}
}

// TestGoroutines: no packet more passes because several ask at once.
func TestGoroutines(t *testing.T) {
	s := New(session.Rate{Bits: 10e6}, 1)
	var wg sync.WaitGroup
	var mu sync.Mutex
	bytes := 0
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				if s.Admit(packet(17, 1), time.Hour) {
					mu.Lock()
					bytes += 1400
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if bits := float64(bytes * 8); bits == 0 || bits > 10e6*0.51 {
		t.Errorf("%.0f bits at one moment", bits)
	}
}
