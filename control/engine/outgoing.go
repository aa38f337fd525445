package engine

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

// Outgoing is a tunnel that the operator wants, and the calls in it. It is a wish: the
// shards see to it that it comes true, and that what is no longer wished for ends.
type Outgoing struct {
	Name string
	// Local is where it is opened from. An unspecified address leaves the choice to
	// the kernel; what the peer's answer is addressed to holds from then on.
	Local, Peer netip.AddrPort
	// L2TP is what the tunnel is set up with; its Role says which end we are.
	L2TP *l2tp.Config
	// Session is for calls that the peer, a LAC, places in it.
	Session *session.Config
	// Said is what the operator said of it. Another text makes a tunnel that is over
	// try again.
	Said string
	// Persist opens the tunnel again when it is lost. The wait between two attempts
	// grows up to Retry.
	Persist     bool
	Retry       time.Duration
	IdleTimeout time.Duration // as LAC.IdleTimeout; a persistent tunnel stays
	MaxSessions int           // 0: no limit
	Trace       session.TraceMask
	Calls       []OutgoingCall
}

// OutgoingCall is a call that we place: an incoming call where we are the LAC, an
// outgoing call where we are the LNS (RFC 2661 section 7).
type OutgoingCall struct {
	Name    string
	Session *session.Config
	Params  l2tp.CallParams
	// Said, Persist and Retry are as those of the tunnel.
	Said    string
	Persist bool
	Retry   time.Duration
}

// same reports whether o is what x was, so that a tunnel that is up goes on.
func (o *Outgoing) same(x *Outgoing) bool {
	return o.Name == x.Name && o.Peer == x.Peer && o.Local == x.Local && o.L2TP.Role == x.L2TP.Role
}

// Role is "lac" or "lns": which end of the tunnel we are.
func (o *Outgoing) Role() string {
	if o.L2TP.Role == l2tp.LAC {
		return "lac"
	}
	return "lns"
}

// CallType is the type of the calls that we place, in OpenL2TP's words.
func (o *Outgoing) CallType() string {
	if o.L2TP.Role == l2tp.LAC {
		return "laic"
	}
	return "lnoc"
}

// lac is what holds for the tunnel.
func (o *Outgoing) lac() LAC {
	return LAC{
		L2TP: o.L2TP, Session: o.Session, MaxSessions: o.MaxSessions,
		IdleTimeout: o.idleTimeout(), Trace: o.Trace,
	}
}

func (o *Outgoing) idleTimeout() time.Duration {
	if o.Persist {
		return 0 // it would be opened again at once
	}
	return o.IdleTimeout
}

func (o *Outgoing) validate() error {
	switch {
	case o.L2TP == nil || o.Session == nil:
		return fmt.Errorf("engine: tunnel %s has no configuration", o.Name)
	case !o.Peer.IsValid() || o.Peer.Addr().IsUnspecified() || o.Peer.Port() == 0:
		return fmt.Errorf("engine: tunnel %s has no peer", o.Name)
	}
	if err := o.Session.Validate(); err != nil {
		return fmt.Errorf("engine: tunnel %s: %w", o.Name, err)
	}
	for i := range o.Calls {
		c := &o.Calls[i]
		if c.Session == nil {
			return fmt.Errorf("engine: session %s has no configuration", c.Name)
		}
		if err := c.Session.ValidatePlaced(); err != nil {
			return fmt.Errorf("engine: session %s: %w", c.Name, err)
		}
		for _, p := range c.Session.Routes {
			if p.Contains(o.Peer.Addr()) {
				return fmt.Errorf("engine: session %s: the route %v would lead the tunnel into itself", c.Name, p)
			}
		}
		if c.Session.PPP.Client != (o.L2TP.Role == l2tp.LAC) {
			return fmt.Errorf("engine: session %s: a LAC is the client, an LNS is not", c.Name)
		}
	}
	return nil
}

// wishes are the tunnels that the operator wants, and which shard each belongs to: one
// peer's all to the same, which SCCRQs of that peer are brought to also, so that both
// ends' attempts meet (RFC 2661 section 4.4.3, Tie Breaker).
type wishes struct {
	policy *Policy
	homes  map[string]int // by name
}

