package session

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Why a change, or another order that names sessions, is refused.
var (
	// ErrNoSession: no session is meant.
	ErrNoSession = errors.New("no such session")
	// ErrSeveral: several sessions are meant, and one was asked for.
	ErrSeveral = errors.New("several sessions match")
	// ErrNotUp: the session is not up (yet, or any more).
	ErrNotUp = errors.New("session is not up")
	// ErrNoService: there is no such filter, garden or other service to be had.
	ErrNoService = errors.New("no such service")
	// ErrBusy: another change of the session is under way.
	ErrBusy = errors.New("another change of the session is under way")
)

// InvalidChange says which value of a change can't be.
type InvalidChange struct {
	// Field is the name of a field of Change.
	Field  string
	Reason string
}

func (e *InvalidChange) Error() string { return e.Field + ": " + e.Reason }

// Limits of what a change may ask for.
const (
	// minRate is the least rate in bit/s: less carries no packet of full size in
	// the time that a subscriber waits.
	minRate = 1000
	maxRate = 1_000_000_000_000
	maxName = 63
	// maxTimer is the longest that RADIUS can say, 2^32-1 seconds.
	maxTimer = (1<<32 - 1) * time.Second
)

// Validate reports the first value that can't be.
func (c *Change) Validate() error {
	for _, r := range [...]struct {
		field string
		rate  *Rate
	}{{"Up", c.Up}, {"Down", c.Down}} {
		if r.rate != nil && r.rate.Bits != 0 && (r.rate.Bits < minRate || r.rate.Bits > maxRate) {
			return &InvalidChange{r.field, fmt.Sprintf("%d bit/s is not between %d and %d", r.rate.Bits, minRate, uint64(maxRate))}
		}
	}
	for _, n := range [...]struct {
		field string
		name  *string
	}{{"FilterUp", c.FilterUp}, {"FilterDown", c.FilterDown}, {"Garden", c.Garden}} {
		if n.name != nil && (len(*n.name) > maxName || strings.ContainsAny(*n.name, " \t\r\n\x00")) {
			return &InvalidChange{n.field, "not a name"}
		}
	}
	if a := c.Intercept; a != nil && *a != (netip.AddrPort{}) && (!a.Addr().IsValid() || a.Addr().IsUnspecified() || a.Port() == 0) {
		return &InvalidChange{"Intercept", "not an address and port"}
	}
	return c.validateTimers()
}

func (c *Change) validateTimers() error {
	for _, t := range [...]struct {
		field string
		timer *time.Duration
	}{{"SessionTimeout", c.SessionTimeout}, {"IdleTimeout", c.IdleTimeout}, {"InterimInterval", c.InterimInterval}} {
		if t.timer != nil && (*t.timer < 0 || *t.timer > maxTimer) {
			return &InvalidChange{t.field, "out of range"}
		}
	}
	// RFC 2869 section 5.16: never less than 60 seconds. What is given when a
	// session begins is raised; a change that can't be had as asked is refused.
	if i := c.InterimInterval; i != nil && *i > 0 && *i < minInterim {
		return &InvalidChange{"InterimInterval", fmt.Sprintf("less than %v", minInterim)}
	}
	return nil
}

// Empty reports whether c changes nothing.
func (c *Change) Empty() bool {
	return c.Up == nil && c.Down == nil && c.FilterUp == nil && c.FilterDown == nil && c.Intercept == nil &&
		c.Garden == nil && c.SessionTimeout == nil && c.IdleTimeout == nil && c.InterimInterval == nil && c.Class == nil
}

// apply returns what a profile becomes by c.
func (c *Change) apply(p *granted) granted {
	next := *p
	next.Services = c.Services(p.Services)
	set(&next.SessionTimeout, c.SessionTimeout)
	set(&next.IdleTimeout, c.IdleTimeout)
	set(&next.InterimInterval, c.InterimInterval)
	if c.Class != nil {
		next.Class = c.Class
	}
	return next
}

