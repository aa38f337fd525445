// Package shape limits a stream of packets to a rate without holding any of them:
// what bpf/throttle.h does, for those that take the slow path. See there for why.
package shape

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"sync"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// The burst of a rate that names none.
const (
	defaultBurst = time.Second
	leastBurst   = 16 * 1500 // bytes
	maxBurst     = 16 * time.Second
	minBurst     = 8 * time.Millisecond
)

// Parts of the burst: the reserve is its half; a flow's room halves with each step of
// the credit, and its share in each half-life.
const (
	steps     = 16
	halfLives = 8
	idleShare = 128
	idleMost  = 7 * time.Millisecond
	newcomers = 256
	lately    = 3 * time.Second
	cells     = 64
	forgotten = 8 // half-lives
)

// Shaper limits one direction of a session. Its methods may be called from any
// goroutine. Time is that of any clock, as long as it is always the same.
type Shaper struct {
	mu       sync.Mutex
	rate     session.Rate
	burst    float64 // ns
	full     float64 // since when credit has gathered, ns
	lastDrop float64
	seed     maphash.Seed
	flows    [cells]flow
}

// flow is what a flow has had of the rate lately, in ns at the rate.
type flow struct{ at, share float64 }

// New returns a shaper of an idle session.
func New(r session.Rate) *Shaper {
	s := &Shaper{full: math.Inf(-1), lastDrop: math.Inf(-1), seed: maphash.MakeSeed()}
	for i := range s.flows {
		s.flows[i].at = math.Inf(-1)
	}
	s.SetRate(r)
	return s
}

// SetRate changes the rate. What has passed is not forgotten.
func (s *Shaper) SetRate(r session.Rate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rate = r
	if !r.Limited() {
		return
	}
	s.burst = max(float64(defaultBurst), s.cost(leastBurst))
	if r.Burst > 0 {
		s.burst = max(s.cost(int(r.Burst)), float64(minBurst))
	}
	s.burst = min(s.burst, float64(maxBurst))
}

// cost is how long bytes take at the rate, in ns.
func (s *Shaper) cost(bytes int) float64 { return float64(bytes) * 8e9 / float64(s.rate.Bits) }

// Admit reports whether an IP packet passes at now, and charges it if it does. A nil
// shaper lets all pass.
func (s *Shaper) Admit(packet []byte, now time.Duration) bool {
	if s == nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.rate.Limited() {
		return true
	}
	at, cost, reserve := float64(now), s.cost(len(packet)), s.burst/2
	idle := reserve + min(s.burst/idleShare, float64(idleMost))
	most := idle
	if at-s.lastDrop < float64(lately) {
		most = s.burst
	}
	credit := min(at-s.full, most)
	hash, tcp := s.flowOf(packet)
	level := credit
	if !tcp {
		level = min(level, idle)
	}
	room := s.room(level)
	f := &s.flows[hash%cells]
	f.fade(at, s.burst/halfLives)
	if math.IsInf(f.at, -1) {
		f.share = max(room-max(s.burst/newcomers, 2*cost), 0)
	}
	f.at = at
	if credit < cost || f.share > room {
		s.lastDrop = at
		return false
	}
	f.share += cost
	s.full = at - credit + cost
	return true
}

// room is the share up to which a flow may be charged at a level of credit.
func (s *Shaper) room(level float64) float64 {
	all := 2 * s.burst / halfLives // where a flow settles that has all of the rate
	if below := s.burst/2 - level; below > 0 {
		return all * math.Exp2(-below/(s.burst/steps))
	}
	return all + 4*(level-s.burst/2)
}

// fade lets the share fade until at; a flow that was silent for long is forgotten.
func (f *flow) fade(at, half float64) {
	if at-f.at > forgotten*half {
		f.at = math.Inf(-1)
		return
	}
	f.share *= math.Exp(-(at - f.at) / (2 * half))
}

// flowOf returns what tells the packet's flow apart, and whether it is TCP.
func (s *Shaper) flowOf(b []byte) (uint64, bool) {
	var key [41]byte
	end, protocol, addresses := 20, 9, 12
	if len(b) > 0 && b[0]>>4 == 6 {
		end, protocol, addresses = 40, 6, 8
	}
	if len(b) < end {
		return 0, false
	}
	n := copy(key[:], b[addresses:end])
	key[40] = b[protocol]
	tcp := key[40] == 6
	fragment := end == 20 && binary.BigEndian.Uint16(b[6:])&0x3FFF != 0
	if header := int(b[0]&15) * 4; end == 20 && header > 20 {
		end = header
	}
	if (tcp || key[40] == 17) && !fragment && len(b) >= end+4 {
		copy(key[n:40], b[end:end+4])
	}
	return maphash.Bytes(s.seed, key[:]), tcp
}
