package lac

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

// maxDelay is how long a reordered datagram is held back at most. It is below the
// shortest retransmission time, so that reordering alone causes none.
const maxDelay = 20 * time.Millisecond

// impairer damages one worker's control traffic.
type impairer struct {
	cfg  Impair
	rng  *rand.Rand
	held []heldDatagram
}

type heldDatagram struct {
	due    time.Duration
	socket *socket
	peer   netip.AddrPort
	bytes  []byte
	inward bool
}

func newImpairer(cfg Impair, worker uint64) *impairer {
	if cfg.Loss == 0 && cfg.Duplicate == 0 && cfg.Reorder == 0 {
		return nil
	}
	seed := cfg.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	return &impairer{cfg: cfg, rng: rand.New(rand.NewPCG(seed, worker))}
}

// copies decides how many times a datagram passes at once: 0 when it is lost or
// held back, which hold does with a copy. A nil impairer passes everything.
func (i *impairer) copies(now time.Duration, s *socket, peer netip.AddrPort, b []byte, inward bool) int {
	if i == nil {
		return 1
	}
	if i.rng.Float64() < i.cfg.Loss {
		return 0
	}
	if i.rng.Float64() < i.cfg.Reorder {
		delay := time.Duration(i.rng.Int64N(int64(maxDelay)))
		i.held = append(i.held, heldDatagram{now + delay, s, peer, append([]byte(nil), b...), inward})
		return 0
	}
	if i.rng.Float64() < i.cfg.Duplicate {
		return 2
	}
	return 1
}

// release hands over what has been held back long enough.
func (i *impairer) release(now time.Duration, pass func(heldDatagram)) {
	if i == nil {
		return
	}
	due := i.held
	i.held = nil
	for _, h := range due {
		if h.due <= now {
			pass(h)
		} else {
			i.held = append(i.held, h)
		}
	}
}

// next is when release has something to do.
func (i *impairer) next() (at time.Duration, ok bool) {
	if i == nil {
		return 0, false
	}
	for n, h := range i.held {
		if n == 0 || h.due < at {
			at, ok = h.due, true
		}
	}
	return at, ok
}