// String names what c changes, for the log. It tells no values, and nothing of an
// interception.
func (c *Change) String() string {
	var names []string
	for _, f := range [...]struct {
		name string
		set  bool
	}{
		{"rate up", c.Up != nil}, {"rate down", c.Down != nil},
		{"filter up", c.FilterUp != nil}, {"filter down", c.FilterDown != nil}, {"garden", c.Garden != nil},
		{"session timeout", c.SessionTimeout != nil}, {"idle timeout", c.IdleTimeout != nil},
		{"interim interval", c.InterimInterval != nil}, {"class", c.Class != nil},
	} {
		if f.set {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, ", ")
}

// Changed reports how a change of a live session goes on.
type Changed struct {
	// Err is nil when the change has taken effect; it stands once Settle keeps it.
	// Otherwise nothing has changed.
	Err error
	// Undone answers a Settle that takes the change back: nothing is left of it.
	Undone bool
}

// changing is a change under way. What was granted before is kept until nobody
// can want it back.
type changing struct {
	change *Change
	by     string
	before *grant
	phase  changePhase
	err    error // why it is taken back; nil when Settle wants it
}

type changePhase uint8

const (
	applying changePhase = iota // the forwarding path was asked
	applied                     // in effect, Settle decides
	undoing                     // the forwarding path was asked for the former state
)

// Change changes what the session was granted, and says by whom for the audit. An
// error means that nothing happened. Otherwise one Changed follows, at once or
// when the forwarding path has confirmed; if its Err is nil, Settle is to keep the
// change or to take it back. Until then no other change is taken.
func (s *Session) Change(c *Change, by string, out *Out) error {
	switch {
	case s.state != stateUp:
		return ErrNotUp
	case s.changing != nil:
		return ErrBusy
	}
	if err := c.Validate(); err != nil {
		return err
	}
	next := *s.auth
	next.Profile = c.apply(&s.auth.Profile)
	s.changing = &changing{change: c, by: by, before: s.auth, phase: applied}
	s.auth = &next
	if sameServices(s.changing.before.Profile.Services, next.Profile.Services) {
		out.Changed = append(out.Changed, Changed{})
		return nil
	}
	s.changing.phase = applying
	s.reprogram(out)
	return nil
}

func sameServices(a, b *Services) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// reprogram replaces what the forwarding path has of the session.
func (s *Session) reprogram(out *Out) {
	out.Program = append(out.Program, ProgramOp{Record: s.Record()})
}

// reprogrammed takes the answer to reprogram.
func (s *Session) reprogrammed(now time.Time, p *Programmed, out *Out) {
	x := s.changing
	switch {
	case p.Err == nil && x.phase == applying:
		x.phase = applied
		out.Changed = append(out.Changed, Changed{})
	case p.Err == nil:
		s.changing = nil
		out.Changed = append(out.Changed, Changed{Err: x.err, Undone: x.err == nil})
	case x.phase == applying:
		// What is installed now is not certain, so the former state is asked for.
		out.Events = append(out.Events, Event{Kind: ProgramFailed, Err: p.Err})
		s.auth, x.phase, x.err = x.before, undoing, p.Err
		s.reprogram(out)
	default:
		out.Events = append(out.Events, Event{Kind: ProgramFailed, Err: p.Err})
		s.close(now, s.busyEnd(CauseNASError, "no room in the forwarding path"), out)
	}
}

// interrupt ends a change that the forwarding path has not confirmed, because the
// session leaves it. A confirmed one stays as it is until it is settled.
func (s *Session) interrupt(out *Out) {
	x := s.changing
	if x == nil || x.phase == applied {
		return
	}
	s.changing = nil
	s.auth = x.before
	c := Changed{Err: x.err}
	switch {
	case x.phase == applying:
		c.Err = ErrNotUp
	case x.err == nil:
		c.Undone = true
	}
	out.Changed = append(out.Changed, c)
}

// Settle keeps a change that has taken effect, or takes it back, which is answered
// by a Changed that is Undone, at once or later. Keeping is silent; it returns
// false when there is no change to be kept, because the session has ended.
func (s *Session) Settle(now time.Time, keep bool, r Reader, out *Out) bool {
	x := s.changing
	if x == nil || x.phase != applied || s.state >= stateClosing {
		if !keep {
			out.Changed = append(out.Changed, Changed{Undone: true})
		}
		return false
	}
	if keep {
		s.changing = nil
		s.keep(now, x, r, out)
		return true
	}
	moved := !sameServices(x.before.Profile.Services, s.auth.Profile.Services)
	s.auth = x.before
	if moved && (s.install == installed || s.install == installing) {
		x.phase = undoing
		s.reprogram(out)
		return true
	}
	s.changing = nil
	out.Changed = append(out.Changed, Changed{Undone: true})
	return true
}

// keep makes a change final: its timers run, and accounts and auditors hear of it.
func (s *Session) keep(now time.Time, x *changing, r Reader, out *Out) {
	before, after := x.before.Profile.Services, s.auth.Profile.Services
	if x.change.SessionTimeout != nil {
		s.armSessionTimeout()
	}
	if x.change.IdleTimeout != nil {
		s.rearmIdle(now)
	}
	s.audit(before.intercept(), after.intercept(), x.by, now, out)
	left := s.moveGarden(now, before.garden(), after.garden(), r, out)
	if x.change.InterimInterval != nil && s.accounted {
		s.interimAt = s.nextInterim(now)
	}
	if what := x.change.String(); what != "" {
		out.Events = append(out.Events, Event{Kind: Altered, Detail: what, By: x.by, LeftGarden: left})
	}
}

// Services are what is done to the session's packets, nil for nothing.
func (s *Session) Services() *Services {
	if s.auth == nil {
		return nil
	}
	return s.auth.Profile.Services
}

// intercept and garden of no services are none.
func (s *Services) intercept() netip.AddrPort {
	if s == nil {
		return netip.AddrPort{}
	}
	return s.Intercept
}

func (s *Services) garden() string {
	if s == nil {
		return ""
	}
	return s.Garden
}

// Interception is the start, the change or the end of a session's interception. It
// is for the audit and for nobody else: neither end may be logged.
type Interception struct {
	Ref
	Slot                uint32
	User, AcctSessionID string
	At                  time.Time
	// From is where copies went until now, To where they go from now on; the zero
	// value is nowhere.
	From, To netip.AddrPort
	// By says who ordered it; "" when the end of the session did.
	By string
}

// audit tells that the target of the interception changes.
func (s *Session) audit(from, to netip.AddrPort, by string, now time.Time, out *Out) {
	if from == to {
		return
	}
	out.Interceptions = append(out.Interceptions, Interception{
		Ref: s.setup.Ref, Slot: s.setup.Slot, User: s.accountingUser(), AcctSessionID: s.acctSessionID(),
		At: now, From: from, To: to, By: by,
	})
}
