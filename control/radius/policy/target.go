package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// Target is what an attribute's value is for.
type Target string

// The targets that a configuration can name.
const (
	RateUp   Target = "rate_up"
	RateDown Target = "rate_down"
	// Rate is for both directions; RatesDownUp and RatesUpDown have a rate for each,
	// "first/second".
	Rate        Target = "rate"
	RatesDownUp Target = "rates_down_up"
	RatesUpDown Target = "rates_up_down"
	// Profile is the name of a rate profile; ProfileUp and ProfileDown take only its
	// rate for one direction.
	Profile     Target = "profile"
	ProfileUp   Target = "profile_up"
	ProfileDown Target = "profile_down"
	// Filter is the name of an access list for both directions.
	Filter     Target = "filter"
	FilterUp   Target = "filter_up"
	FilterDown Target = "filter_down"
	// Garden is "yes", "no" or the name of a garden.
	Garden Target = "garden"
	// Intercept is "yes", "no" or address:port.
	Intercept Target = "intercept"
	// The timers are numbers of seconds.
	SessionTimeout  Target = "session_timeout"
	IdleTimeout     Target = "idle_timeout"
	InterimInterval Target = "interim_interval"
	// Pool, Pool6 and PDPool are names of pools for addresses, for prefixes of the
	// link and for delegated ones.
	Pool   Target = "pool"
	Pool6  Target = "pool6"
	PDPool Target = "pd_pool"
	// Ignore goes on without the attribute, Refuse treats it as unsupported policy.
	Ignore Target = "ignore"
	Refuse Target = "refuse"
)

// Targets of presets: values with a grammar of their own.
const (
	throttle       Target = "throttle"
	filterIDValue  Target = "filter-id"
	mikrotikLimit  Target = "mikrotik-rate-limit"
	interfaceLine  Target = "interface-config"
	rateLimitLine  Target = "rate-limit"
	ascendDataRate Target = "ascend-data-rate"
	ascendXmitRate Target = "ascend-xmit-rate"
)

// Targets lists those that a configuration can name.
func Targets() []Target {
	return []Target{
		RateUp, RateDown, Rate, RatesDownUp, RatesUpDown, Profile, ProfileUp, ProfileDown,
		Filter, FilterUp, FilterDown, Garden, Intercept, SessionTimeout, IdleTimeout, InterimInterval,
		Pool, Pool6, PDPool, Ignore, Refuse,
	}
}

func (t Target) textual() bool { return slices.Contains(Targets(), t) }

// numeric reports whether the target takes the value of an integer attribute.
func (t Target) numeric() bool {
	switch t {
	case RateUp, RateDown, Rate, SessionTimeout, IdleTimeout, InterimInterval, ascendDataRate, ascendXmitRate:
		return true
	}
	return t == Ignore || t == Refuse
}

// Rule is one row of the mapping table.
type Rule struct {
	Attribute Attribute
	Target    Target
	// Unit is that of rates without a suffix; zero is Bit.
	Unit Unit
	// Integer: the value is a number of 4 or 8 bytes and not a text.
	Integer bool
}

func (r Rule) check() error {
	switch {
	case !r.Target.textual():
		return fmt.Errorf("no target %q", r.Target)
	case r.Integer && !r.Target.numeric():
		return fmt.Errorf("%s takes no integer", r.Target)
	case r.Attribute.Type == 0 || r.Attribute == Attribute{Type: byte(vendorSpecific)}:
		return errors.New("no such attribute")
	}
	return nil
}

// apply gives the value its effect.
func (r Rule) apply(d *decoder, v []byte) error {
	switch r.Target {
	case Ignore:
		return nothing(d, v)
	case Refuse:
		return errPolicy
	case RateUp, RateDown, Rate, ascendDataRate, ascendXmitRate:
		return r.rate(d, v)
	case SessionTimeout, IdleTimeout, InterimInterval:
		return r.timer(d, v)
	case Pool, Pool6, PDPool:
		return r.pool(d, v)
	}
	s := text(v)
	if s == "" {
		return errors.New("is empty")
	}
	switch r.Target {
	case RatesDownUp, RatesUpDown, mikrotikLimit:
		return r.rates(d, s)
	case Profile, ProfileUp, ProfileDown:
		return r.profile(d, s)
	case Filter, FilterUp, FilterDown:
		if r.Target != FilterDown {
			d.live.FilterUp = &s
		}
		if r.Target != FilterUp {
			d.live.FilterDown = &s
		}
		return nil
	case Garden:
		return garden(d, s)
	case Intercept:
		return intercept(d, s)
	case throttle:
		return throttled(d, s)
	case filterIDValue:
		return filterID(d, s)
	case interfaceLine:
		return interfaceConfig(d, s)
	case rateLimitLine:
		return interfaceConfig(d, "rate-limit "+s)
	}
	return fmt.Errorf("no target %q", r.Target)
}

