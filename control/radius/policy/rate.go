package policy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/lnsd/lnsd/control/session"
)

// Unit is what one of a number without a suffix is, in bit/s.
type Unit uint64

// The units. Prefixes are decimal: 1 kbit is 1,000 bits.
const (
	Bit  Unit = 1
	Kbit Unit = 1e3
	Mbit Unit = 1e6
	Gbit Unit = 1e9
	Byte Unit = 8
)

// maxBits bounds a rate, in bit/s: what is above is a wrong unit.
const maxBits = 100e12

// errRate is deliberately short: the value is the operator's text and goes into logs
// from the packet's end.
var errRate = errors.New("is no rate")

// ParseRate reads a rate: a number, decimals allowed, with the suffix k, M, G or T, or
// in the given unit without one. "bit", "bps", "bit/s" and "b/s" may stand at its end.
// The result is in bit/s; 0 is no limit.
func ParseRate(s string, unit Unit) (uint64, error) {
	number := strings.TrimSpace(s)
	for _, tail := range []string{"bit/s", "bits/s", "b/s", "bps", "bit"} {
		if cut, ok := cutSuffixFold(number, tail); ok {
			number, unit = strings.TrimSpace(cut), Bit
			break
		}
	}
	if n := len(number); n > 0 {
		if m := suffix(number[n-1]); m != 0 {
			number, unit = strings.TrimSpace(number[:n-1]), m
		}
	}
	// ParseFloat would also take "1e9", "0x1p3", "Inf" and "1_000".
	if number == "" || strings.Trim(number, "0123456789.") != "" {
		return 0, errRate
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f*float64(unit) > maxBits {
		return 0, errRate
	}
	return uint64(math.Round(f * float64(unit))), nil
}

func cutSuffixFold(s, tail string) (string, bool) {
	if len(s) >= len(tail) && strings.EqualFold(s[len(s)-len(tail):], tail) {
		return s[:len(s)-len(tail)], true
	}
	return s, false
}

func suffix(c byte) Unit {
	switch c {
	case 'k', 'K':
		return Kbit
	case 'm', 'M':
		return Mbit
	case 'g', 'G':
		return Gbit
	case 't', 'T':
		return 1000 * Gbit
	}
	return 0
}

// integer reads a number of 4 or 8 bytes as a rate.
func integer(v []byte, unit Unit) (uint64, error) {
	var n uint64
	switch len(v) {
	case 4:
		n = uint64(binary.BigEndian.Uint32(v))
	case 8:
		n = binary.BigEndian.Uint64(v)
	default:
		return 0, lengthError(v)
	}
	if n > maxBits/uint64(unit) {
		return 0, errRate
	}
	return n * uint64(unit), nil
}

// ratePair reads a rate for each direction, "first/second", or one for both.
func ratePair(s string, unit Unit) (first, second uint64, err error) {
	a, b, two := strings.Cut(s, "/")
	if first, err = ParseRate(a, unit); err != nil || !two {
		return first, first, err
	}
	second, err = ParseRate(b, unit)
	return first, second, err
}

// burst makes a number of bytes fit.
func burst(n float64) uint32 {
	if !(n > 0) {
		return 0
	}
	return uint32(min(math.Ceil(n), math.MaxUint32))
}

// setUp and setDown take what an attribute says; a rate of 0 is no limit, whatever
// is configured.
func (d *decoder) setUp(r session.Rate)   { d.live.Up = said(r) }
func (d *decoder) setDown(r session.Rate) { d.live.Down = said(r) }

func said(r session.Rate) *session.Rate {
	r.Unlimited = r.Bits == 0
	return &r
}

// profile looks a rate profile up.
func (d *decoder) profile(name string) (RateProfile, error) {
	p, ok := d.t.profiles[name]
	if !ok {
		return p, fmt.Errorf("names the rate profile %.64q, which does not exist", name)
	}
	return p, nil
}

// ascend joins Ascend-Data-Rate and Ascend-Xmit-Rate: with an Xmit-Rate, which is what
// the server transmits, the Data-Rate is what it receives. Without, a first Data-Rate
// is for what is transmitted and a second for what is received; one alone for both.
func (d *decoder) ascend() {
	data, rate := d.ascendData, func(b uint64) session.Rate { return session.Rate{Bits: b} }
	switch {
	case d.ascendXmit != nil:
		d.setDown(rate(*d.ascendXmit))
		if n := len(data); n > 0 {
			d.setUp(rate(data[n-1]))
		}
	case len(data) > 1:
		d.setDown(rate(data[0]))
		d.setUp(rate(data[1]))
	case len(data) == 1:
		d.setDown(rate(data[0]))
		d.setUp(rate(data[0]))
	}
}
