package dae

import (
	"net/netip"
	"sync"
	"time"
)

// requestKey tells requests apart. The authenticator depends on all that a request
// says, so what has the same is a repetition, whatever port it came from; RFC 5176
// section 2.3 has a client repeat it unchanged.
type requestKey struct {
	source        netip.Addr
	code, id      byte
	authenticator [16]byte
}

// maxRequests bounds what is remembered: about 300 bytes each.
const maxRequests = 65536

// replays remembers requests and their answers, so that a repetition is answered and
// not carried out again.
type replays struct {
	lifetime time.Duration

	mu    sync.Mutex
	known map[requestKey]*remembered
	// order lists them by age.
	order []aged
}

type remembered struct {
	answer []byte // nil while the request is carried out
}

type aged struct {
	key     requestKey
	expires time.Time
}

// newReplays makes a memory for a window of Event-Timestamps. One that is ahead by
// the window stays current for twice as long.
func newReplays(window time.Duration) *replays {
	return &replays{lifetime: 2 * window, known: make(map[requestKey]*remembered)}
}

// meeting is what is known of a request.
type meeting uint8

const (
	isNew meeting = iota
	isBusy
	isAnswered
	isTooMuch // no room to remember it
)

// meet notes a request. answer is for one that is answered already.
func (r *replays) meet(k requestKey, now time.Time) (m meeting, answer []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.order) > 0 && !now.Before(r.order[0].expires) {
		delete(r.known, r.order[0].key)
		r.order = r.order[1:]
	}
	if x := r.known[k]; x != nil {
		if x.answer == nil {
			return isBusy, nil
		}
		return isAnswered, x.answer
	}
	if len(r.known) >= maxRequests {
		return isTooMuch, nil
	}
	r.known[k] = &remembered{}
	r.order = append(r.order, aged{k, now.Add(r.lifetime)})
	return isNew, nil
}

// answered notes the answer to a request.
func (r *replays) answered(k requestKey, answer []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if x := r.known[k]; x != nil {
		x.answer = answer
	}
}