func (r Rule) unit() Unit { return max(r.Unit, Bit) }

func (r Rule) rate(d *decoder, v []byte) error {
	var bits uint64
	var err error
	if r.Integer {
		bits, err = integer(v, r.unit())
	} else {
		bits, err = ParseRate(text(v), r.unit())
	}
	if err != nil {
		return err
	}
	switch r.Target {
	case ascendDataRate:
		d.ascendData = append(d.ascendData, bits)
		return nil
	case ascendXmitRate:
		d.ascendXmit = &bits
		return nil
	}
	if r.Target != RateDown {
		d.setUp(session.Rate{Bits: bits})
	}
	if r.Target != RateUp {
		d.setDown(session.Rate{Bits: bits})
	}
	return nil
}

func (r Rule) rates(d *decoder, s string) error {
	if r.Target == mikrotikLimit {
		up, down, err := mikrotik(s)
		if err != nil {
			return err
		}
		d.setUp(up)
		d.setDown(down)
		return nil
	}
	first, second, err := ratePair(s, r.unit())
	if err != nil {
		return err
	}
	if r.Target == RatesDownUp {
		first, second = second, first
	}
	d.setUp(session.Rate{Bits: first})
	d.setDown(session.Rate{Bits: second})
	return nil
}

func (r Rule) profile(d *decoder, name string) error {
	p, err := d.profile(name)
	if err != nil {
		return err
	}
	if r.Target != ProfileDown {
		d.setUp(p.Up)
	}
	if r.Target != ProfileUp {
		d.setDown(p.Down)
	}
	return nil
}

// timer takes a number of seconds, as text or integer, under the rules of the IETF's
// attribute.
func (r Rule) timer(d *decoder, v []byte) error {
	if !r.Integer {
		n, err := time.ParseDuration(strings.TrimSpace(text(v)) + "s")
		if err != nil || n < 0 || n > (1<<32-1)*time.Second {
			return errors.New("is no number of seconds")
		}
		s := uint32(n / time.Second)
		v = []byte{byte(s >> 24), byte(s >> 16), byte(s >> 8), byte(s)}
	}
	switch r.Target {
	case SessionTimeout:
		return sessionTimeout(d, v)
	case IdleTimeout:
		return idleTimeout(d, v)
	}
	return interimInterval(d, v)
}

func (r Rule) pool(d *decoder, v []byte) error {
	switch r.Target {
	case Pool6:
		return text6(func(p *session.Profile6) *string { return &p.Pool })(d, v)
	case PDPool:
		return text6(func(p *session.Profile6) *string { return &p.PDPool })(d, v)
	}
	return fixedText(func(p *session.Profile) *string { return &p.Pool })(d, v)
}

// garden takes "yes" for the configured garden, "no" for none, or a name.
func garden(d *decoder, s string) error {
	switch strings.ToLower(s) {
	case "yes":
		if s = d.t.cfg.Garden; s == "" {
			return errors.New("asks for the garden, and none is configured")
		}
	case "no":
		s = ""
	}
	d.live.Garden = &s
	return nil
}

// intercept takes "yes" for the configured receiver, "no" for none, or address:port.
// The value never goes into an error: it is for few eyes.
func intercept(d *decoder, s string) error {
	var to netip.AddrPort
	switch strings.ToLower(s) {
	case "yes":
		if to = d.t.cfg.Intercept; !to.IsValid() {
			return errors.New("asks for interception, and no receiver is configured")
		}
	case "no":
	default:
		var err error
		if to, err = netip.ParseAddrPort(s); err != nil || to.Port() == 0 || to.Addr().IsUnspecified() || to.Addr().IsMulticast() {
			return errors.New("is no receiver of interception")
		}
		to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	}
	d.live.Intercept = &to
	return nil
}

// throttled takes l2tpns' "throttle": "yes" for the configured rate, "no" for no
// limit, or a rate for both directions, in kbit/s.
func throttled(d *decoder, s string) error {
	r := d.t.cfg.Throttle
	switch strings.ToLower(s) {
	case "yes":
		if !r.Limited() {
			return errors.New("asks for the throttle speed, and none is configured")
		}
	case "no":
		r = session.Rate{}
	default:
		up, down, err := ratePair(s, Kbit)
		if err != nil {
			return err
		}
		d.setUp(session.Rate{Bits: up})
		d.setDown(session.Rate{Bits: down})
		return nil
	}
	d.setUp(r)
	d.setDown(r)
	return nil
}
