package policy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/lnsd/lnsd/control/session"
)

// interfaceConfig reads one line of Cisco's interface configuration:
//
//	rate-limit input|output [access-group N] BPS NORMAL-BURST MAX-BURST
//		conform-action ACTION exceed-action ACTION
//	service-policy input|output NAME
//
// Input is what the subscriber sends. BPS is in bit/s, bursts are in bytes; what is
// behind them is not looked at, as a policer can only pass and drop. As in l2tpns, a
// NAME that is a number is a rate in kbit/s; any other is a rate profile. Words may be
// shortened as Cisco's may.
func interfaceConfig(d *decoder, s string) error {
	fields := strings.Fields(s)
	if len(fields) < 3 {
		return restriction("is no rate-limit and no service-policy")
	}
	var to func(session.Rate)
	var of func(RateProfile) session.Rate
	switch {
	case shortens("input", fields[1]):
		to, of = d.setUp, func(p RateProfile) session.Rate { return p.Up }
	case shortens("output", fields[1]):
		to, of = d.setDown, func(p RateProfile) session.Rate { return p.Down }
	default:
		return restriction("is no rate-limit and no service-policy")
	}
	switch {
	case shortens("rate-limit", fields[0]):
		r, err := rateLimit(fields[2:])
		if err == nil {
			to(r)
		}
		return err
	case shortens("service-policy", fields[0]):
		name := fields[2]
		if _, ok := d.t.profiles[name]; !ok && strings.Trim(name, "0123456789") == "" {
			bits, err := ParseRate(name, Kbit)
			to(session.Rate{Bits: bits})
			return err
		}
		p, err := d.profile(name)
		if err == nil {
			to(of(p))
		}
		return err
	}
	return restriction("is no rate-limit and no service-policy")
}

// shortens reports whether word is full, or a beginning of it of two letters and more.
func shortens(full, word string) bool {
	return len(word) >= 2 && strings.HasPrefix(full, strings.ToLower(word))
}

// rateLimit reads what follows "rate-limit input".
func rateLimit(fields []string) (session.Rate, error) {
	if len(fields) > 0 && (fields[0] == "access-group" || fields[0] == "dscp" || fields[0] == "qos-group") {
		// A limit for a part of the traffic would become one for all of it.
		return session.Rate{}, restriction(fmt.Sprintf("limits a part of the traffic by %s", fields[0]))
	}
	if len(fields) == 0 {
		return session.Rate{}, errRate
	}
	bits, err := ParseRate(fields[0], Bit)
	if err != nil {
		return session.Rate{}, err
	}
	r := session.Rate{Bits: bits}
	if len(fields) > 1 {
		n, err := strconv.ParseUint(fields[1], 10, 32)
		if err != nil {
			return session.Rate{}, errors.New("has a burst that is no number of bytes")
		}
		r.Burst = uint32(n)
	}
	return r, nil
}
