// Package capture collects what passes for sessions that an operator looks at: their
// packets with the verdict, their PPP frames and control messages, as a pcapng file.
//
// It is for debugging, and bounded so that it never holds up what it looks at: what
// finds no room is left out and counted.
package capture

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// What captures may cost.
const (
	mostCaptures = 8       // at once
	mostSessions = 1024    // of one capture
	mostRate     = 10_000  // packets of one capture in a second
	mostBytes    = 1 << 20 // of a file that wait for its reader
)

// ErrTooMany refuses a capture beyond those that may be on at once.
var ErrTooMany = errors.New("too many captures are on already")

// Target says which sessions; one field is set.
type Target struct {
	Slot          uint32
	User, Calling string
	LAC           netip.Addr
}

// Options say what is captured, and how much of it.
type Options struct {
	Target
	Snap    int    // bytes of a packet at most; 0: no bound
	Secrets bool   // passwords are left in
	By      string // who asked for it
}

// View is a capture that is on.
type View struct {
	Options
	Since            time.Time
	Sessions         int // that it holds now
	Packets, Dropped uint64
}

// Part is the next part of a file, with the counts so far.
type Part struct {
	Data             []byte
	Packets, Dropped uint64
}

// Ports are what captures need of others.
type Ports struct {
	// Switch turns the copies of packets of what is in a slot on or off.
	Switch func(slot uint32, on bool)
	// Missed is how many packets the data plane could not copy, ever.
	Missed func() uint64
	// Sessions lists the sessions that there are; Session finds the one in a slot, and
	// returns false where there is none.
	Sessions func(ctx context.Context, yield func([]session.View) error) error
	Session  func(ctx context.Context, slot uint32) (session.View, bool, error)
}

// Hub is the captures that are on. Its methods may be called from any goroutine; those
// that take packets and messages never wait for a reader.
type Hub struct {
	ports Ports
	on    atomic.Int32

	// switching orders calls of Switch, which are made without mu: a packet's way to
	// take may hold what Switch waits for.
	switching sync.Mutex

	mu       sync.Mutex
	captures []*capture
}

// New returns a Hub without captures. Ports are used from the first capture on.
func New(ports Ports) *Hub { return &Hub{ports: ports} }

// Capture captures until ctx ends or yield fails; that of a slot ends with nil once the
// session is over that is in it, or is the next one in it. The first part comes when the
// capture is in force; a part is valid during the call only.
func (h *Hub) Capture(ctx context.Context, o Options, yield func(Part) error) error {
	c, err := newCapture(o, h.ports.Missed)
	if err != nil {
		return err
	}
	if err := h.enter(c); err != nil {
		return err
	}
	defer h.leave(c)
	if err := h.find(ctx, c); err != nil {
		return err
	}
	return h.deliver(ctx, c, yield)
}

// reportEvery is how often drops are told when nothing else is.
const reportEvery = 500 * time.Millisecond

func (h *Hub) deliver(ctx context.Context, c *capture, yield func(Part) error) error {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	var memory []byte
	last := false
	for {
		h.mu.Lock()
		over := c.ended
		p, err := c.part(memory)
		h.mu.Unlock()
		if err != nil {
			return err
		}
		if len(p.Data) > 0 {
			if err := yield(p); err != nil {
				return err
			}
		}
		memory = p.Data
		switch {
		case over:
			return nil
		case last:
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			last = true // what came until now is still told
		case <-c.wake:
		case <-tick.C:
		}
	}
}

func (h *Hub) enter(c *capture) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.captures) >= mostCaptures {
		return ErrTooMany
	}
	h.captures = append(h.captures, c)
	h.on.Add(1)
	return nil
}

func (h *Hub) leave(c *capture) {
	h.mu.Lock()
	for i, x := range h.captures {
		if x == c {
			h.captures = append(h.captures[:i:i], h.captures[i+1:]...)
			break
		}
	}
	h.on.Add(-1)
	slots := c.slots()
	h.mu.Unlock()
	for _, slot := range slots {
		h.settle(slot)
	}
}

// find takes the sessions that there are into c.
func (h *Hub) find(ctx context.Context, c *capture) error {
	if c.Slot != 0 {
		v, found, err := h.ports.Session(ctx, c.Slot)
		if err == nil && found {
			h.mu.Lock()
			c.join(&session.Tapped{Ref: v.Ref, Slot: v.Slot})
			h.mu.Unlock()
		}
		h.settle(c.Slot)
		return err
	}
	return h.ports.Sessions(ctx, func(views []session.View) error {
		var changed []uint32
		h.mu.Lock()
		for i := range views {
			v := &views[i]
			m := session.Tapped{Ref: v.Ref, Slot: v.Slot, User: v.User, Calling: v.Calling, Peer: v.LAC}
			if c.meant(&m) == yes && c.join(&m) {
				changed = append(changed, v.Slot)
			}
		}
		h.mu.Unlock()
		for _, slot := range changed {
			h.settle(slot)
		}
		return nil
	})
}

// settle makes the data plane do for slot what the captures want.
func (h *Hub) settle(slot uint32) {
	h.switching.Lock()
	defer h.switching.Unlock()
	h.mu.Lock()
	want := false
	for _, c := range h.captures {
		want = want || c.wants(slot)
	}
	h.mu.Unlock()
	h.ports.Switch(slot, want)
}

// List returns the captures that are on, oldest first.
func (h *Hub) List() []View {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []View
	for _, c := range h.captures {
		v := View{Options: c.Options, Since: c.since, Sessions: len(c.members), Packets: c.written}
		for _, n := range c.lost() {
			v.Dropped += n
		}
		out = append(out, v)
	}
	return out
}

// Wanted reports whether any capture is on.
func (h *Hub) Wanted() bool { return h.on.Load() > 0 }

// Passed takes a message of a tunnel or session.
func (h *Hub) Passed(m *session.Tapped) {
	joined := false
	h.mu.Lock()
	for _, c := range h.captures {
		joined = c.passed(m) || joined
	}
	h.mu.Unlock()
	if joined {
		h.settle(m.Slot)
	}
}

// Over forgets a session.
func (h *Hub) Over(ref session.Ref, slot uint32) {
	if !h.Wanted() {
		return
	}
	was := false
	h.mu.Lock()
	for _, c := range h.captures {
		was = c.over(ref) || was
	}
	h.mu.Unlock()
	if was && slot != 0 {
		h.settle(slot)
	}
}

// Captured takes a packet of a session.
func (h *Hub) Captured(p *session.PacketCopy) {
	if !h.Wanted() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.captures {
		c.packet(p)
	}
}
