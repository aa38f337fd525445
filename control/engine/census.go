package engine

import "github.com/lnsd/lnsd/control/session"

// Census counts all that the engine holds. After the last tunnel is gone every
// number is zero: whatever is not has leaked.
type Census struct {
	Tunnels, TunnelIDs, Sessions, Newcomers, Timers, Backlog int
	Slots, Users, Addresses, Waiting, PoolUsed               int
	Peers, LACs, Admitted, HalfOpen                          int
	Aliases, Serials, Networks6, PoolUsed6                   int
	// Wishes are the tunnels that the operator wants, and the calls in them.
	Wishes int
}

// Census counts. The shards must not run meanwhile.
func (e *Engine) Census() Census {
	var c Census
	for _, s := range e.shards {
		c.Tunnels += len(s.tunnels)
		c.TunnelIDs += s.ids.Taken()
		c.Sessions += len(s.calls)
		c.Newcomers += len(s.newcomers)
		c.Timers += len(s.timers.heap)
		c.Backlog += len(s.backlog)
		for _, d := range s.dials {
			c.Wishes += 1 + len(d.calls)
		}
	}
	d := e.dir
	d.mu.Lock()
	defer d.mu.Unlock()
	c.Slots, c.Users, c.Addresses = d.slots.Used(), len(d.users), len(d.addrs)
	c.Waiting, c.Peers, c.LACs = len(d.wanted), len(d.peers), len(d.lacs)
	c.Admitted, c.HalfOpen = d.tunnels, d.halfOpen
	c.Aliases, c.Serials = len(d.aliases), len(d.serials)
	for _, p := range d.order {
		c.PoolUsed += p.Used()
	}
	c.Networks6 = len(d.nets)
	for _, p := range d.order6 {
		c.PoolUsed6 += p.Used()
	}
	return c
}

// Shards are the engine's shards, for whoever drives them by hand instead of Run.
func (e *Engine) Shards() []*Shard { return e.shards }

// Pending reports whether something has come in that Step has not seen.
func (s *Shard) Pending() bool { return s.in.pending() }

// Each calls f with every session of the shard, which f must not keep.
func (s *Shard) Each(f func(*session.Session)) {
	for _, c := range s.calls {
		f(c.s)
	}
}

// EachTunnel calls f with a view of every tunnel of the shard.
func (s *Shard) EachTunnel(f func(session.TunnelView)) {
	for _, t := range s.tunnels {
		f(t.view())
	}
}
