package garden

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Tally is a counter of nftables.
type Tally struct{ Packets, Bytes uint64 }

// View is what is known of a garden.
type View struct {
	Name string
	// Sessions are those in it, Prefixes their addresses and routed prefixes.
	Sessions, Prefixes int
	// DNS and Portal count the connections that were redirected.
	DNS, Portal uint64
	// Up and Down are packets that were let through, from and to subscribers.
	Up, Down Tally
	// UpDropped and DownDropped are those that were not.
	UpDropped, DownDropped Tally
	// Error says why nobody gets in, or what is wrong with the build file; "" when
	// all is well.
	Error string
}

// List returns the gardens in the order of their definition.
func (g *Gardens) List() []View {
	g.state.Lock()
	defer g.state.Unlock()
	counters, err := g.counters()
	if broken := g.broken(); broken != nil {
		err = broken
	}
	if err == nil {
		err = g.built
	}
	views := make([]View, len(g.cfg.Gardens))
	byName := map[string]*View{}
	for i := range views {
		v := &views[i]
		name := g.cfg.Gardens[i].Name
		byName[name] = v
		*v = View{
			Name: name, DNS: counters[dnsCounter(name)].Packets, Portal: counters[portalCounter(name)].Packets,
			Up: counters[upCounter(name)], Down: counters[downCounter(name)],
			UpDropped: counters[upDropCounter(name)], DownDropped: counters[downDropCounter(name)],
		}
		if err != nil {
			v.Error = err.Error()
		}
	}
	for _, m := range g.sets.bySlot {
		if v := byName[m.garden]; v != nil {
			v.Sessions++
			v.Prefixes += len(m.prefixes)
		}
	}
	return views
}

// counters reads the table's counters by name.
func (g *Gardens) counters() (map[string]Tally, error) {
	conn, err := g.cfg.Dial()
	if err != nil {
		return nil, err
	}
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, err
	}
	out := map[string]Tally{}
	for _, t := range tables {
		if t.Name != tableName {
			continue
		}
		objects, err := conn.GetObjects(table())
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			if named, ok := o.(*nftables.NamedObj); ok {
				if c, ok := named.Obj.(*expr.Counter); ok {
					out[named.Name] = Tally{c.Packets, c.Bytes}
				}
			} else if c, ok := o.(*nftables.CounterObj); ok {
				out[c.Name] = Tally{c.Packets, c.Bytes}
			}
		}
	}
	return out, nil
}
