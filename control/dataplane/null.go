package dataplane

import (
	"context"
	"net/netip"

	"github.com/lnsd/lnsd/control/session"
)

// Null is the fast path of a host without XDP: it answers every operation with
// success and leaves all packets to the slow path.
type Null struct {
	done func([]session.Programmed)
}

// NewNull returns a Null that answers through done, from the caller's goroutine.
func NewNull(done func([]session.Programmed)) *Null { return &Null{done: done} }

// Apply answers each operation at once.
func (n *Null) Apply(ops []session.ProgramOp) {
	answers := make([]session.Programmed, len(ops))
	for i := range ops {
		answers[i] = answer(&ops[i])
	}
	n.done(answers)
}

// Counters returns zero: no packet takes this path.
func (n *Null) Counters(uint32) session.Counters { return session.Counters{} }

// Sequence returns the zero value: nothing is counted here.
func (n *Null) Sequence(uint32) session.Sequence { return session.Sequence{} }

// Counts returns nothing.
func (n *Null) Counts() []session.Count { return nil }

// Installed returns false.
func (n *Null) Installed(uint32) bool { return false }

// Modes returns no interface.
func (n *Null) Modes() []Mode { return nil }

// Spread returns no CPU.
func (n *Null) Spread() []int { return nil }

// Settle finds nothing.
func (n *Null) Settle([]session.Record, map[uint16]netip.AddrPort) ([]Left, error) { return nil, nil }

// Trace finds nothing.
func (n *Null) Trace(uint32) (Left, bool) { return Left{}, false }

// RunCopies waits for ctx: nothing is copied here.
func (n *Null) RunCopies(ctx context.Context, _ func(*session.PacketCopy)) error {
	<-ctx.Done()
	return ctx.Err()
}

// RunCaptures waits for ctx, too.
func (n *Null) RunCaptures(ctx context.Context, _ func(*session.PacketCopy)) error {
	<-ctx.Done()
	return ctx.Err()
}

// CopiesLost is zero.
func (n *Null) CopiesLost(uint32) uint64 { return 0 }

// ForgetCopiesLost has nothing to forget.
func (n *Null) ForgetCopiesLost(uint32) {}

// Capture does nothing.
func (n *Null) Capture(uint32, bool) {}

// CapturesMissed is zero.
func (n *Null) CapturesMissed() uint64 { return 0 }

// Forget does nothing.
func (n *Null) Forget() {}

// Close does nothing.
func (n *Null) Close() error { return nil }

// answer begins the answer to an operation.
func answer(op *session.ProgramOp) session.Programmed {
	return session.Programmed{Ref: op.Record.Ref, Slot: op.Record.Slot, Removed: op.Remove}
}
