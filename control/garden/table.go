package garden

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/session"
)

// buffer is the size of the netlink socket's buffers: each message of a transaction
// is answered, and an answer that does not fit loses them all.
const buffer = 8 << 20

func dial() (*nftables.Conn, error) {
	return nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		// Refused without CAP_NET_ADMIN, as all that follows will be.
		return errors.Join(c.SetReadBuffer(buffer), c.SetWriteBuffer(buffer))
	}))
}

// Elements of one message, whose length is a 16-bit number, and of one transaction.
const (
	perMessage     = 500
	perTransaction = 20 * perMessage
)

// change adds elements to the kernel's sets, or takes them out, many at a time.
func (g *Gardens) change(list []element, del bool) error {
	for len(list) > 0 {
		n := min(len(list), perTransaction)
		conn, err := g.cfg.Dial()
		if err != nil {
			return err
		}
		bySet := map[string][]nftables.SetElement{}
		for _, e := range list[:n] {
			bySet[e.set()] = append(bySet[e.set()], e.elements()...)
		}
		for _, name := range slices.Sorted(maps.Keys(bySet)) {
			// Two of an interval stay in one message: the number is even.
			for part := range slices.Chunk(bySet[name], perMessage) {
				set := setOf(name)
				if del {
					err = conn.SetDeleteElements(set, part)
				} else {
					err = conn.SetAddElements(set, part)
				}
				if err != nil {
					return err
				}
			}
		}
		if err := conn.Flush(); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// setOf describes the set of a name.
func setOf(name string) *nftables.Set {
	for _, kind := range setKinds() {
		if len(name) > len(kind) && name[:len(kind)] == kind {
			return makeSet(kind, name[len(kind):])
		}
	}
	return &nftables.Set{Table: table(), Name: name}
}

// enter puts sessions into gardens, as far as that can be done: bad are the answers to
// the operations that can't.
func (g *Gardens) enter(ops []session.ProgramOp) (good []session.ProgramOp, bad []session.Programmed) {
	g.state.Lock()
	defer g.state.Unlock()
	var fresh []element
	good = make([]session.ProgramOp, 0, len(ops))
	refuse := func(op *session.ProgramOp, err error) {
		bad = append(bad, session.Programmed{Ref: op.Record.Ref, Slot: op.Record.Slot, Err: err})
	}
	for i := range ops {
		op := &ops[i]
		if !op.Remove && gardenOf(op) != "" {
			if err := g.Check(gardenOf(op)); err != nil {
				refuse(op, err)
				continue
			}
			for _, e := range memberOf(&op.Record).elements() {
				if g.sets.hold(e) {
					fresh = append(fresh, e)
				}
			}
		}
		good = append(good, *op)
	}
	if len(fresh) == 0 {
		return good, bad
	}
	err := g.change(fresh, false)
	if err != nil {
		// Somebody may have removed the table; it is made again with all that
		// should be in it.
		g.log.Warn("nftables refused members of a walled garden; its rules are made anew", zap.Error(err))
		err = g.rebuildLocked()
	}
	if err == nil {
		return good, bad
	}
	kept := good[:0]
	for i := range good {
		op := &good[i]
		if op.Remove || gardenOf(op) == "" {
			kept = append(kept, *op)
			continue
		}
		for _, e := range memberOf(&op.Record).elements() {
			g.sets.release(e)
		}
		refuse(op, fmt.Errorf("walled garden %s: %w", gardenOf(op), err))
	}
	return kept, bad
}

// leave takes out of the gardens what is there no more after ops, which enter has let
// in.
func (g *Gardens) leave(ops []session.ProgramOp) {
	g.state.Lock()
	defer g.state.Unlock()
	var gone []element
	for i := range ops {
		slot := ops[i].Record.Slot
		for _, e := range g.sets.bySlot[slot].elements() {
			if g.sets.release(e) {
				gone = append(gone, e)
			}
		}
		delete(g.sets.bySlot, slot)
		if m := memberOf(&ops[i].Record); m != nil && !ops[i].Remove {
			g.sets.bySlot[slot] = m
		}
	}
	if len(gone) == 0 || g.broken() != nil {
		return
	}
	if err := g.change(gone, true); err != nil {
		g.log.Warn("nftables kept members of a walled garden; its rules are made anew", zap.Error(err))
		if err := g.rebuildLocked(); err != nil {
			g.log.Error("walled gardens do not work", zap.Error(err))
		}
	}
}

func (g *Gardens) broken() error {
	if err := g.table.Load(); err != nil {
		return *err
	}
	return nil
}

// rebuild makes all rules anew, and says in the log if that fails.
func (g *Gardens) rebuild() {
	g.state.Lock()
	defer g.state.Unlock()
	if err := g.rebuildLocked(); err != nil {
		g.log.Error("walled gardens do not work: nobody gets in", zap.Error(err))
	}
}

// rebuildLocked makes all rules anew and sees to it that the sets hold whom they
// should. It notes whether that worked.
func (g *Gardens) rebuildLocked() error {
	g.needPortal()
	err := g.makeTable()
	if err == nil {
		err = g.reconcile()
	}
	if err != nil {
		err = fmt.Errorf("nftables: %w", err)
		g.table.Store(&err)
		return err
	}
	g.table.Store(nil)
	var names []string
	for i := range g.cfg.Gardens {
		names = append(names, g.cfg.Gardens[i].Name)
	}
	g.inForce.Store(&names)
	g.build(names)
	return nil
}

// makeTable makes the table in one transaction: chains get their rules anew, sets and
// counters keep what they hold.
func (g *Gardens) makeTable() error {
	have, err := g.counters()
	if err != nil {
		return err
	}
	conn, err := g.cfg.Dial()
	if err != nil {
		return err
	}
	conn.AddTable(table())
	r := &ruler{conn: conn, device: g.cfg.Device, portal: g.portal.port(), own: g.cfg.Own, sets: map[string]*nftables.Set{}}
	r.base()
	for i := range g.cfg.Gardens {
		garden := &g.cfg.Gardens[i]
		for _, kind := range setKinds() {
			set := makeSet(kind, garden.Name)
			if err := conn.AddSet(set, nil); err != nil {
				return err
			}
			r.sets[set.Name] = set
		}
		for _, name := range countersOf(garden.Name) {
			if _, ok := have[name]; !ok {
				conn.AddObj(&nftables.NamedObj{Table: table(), Name: name, Type: nftables.ObjTypeCounter, Obj: &expr.Counter{}})
			}
		}
		r.garden(garden)
	}
	return conn.Flush()
}

// reconcile gives the sets the elements that they should have, and no others.
func (g *Gardens) reconcile() error {
	wanted := g.sets.wanted()
	have, err := g.read()
	if err != nil {
		return err
	}
	var add, del []element
	for e := range wanted {
		if !have[e] && g.isConfigured(e.garden) {
			add = append(add, e)
		}
	}
	for e := range have {
		if !wanted[e] {
			del = append(del, e)
		}
	}
	return errors.Join(g.change(del, true), g.change(add, false))
}

func (g *Gardens) isConfigured(name string) bool {
	return slices.ContainsFunc(g.cfg.Gardens, func(x Garden) bool { return x.Name == name })
}

// read returns what the kernel's sets hold.
func (g *Gardens) read() (map[element]bool, error) {
	have := map[element]bool{}
	for i := range g.cfg.Gardens {
		name := g.cfg.Gardens[i].Name
		for _, kind := range setKinds() {
			conn, err := g.cfg.Dial()
			if err != nil {
				return nil, err
			}
			list, err := conn.GetSetElements(makeSet(kind, name))
			if err != nil {
				return nil, fmt.Errorf("set %s: %w", kind+name, err)
			}
			for _, p := range prefixesOf(kind, list) {
				have[element{name, p}] = true
			}
		}
	}
	return have, nil
}

// prefixesOf turns a set's elements into prefixes. Intervals begin and end with an
// element each, in no certain order.
func prefixesOf(kind string, list []nftables.SetElement) []netip.Prefix {
	var out []netip.Prefix
	ends := map[netip.Addr]bool{}
	interval := kind == prefixes4 || kind == prefixes6
	for _, e := range list {
		if a, ok := netip.AddrFromSlice(e.Key); ok && e.IntervalEnd {
			ends[a] = true
		}
	}
	for _, e := range list {
		a, ok := netip.AddrFromSlice(e.Key)
		if !ok || e.IntervalEnd {
			continue
		}
		bits := a.BitLen()
		switch {
		case kind == nets6:
			bits = 64
		case interval:
			// The shortest prefix from a whose end is an end: sets hold no two
			// that overlap.
			for bits = a.BitLen(); bits > 0; bits-- {
				p := netip.PrefixFrom(a, bits)
				if p.Masked() != p {
					bits = 0
					break
				}
				if end, ok := netip.AddrFromSlice(after(p)); ok && ends[end] {
					break
				}
			}
			if bits == 0 {
				continue
			}
		}
		out = append(out, netip.PrefixFrom(a, bits))
	}
	return out
}

// adopt takes over who was in a garden when the last process ended.
func (g *Gardens) adopt() {
	g.state.Lock()
	defer g.state.Unlock()
	if _, err := g.counters(); err != nil {
		return // there is no such table
	}
	for i := range g.cfg.Gardens {
		for _, kind := range setKinds() {
			conn, err := g.cfg.Dial()
			if err != nil {
				return
			}
			list, err := conn.GetSetElements(makeSet(kind, g.cfg.Gardens[i].Name))
			if err != nil {
				continue // a garden that is new
			}
			for _, p := range prefixesOf(kind, list) {
				g.sets.adopted[element{g.cfg.Gardens[i].Name, p}] = true
			}
		}
	}
}

// Settle lets go of those that an earlier process left in gardens and that no session
// has claimed since New.
func (g *Gardens) Settle() {
	g.order(func() {
		g.state.Lock()
		defer g.state.Unlock()
		if len(g.sets.adopted) == 0 {
			return
		}
		gone := slices.Collect(maps.Keys(g.sets.adopted))
		clear(g.sets.adopted)
		if err := g.change(gone, true); err != nil {
			g.log.Warn("leftovers of an earlier process stay in a walled garden", zap.Error(err))
		}
	})
}

// Reload puts other gardens in force. Who is in a garden that is no more stays behind
// its last rules.
func (g *Gardens) Reload(gardens []Garden, build string) error {
	var err error
	g.order(func() {
		g.state.Lock()
		defer g.state.Unlock()
		had := g.cfg.Gardens
		g.cfg.Gardens, g.cfg.Build = g.stillNeeded(gardens), build
		if len(g.cfg.Gardens) == 0 {
			if len(had) > 0 {
				err = g.forget()
			}
			g.inForce.Store(&[]string{})
			return
		}
		err = g.rebuildLocked()
		var names []string
		for i := range gardens {
			names = append(names, gardens[i].Name)
		}
		g.inForce.Store(&names)
	})
	return err
}

// stillNeeded adds to gardens those that are in use.
func (g *Gardens) stillNeeded(gardens []Garden) []Garden {
	out := slices.Clone(gardens)
	for _, m := range g.sets.bySlot {
		known := func(x Garden) bool { return x.Name == m.garden }
		if slices.ContainsFunc(out, known) {
			continue
		}
		if i := slices.IndexFunc(g.cfg.Gardens, known); i >= 0 {
			out = append(out, g.cfg.Gardens[i])
		}
	}
	return out
}

// forget removes the table.
func (g *Gardens) forget() error {
	conn, err := g.cfg.Dial()
	if err != nil {
		return err
	}
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == tableName }) {
		return nil
	}
	conn.DelTable(table())
	return conn.Flush()
}

// keep makes the table anew when it is gone, or when it could not be made before.
func (g *Gardens) keep() {
	g.state.Lock()
	defer g.state.Unlock()
	if len(g.cfg.Gardens) == 0 {
		return
	}
	have, err := g.counters()
	if err == nil && g.broken() == nil && len(have) >= len(g.cfg.Gardens)*len(countersOf("")) {
		return
	}
	was := g.broken()
	if err := g.rebuildLocked(); err != nil {
		if was == nil {
			g.log.Error("walled gardens do not work: nobody gets in", zap.Error(err))
		}
		return
	}
	g.log.Warn("the rules of the walled gardens were gone and are made anew")
}
