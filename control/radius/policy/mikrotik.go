package policy

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/lnsd/lnsd/control/session"
)

// mikrotik reads a Mikrotik-Rate-Limit:
//
//	rx[/tx] [rx-burst[/tx-burst] [rx-threshold[/tx-threshold] [rx-time[/tx-time]
//	[priority] [rx-min[/tx-min]]]]]
//
// rx is what the server receives: up. A missing tx part is as the rx part; rates are
// in bit/s with k, M and G; times in seconds. Priority and guaranteed rates have no
// counterpart here.
func mikrotik(s string) (up, down session.Rate, err error) {
	fields := strings.Fields(s)
	if len(fields) == 0 || len(fields) > 6 {
		return up, down, errors.New("is no rate limit")
	}
	var rate, bursts, threshold [2]uint64
	var period [2]float64
	pairs := []*[2]uint64{&rate, &bursts, &threshold}
	for i, f := range fields[:min(3, len(fields))] {
		if pairs[i][0], pairs[i][1], err = ratePair(f, Bit); err != nil {
			return up, down, err
		}
	}
	switch {
	case len(fields) > 3:
		if period[0], period[1], err = times(fields[3]); err != nil {
			return up, down, err
		}
	case len(fields) > 2:
		period = [2]float64{1, 1}
	default:
		// Neither threshold nor time: the rate, and one second.
		threshold, period = rate, [2]float64{1, 1}
	}
	if len(fields) > 4 {
		if n, err := strconv.Atoi(fields[4]); err != nil || n < 1 || n > 8 {
			return up, down, errors.New("has a priority that is not 1 to 8")
		}
	}
	if len(fields) > 5 {
		if _, _, err := ratePair(fields[5], Bit); err != nil {
			return up, down, err
		}
	}
	limit := func(i int) session.Rate {
		r := session.Rate{Bits: rate[i]}
		if r.Limited() && bursts[i] > rate[i] {
			// The burst rate holds until the average over the time is at the
			// threshold, which from rest takes threshold*time/burst seconds.
			lasts := float64(threshold[i]) * period[i] / float64(bursts[i])
			r.Burst = burst(float64(bursts[i]-rate[i]) * lasts / 8)
		}
		return r
	}
	return limit(0), limit(1), nil
}

// times reads "rx-time[/tx-time]" in seconds, an "s" allowed behind them.
func times(s string) (rx, tx float64, err error) {
	one := func(s string) (float64, error) {
		s = strings.TrimSuffix(s, "s")
		if s == "" || strings.Trim(s, "0123456789.") != "" {
			return 0, errors.New("has a time that is no number")
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f > 1e6 || math.IsNaN(f) {
			return 0, errors.New("has a time that is no number")
		}
		return f, nil
	}
	a, b, two := strings.Cut(s, "/")
	if rx, err = one(a); err != nil || !two {
		return rx, rx, err
	}
	tx, err = one(b)
	return rx, tx, err
}
