package engine

import (
	"testing"
	"time"
)

func TestBuckets(t *testing.T) {
	s := scale{time.Millisecond, 6} // up to 1, 2, 4, 8, 16 ms, and above
	for _, c := range []struct {
		d    time.Duration
		want int
	}{
		{0, 0}, {time.Millisecond, 0}, {time.Millisecond + 1, 1}, {2 * time.Millisecond, 1}, {2*time.Millisecond + 1, 2},
		{16 * time.Millisecond, 4}, {16*time.Millisecond + 1, 5}, {time.Hour, 5}, {-time.Second, 0},
	} {
		if got := s.bucket(c.d); got != c.want {
			t.Errorf("%v: bucket %d, want %d", c.d, got, c.want)
		}
	}
	for _, s := range []scale{setupScale, openScale, idleScale} {
		if s.buckets > maxBuckets {
			t.Errorf("%d buckets, there is room for %d", s.buckets, maxBuckets)
		}
		for i, b := range s.bounds() {
			if s.bucket(b) != i || s.bucket(b+1) != i+1 {
				t.Errorf("bound %v is in bucket %d, above it %d", b, s.bucket(b), s.bucket(b+1))
			}
		}
	}
}