// wish makes p's tunnels the wanted ones. restored says where tunnels of the process
// before live on.
func (e *Engine) wish(p *Policy, restored map[string]int) {
	e.wishing.Lock()
	defer e.wishing.Unlock()
	last, next := e.wishes.Load(), &wishes{policy: p, homes: make(map[string]int, len(p.Outgoing))}
	peers := make(map[netip.Addr]uint16, len(p.Outgoing))
	for i := range p.Outgoing {
		o := &p.Outgoing[i]
		home, ok := restored[o.Name]
		if !ok && last != nil {
			home, ok = last.homes[o.Name]
		}
		if was, known := peers[o.Peer.Addr()]; !ok && known {
			home = int(was)
		} else if !ok {
			home = int(shardOfPeer(o.Peer.Addr()) & e.in.mask)
		}
		next.homes[o.Name] = home
		if _, known := peers[o.Peer.Addr()]; !known {
			peers[o.Peer.Addr()] = uint16(home)
		}
	}
	e.wishes.Store(next)
	e.in.called.Store(&peers)
	for i := range e.shards {
		e.in.call(i, func(s *Shard) { s.reconcile(s.e.wishes.Load()) })
	}
}

func shardOfPeer(a netip.Addr) uint16 {
	b := a.As16()
	h := fnv.New32a()
	h.Write(b[:])
	sum := h.Sum32()
	return uint16(sum ^ sum>>16)
}

// of lists what belongs to a shard, by name.
func (w *wishes) of(shard int) map[string]*Outgoing {
	out := make(map[string]*Outgoing)
	for i := range w.policy.Outgoing {
		o := &w.policy.Outgoing[i]
		if w.homes[o.Name] == shard {
			out[o.Name] = o
		}
	}
	return out
}

// find returns the tunnel of a name, nil for none.
func (p *Policy) find(name string) *Outgoing {
	for i := range p.Outgoing {
		if p.Outgoing[i].Name == name {
			return &p.Outgoing[i]
		}
	}
	return nil
}

// Removes tells what p wants and next does not: tunnels as a whole by name, and calls of
// others.
func (p *Policy) Removes(next *Policy) (names []string, calls map[string][]string) {
	calls = make(map[string][]string)
	for i := range p.Outgoing {
		o := &p.Outgoing[i]
		n := next.find(o.Name)
		if n == nil || !n.same(o) {
			names = append(names, o.Name)
			continue
		}
		for k := range o.Calls {
			if n.call(o.Calls[k].Name) == nil {
				calls[o.Name] = append(calls[o.Name], o.Calls[k].Name)
			}
		}
	}
	return names, calls
}

func (o *Outgoing) call(name string) *OutgoingCall {
	for i := range o.Calls {
		if o.Calls[i].Name == name {
			return &o.Calls[i]
		}
	}
	return nil
}

// attempts says when something of the operator's is to be tried (again).
type attempts struct {
	next   time.Time // zero: not by a timer
	failed int       // in a row
	total  int
	// over: it is not tried again; reason is why the last attempt, or what came of it,
	// has ended.
	over   bool
	reason string
}

// First wait, and how long what may not be tried at all is left alone.
const (
	firstRetry = 5 * time.Second
	pauseRetry = 5 * time.Second
)

// lost notes the end of an attempt, or of what it led to.
func (a *attempts) lost(now time.Time, reason string, wasUp, persist bool, longest time.Duration, random uint16) {
	a.reason, a.next = reason, time.Time{}
	if !persist {
		a.over = true
		return
	}
	if wasUp {
		a.failed = 0
	}
	wait := longest
	if a.failed < 16 {
		wait = min(min(firstRetry, longest)<<a.failed, longest)
	}
	a.failed++
	// A tenth of it is jitter: many that were lost at once must not come back at once.
	a.next = now.Add(wait - wait/10 + time.Duration(random)*(wait/10)/(1<<16))
}

// again makes it be tried at once.
func (a *attempts) again(now time.Time) {
	a.over, a.failed, a.next = false, 0, now
}

// pause puts it off for a while, for a reason that is not the peer's.
func (a *attempts) pause(now time.Time, reason string) {
	a.reason, a.next = reason, now.Add(pauseRetry)
}

func (a *attempts) due(now time.Time) bool {
	return !a.over && !a.next.IsZero() && !now.Before(a.next)
}

// sooner is the earlier of two moments, of which the zero time is never.
func sooner(a, b time.Time) time.Time {
	switch {
	case a.IsZero():
		return b
	case b.IsZero() || a.Before(b):
		return a
	}
	return b
}

func byName(a, b *dial) int { return cmp.Compare(a.cfg.Name, b.cfg.Name) }
