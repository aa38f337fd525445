package login

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

const (
	// firstPause follows the first wrong password of an address; each further one
	// doubles it, up to longestPause.
	firstPause   = time.Second
	longestPause = 30 * time.Second
	// forgetAfter is how long an address is remembered.
	forgetAfter = 15 * time.Minute
	// maxAddresses bounds the memory that guessers can take.
	maxAddresses = 4096
	// maxChecks bounds the processors that hashing may take.
	maxChecks = 2
)

// Guard slows down those who guess passwords.
type Guard struct {
	now    func() time.Time
	sleep  func(context.Context, time.Duration)
	checks chan struct{}

	mu     sync.Mutex
	failed map[netip.Addr]failures
}

type failures struct {
	count int
	last  time.Time
}

// NewGuard makes a guard that goes by the clock.
func NewGuard() *Guard { return NewGuardWith(time.Now, Sleep) }

// NewGuardWith makes a guard with a clock and a way to let time pass.
func NewGuardWith(now func() time.Time, sleep func(context.Context, time.Duration)) *Guard {
	return &Guard{now: now, sleep: sleep, checks: make(chan struct{}, maxChecks), failed: map[netip.Addr]failures{}}
}

// Sleep waits for a time, or until ctx ends.
func Sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Check lets an address try a password by check. A wrong one costs a pause before the
// answer, and so does the next try.
func (g *Guard) Check(ctx context.Context, from netip.Addr, check func() bool) bool {
	if pause := g.pause(from); pause > 0 {
		g.sleep(ctx, pause)
	}
	select {
	case g.checks <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	ok := check()
	<-g.checks
	if ok {
		g.mu.Lock()
		delete(g.failed, network(from))
		g.mu.Unlock()
		return true
	}
	g.note(from)
	g.sleep(ctx, firstPause)
	return false
}

// network is what counts as one place: an IPv6 host has a /64 to choose from.
func network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().Addr()
	}
	return a
}

func (g *Guard) pause(from netip.Addr) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	f, ok := g.failed[network(from)]
	if !ok || g.now().Sub(f.last) > forgetAfter {
		return 0
	}
	return min(longestPause, firstPause<<min(f.count-1, 10))
}

func (g *Guard) note(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if len(g.failed) >= maxAddresses {
		for a, f := range g.failed {
			if now.Sub(f.last) > forgetAfter {
				delete(g.failed, a)
			}
		}
		if len(g.failed) >= maxAddresses {
			clear(g.failed)
		}
	}
	f := g.failed[network(from)]
	if now.Sub(f.last) > forgetAfter {
		f.count = 0
	}
	g.failed[network(from)] = failures{f.count + 1, now}
}
