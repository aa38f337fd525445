package lac

import (
	"math/bits"
	"time"
)

// subBits sets the resolution of a Histogram: 2^subBits steps per doubling, an
// error below 1.6 %.
const subBits = 6

// histogramLen covers durations up to 2^63-1 ns.
const histogramLen = (64 - subBits) << subBits

// Histogram counts durations in buckets that widen with the duration, so that a
// run of any length takes the same memory. The zero value is empty.
type Histogram struct {
	count    uint64
	sum      float64 // ns
	min, max time.Duration
	buckets  [histogramLen]uint64
}

// Record counts d; a negative d counts as 0.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	if h.count == 0 || d < h.min {
		h.min = d
	}
	h.max = max(h.max, d)
	h.count++
	h.sum += float64(d)
	h.buckets[bucketOf(uint64(d))]++
}

// Merge adds what o counted.
func (h *Histogram) Merge(o *Histogram) {
	if o.count == 0 {
		return
	}
	if h.count == 0 || o.min < h.min {
		h.min = o.min
	}
	h.max = max(h.max, o.max)
	h.count += o.count
	h.sum += o.sum
	for i, n := range &o.buckets {
		h.buckets[i] += n
	}
}

// Count is how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.count }

// Quantile returns the smallest duration that at least the fraction q of all
// durations does not exceed, rounded up to the end of its bucket; 0 when empty.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.count == 0 {
		return 0
	}
	rank := uint64(q*float64(h.count) + 0.9999999)
	rank = min(max(rank, 1), h.count)
	var seen uint64
	for i, n := range &h.buckets {
		if seen += n; seen >= rank {
			return max(min(time.Duration(bucketEnd(i)), h.max), h.min)
		}
	}
	return h.max
}

// Latency sums the histogram up.
func (h *Histogram) Latency() Latency {
	l := Latency{
		Count: h.count,
		Min:   Seconds(h.min),
		P50:   Seconds(h.Quantile(0.50)),
		P90:   Seconds(h.Quantile(0.90)),
		P99:   Seconds(h.Quantile(0.99)),
		Max:   Seconds(h.max),
	}
	if h.count > 0 {
		l.Mean = Seconds(h.sum / float64(h.count))
	}
	return l
}

// bucketOf gives values below 2^(subBits+1) a bucket each; above, the top
// subBits+1 bits select it.
func bucketOf(v uint64) int {
	shift := max(bits.Len64(v)-subBits-1, 0)
	return shift<<subBits + int(v>>shift)
}

// bucketEnd is the largest value of bucket i.
func bucketEnd(i int) uint64 {
	if i < 2<<subBits {
		return uint64(i)
	}
	shift := i>>subBits - 1
	top := uint64(1<<subBits + i&(1<<subBits-1))
	return (top+1)<<shift - 1
}
