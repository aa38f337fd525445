// Package policy turns the attributes of a RADIUS packet into what a subscriber is
// granted: addresses, timers, rates, filters, a walled garden, interception. One
// table serves the Access-Accept of a login and the CoA-Request for a session that
// is up.
//
//	IETF attributes      standard.go, ipv6.go      fixed by the RFCs
//	vendors' attributes  presets.go                rows {attribute, target, unit}
//	an operator's own    Config.Rules              the same rows; they come first
//	Filter-Id            filterid.go               its meaning is local: patterns
//	Cisco-AVPair         pair.go                   key=value, rows by key
//
// Directions are the subscriber's everywhere: up is what it sends. What vendors call
// input, ingress, in or rx is seen from the server, and is up.
package policy

import (
	"fmt"
	"net/netip"
	"regexp"
	"time"

	"layeh.com/radius"

	"github.com/lnsd/lnsd/control/session"
)

// RateProfile is a pair of rates with a name, for attributes that carry the names of
// QoS policies and not figures.
type RateProfile struct {
	Name string
	// Up and Down are the subscriber's; a rate that is not limited takes the limit
	// away.
	Up, Down session.Rate
}

// FilterID says what Filter-Id values of a pattern mean. The first that matches
// decides.
type FilterID struct {
	Pattern *regexp.Regexp
	// Target is what the value is for; Value its text, in which $1 is what the
	// pattern's first group matched.
	Target Target
	Value  string
	// Unit is that of rates without a suffix.
	Unit Unit
}

// Config is what a Table is made with. It is not changed afterwards.
type Config struct {
	// Presets are names of Presets; in a conflict the later one decides. Rules
	// replace the presets' rows and the standard meaning of their attributes.
	Presets   []string
	Rules     []Rule
	FilterIDs []FilterID
	Profiles  []RateProfile

	// Throttle is the rate that "throttle=yes" asks for, Intercept the receiver of
	// "intercept=yes", Garden the garden of "garden=yes". Zero values make such a
	// pair an unusable one.
	Throttle  session.Rate
	Intercept netip.AddrPort
	Garden    string

	// Strict refuses an Access-Accept with policy that is not supported here;
	// otherwise it is ignored.
	Strict bool
	// IgnoreMalformed goes on without an attribute of an Access-Accept whose value
	// cannot be understood; otherwise such an answer is a reject, since a limit of
	// unknown value must not become no limit.
	IgnoreMalformed bool
	// ZeroTimeoutRejects makes a Session-Timeout of 0 in an Access-Accept a reject:
	// no time is left. Otherwise it is no limit.
	ZeroTimeoutRejects bool
	// MaxInterim caps Acct-Interim-Interval; 0 means 24 h.
	MaxInterim time.Duration
}

// Table is a checked Config, ready for use by any number of goroutines.
type Table struct {
	cfg      Config
	standard map[Attribute]handler
	rules    map[Attribute]Rule
	profiles map[string]RateProfile
	origins  origins
}

// New checks a configuration.
func New(cfg Config) (*Table, error) {
	if cfg.MaxInterim == 0 {
		cfg.MaxInterim = 24 * time.Hour
	}
	t := &Table{cfg: cfg, standard: standard(), rules: map[Attribute]Rule{}, profiles: map[string]RateProfile{}}
	for _, name := range cfg.Presets {
		rows, ok := preset(name)
		if !ok {
			return nil, fmt.Errorf("policy: no preset %q", name)
		}
		for _, r := range rows {
			t.rules[r.Attribute] = r
		}
	}
	for _, r := range cfg.Rules {
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("policy: %v: %w", r.Attribute, err)
		}
		t.rules[r.Attribute] = r
	}
	for _, p := range cfg.Profiles {
		t.profiles[p.Name] = p
	}
	for _, f := range cfg.FilterIDs {
		if f.Pattern == nil || !f.Target.textual() {
			return nil, fmt.Errorf("policy: a Filter-Id cannot be for %q", f.Target)
		}
	}
	return t, nil
}

// Error is an attribute whose value cannot be used: Invalid Attribute Value in the
// terms of RFC 5176 section 3.5.
type Error struct {
	// Attribute is as in Rule; Reason a sentence about its value.
	Attribute string
	Reason    string
}

func (e *Error) Error() string { return "attribute " + e.Attribute + " " + e.Reason }

// Profile adds what the attributes of an Access-Accept grant to a profile. What was
// in the packet and had no effect is named in ignored, for the log. With an error
// the answer is not to be used.
func (t *Table) Profile(p *radius.Packet, to *session.Profile) (ignored []string, err error) {
	d := &decoder{t: t, fixed: *to}
	if to.IPv6 != nil {
		six := *to.IPv6 // it may be shared
		d.fixed.IPv6 = &six
	}
	if err := d.decode(p); err != nil {
		return d.ignored, err
	}
	if err := d.finish(); err != nil {
		return d.ignored, err
	}
	c := &d.live
	d.fixed.Services = c.Services(to.Services)
	set(&d.fixed.SessionTimeout, c.SessionTimeout)
	set(&d.fixed.IdleTimeout, c.IdleTimeout)
	set(&d.fixed.InterimInterval, c.InterimInterval)
	if len(c.Class) > 0 {
		d.fixed.Class = c.Class
	}
	d.fixed.Origins = t.origins.share(d.origins)
	*to = d.fixed
	return d.ignored, nil
}

// Change reads a CoA-Request as a change of a session that is up. Attributes that
// name the session or belong to the exchange (RFC 5176 sections 3 and 3.6) are
// skipped. unsupported are the types of those that say what cannot be changed, or
// nothing that is known here: with any of them the request must be refused (RFC
// 5176 section 2.2). An error is of type *Error, for an attribute whose value cannot
// be used.
func (t *Table) Change(p *radius.Packet) (c *session.Change, unsupported []radius.Type, err error) {
	d := &decoder{t: t, change: true}
	if err := d.decode(p); err != nil {
		return nil, nil, err
	}
	if err := d.finish(); err != nil {
		return nil, nil, err
	}
	return &d.live, d.unsupported, nil
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}
