package engine

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// scale says what the buckets of a histogram are: the first is up to unit, each of the
// next twice as wide, and the last has no end.
type scale struct {
	unit    time.Duration
	buckets int
}

var (
	// setupScale: from a millisecond to half a minute, where set-up times out.
	setupScale = scale{time.Millisecond, 17}
	// openScale: from a second to a bit over a year.
	openScale = scale{time.Second, 26}
	// idleScale: from a second to a day and a half.
	idleScale = scale{time.Second, 18}
)

func (s scale) bounds() []time.Duration {
	b := make([]time.Duration, s.buckets-1)
	for i := range b {
		b[i] = s.unit << i
	}
	return b
}

// bucket is the index of the first bucket that holds d.
func (s scale) bucket(d time.Duration) int {
	if d <= s.unit {
		return 0
	}
	return min(bits.Len64(uint64((d-1)/s.unit)), s.buckets-1)
}

// maxBuckets is the largest number of buckets of a scale.
const maxBuckets = 26

// histogram counts durations. One shard writes, anybody reads.
type histogram struct {
	counts [maxBuckets]atomic.Uint64
	sum    atomic.Int64 // ns
}

func (h *histogram) add(s scale, d time.Duration) {
	h.counts[s.bucket(d)].Add(1)
	h.sum.Add(int64(d))
}

// times are the histograms of one shard.
type times struct {
	stages [session.Stages]histogram
	failed [session.Stages]atomic.Uint64
	open   histogram
	idle   histogram
}

func (t *times) stage(x session.StageTime) {
	if x.Failed {
		t.failed[x.Stage].Add(1)
		return
	}
	t.stages[x.Stage].add(setupScale, x.Took)
}

// ended notes how long a session was up, and for how long nothing had passed then.
func (t *times) ended(open, idle time.Duration) {
	t.open.add(openScale, open)
	t.idle.add(idleScale, idle)
}

// Histograms are the times of set-up and of life, summed over the shards.
func (e *Engine) Histograms() []session.Histogram {
	var out []session.Histogram
	put := func(name, label, value string, s scale, of func(*times) *histogram) {
		h := session.Histogram{Name: name, Label: label, Value: value, Bounds: s.bounds(), Counts: make([]uint64, s.buckets)}
		for _, shard := range e.shards {
			x := of(&shard.times)
			for i := range h.Counts {
				h.Counts[i] += x.counts[i].Load()
			}
			h.Sum += time.Duration(x.sum.Load())
		}
		out = append(out, h)
	}
	for stage := range session.Stages {
		put("session_setup", "stage", stage.String(), setupScale, func(t *times) *histogram { return &t.stages[stage] })
	}
	put("session_open", "", "", openScale, func(t *times) *histogram { return &t.open })
	put("session_idle", "", "", idleScale, func(t *times) *histogram { return &t.idle })
	return out
}

// stageFailures are the counters of set-ups that failed, by stage.
func (e *Engine) stageFailures(put func(string, uint64)) {
	for stage := range session.StageAll {
		sum := uint64(0)
		for _, s := range e.shards {
			sum += s.times.failed[stage].Load()
		}
		put("session_setup_failed_in_"+stage.String(), sum)
	}
}
