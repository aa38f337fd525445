package lac

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBucketsAreInOrderAndCoverEverything(t *testing.T) {
	last := -1
	for v := uint64(0); v < 1<<20; v++ {
		b := bucketOf(v)
		if b != last && b != last+1 {
			t.Fatalf("bucket %d follows bucket %d at %d", b, last, v)
		}
		if end := bucketEnd(b); v > end || float64(end-v) > float64(v)/64 {
			t.Fatalf("%d is in a bucket that ends at %d", v, end)
		}
		last = b
	}
	if b := bucketOf(1<<63 - 1); b != histogramLen-1 || bucketEnd(b) != 1<<63-1 {
		t.Errorf("the longest duration is in bucket %d of %d, ending at %d", b, histogramLen, bucketEnd(b))
	}
}

// A quantile is what sorting would give, at most a 64th more.
func TestQuantilesAgreeWithSorting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 200).Draw(t, "values")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		var h, part Histogram
		for i, v := range values {
			if i%2 == 0 {
				h.Record(time.Duration(v))
			} else {
				part.Record(time.Duration(v))
			}
		}
		h.Merge(&part)
		slices.Sort(values)
		rank := 1
		for float64(rank) < q*float64(len(values))-1e-6 {
			rank++
		}
		want := values[rank-1]
		got := int64(h.Quantile(q))
		if got < want || float64(got-want) > float64(want)/64+1 {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	})
}

func TestLatency(t *testing.T) {
	var h Histogram
	if l := h.Latency(); l != (Latency{}) {
		t.Errorf("an empty histogram gives %+v", l)
	}
	for i := range 100 {
		h.Record(time.Duration(i+1) * time.Microsecond)
	}
	h.Record(-time.Second) // a clock that went backwards
	l := h.Latency()
	if l.Count != 101 || l.Min != 0 || l.Max != Seconds(100*time.Microsecond) || l.Mean != Seconds(50*time.Microsecond) {
		t.Errorf("%+v", l)
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	var h Histogram
	if n := testing.AllocsPerRun(100, func() { h.Record(time.Duration(rand.Int64())) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
