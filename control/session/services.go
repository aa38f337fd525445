package session

import (
	"net/netip"
	"time"
)

// Rate limits one direction of a session; the zero value does not.
type Rate struct {
	// Bits is the rate in bit/s, counted over inner IP packets with their
	// headers; 1 kbit is 1,000 bits. 0 is no limit; see Unlimited.
	Bits uint64
	// Burst is what may pass at once after a pause, in bytes; 0 leaves the choice
	// to the forwarding path.
	Burst uint32
	// Unlimited says that there is to be no limit, where the zero value leaves that
	// open: a session that is granted it does not get the configured rate. Only
	// without Bits.
	Unlimited bool
}

// Open reports whether r says neither a limit nor that there is none.
func (r Rate) Open() bool { return r.Bits == 0 && !r.Unlimited }

// RateOf is a limit to bits per second, or none at all for 0.
func RateOf(bits uint64, burst uint32) Rate {
	if bits == 0 {
		return Rate{Unlimited: true}
	}
	return Rate{Bits: bits, Burst: burst}
}

// Limited reports whether r is a limit at all.
func (r Rate) Limited() bool { return r.Bits != 0 }

// Services are what is done to a session's packets beyond forwarding them.
// Directions are the subscriber's: Up is what it sends, Down what it receives. A
// value that a Record, a Profile or a Session points to is never changed, only
// replaced by another.
type Services struct {
	Up, Down Rate
	// FilterUp and FilterDown name the access lists that packets must pass; ""
	// lets everything pass.
	FilterUp, FilterDown string
	// Intercept is where copies of all packets go; the zero value is nowhere. It
	// is shown to those only who may intercept, and never logged.
	Intercept netip.AddrPort
	// Garden names the walled garden that the session is in, "" for none. The
	// packets of one in a garden all take the slow path, where the kernel's rules
	// decide.
	Garden string
}

// Change alters what a live session was granted. Nil leaves a field as it is; a
// pointer to the zero value takes the grant back.
type Change struct {
	Up, Down             *Rate
	FilterUp, FilterDown *string
	Intercept            *netip.AddrPort
	Garden               *string
	// Timers run from the time of the network up for SessionTimeout, from the last
	// user packet for IdleTimeout.
	SessionTimeout, IdleTimeout, InterimInterval *time.Duration
	// Class replaces the Class attributes when it is not nil.
	Class [][]byte
}

// Services returns what s becomes by c. The result is a new value, or nil when
// nothing is left to be done to the packets.
func (c *Change) Services(s *Services) *Services {
	var next Services
	if s != nil {
		next = *s
	}
	set(&next.Up, c.Up)
	set(&next.Down, c.Down)
	set(&next.FilterUp, c.FilterUp)
	set(&next.FilterDown, c.FilterDown)
	set(&next.Intercept, c.Intercept)
	set(&next.Garden, c.Garden)
	if next == (Services{}) {
		return nil
	}
	return &next
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}
