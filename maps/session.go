package maps

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/cilium/ebpf"
)

// Policy is what the kernel holds of a session: ids, addresses (network order),
// ports and lengths (host order), flags. State, Net6, Downlink and the flags FlagRouted,
// FlagIPv6, FlagRouted6, FlagOuter6 and those of throttling and filters are set by
// this package.
type Policy = kernelLnsSession

// Flags of a Policy.
const (
	FlagLength         = kernelLnsFlagLNS_LENGTH        // write the L2TP Length field
	FlagSequence       = kernelLnsFlagLNS_SEQUENCE      // data has sequence numbers
	FlagOuter6         = kernelLnsFlagLNS_OUTER6        // the peer speaks IPv6
	FlagNumbered       = kernelLnsFlagLNS_NUMBERED      // counted in Sequence; else its data is left to the slow path
	FlagAddressControl = kernelLnsFlagLNS_ADDR_CONTROL  // write FF 03
	FlagPFC            = kernelLnsFlagLNS_PFC           // write a one-byte PPP protocol
	FlagUDPChecksum    = kernelLnsFlagLNS_UDP_CHECKSUM  // write the outer UDP checksum
	FlagDontFragment   = kernelLnsFlagLNS_DONT_FRAGMENT // set DF in the outer header
	FlagRouted         = kernelLnsFlagLNS_ROUTED        // has routes
	FlagEcho           = kernelLnsFlagLNS_ECHO          // LCP Echo-Requests are answered with Magic
	FlagIPv6           = kernelLnsFlagLNS_IPV6          // has IPv6 prefixes
	FlagCopyDSCP       = kernelLnsFlagLNS_COPY_DSCP     // outer DSCP is the inner one
	FlagECN            = kernelLnsFlagLNS_ECN           // ECN through the tunnel
	FlagRouted6        = kernelLnsFlagLNS_ROUTED6       // has IPv6 prefixes besides Net6
)

// Session is one session as it is installed.
type Session struct {
	// Slot is 1..Config.Sessions.
	Slot   uint32
	Policy Policy
	// Routes are IPv4 prefixes routed to the subscriber besides its address.
	Routes []netip.Prefix
	// Local6 and Peer6 are both ends of a tunnel over IPv6, whose sessions all have
	// the same; the zero value takes those of Policy.
	Local6, Peer6 netip.Addr
	// Prefixes6 are the IPv6 prefixes that are the subscriber's: the /64 of its
	// link, delegated ones, single addresses. The first /64 is found fastest,
	// and nothing within it can be another session's.
	Prefixes6 []netip.Prefix
	// FilterUp and FilterDown name the access lists that packets must pass; "" lets
	// all pass. They can't be read back.
	FilterUp, FilterDown string
	// Up limits what the subscriber sends, Down what it receives. They can't be
	// read back.
	Up, Down Limit
}

// Install puts a session into its slot, or replaces what is there, keeping its
// counters. It takes effect as a whole or, on error, not at all: then a session
// that was there before is still there. An address of 0.0.0.0 is not entered.
//
// While a session is replaced its packets take the slow path.
func (m *Maps) Install(s Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.Slot == 0 || s.Slot > m.cfg.Sessions {
		return fmt.Errorf("install: slot %d: %w", s.Slot, ErrSlot)
	}
	if len(s.Prefixes6) > 0 && !m.cfg.IPv6 {
		return fmt.Errorf("install: slot %d: %w", s.Slot, ErrNoIPv6)
	}
	if s.Peer6.IsValid() && !m.cfg.Outer6 {
		return fmt.Errorf("install: slot %d: %w", s.Slot, ErrNoOuter6)
	}
	routes, err := s.prepare()
	if err != nil {
		return fmt.Errorf("install: slot %d: %w", s.Slot, err)
	}
	indices, err := m.filterIndices(s.FilterUp, s.FilterDown)
	if err != nil {
		return fmt.Errorf("install: slot %d: %w", s.Slot, err)
	}
	s.Policy.setFilters(indices)
	limits := [2]Limit{s.Up, s.Down}
	m.putEnds(&s)
	if m.isOpen(s.Slot) {
		err = m.replace(s.Slot, s.Policy, routes, limits)
	} else {
		err = m.installNew(s.Slot, s.Policy, routes, limits)
	}
	if err != nil {
		return fmt.Errorf("install: slot %d: %w", s.Slot, err)
	}
	return nil
}

// prepare fills in what this package sets of the policy, and returns the routes.
func (s *Session) prepare() (routeKeys, error) {
	p := &s.Policy
	net, rest := ownNet6(s.Prefixes6)
	var routes routeKeys
	var err error
	if routes.v4, err = prefixes(p.Vrf, s.Routes); err != nil {
		return routeKeys{}, err
	}
	if routes.v6, err = prefixes6(p.Vrf, rest); err != nil {
		return routeKeys{}, err
	}
	p.State, p.Net6 = kernelLnsStateLNS_CLOSED, net
	p.Flags &^= FlagOuter6
	if s.Peer6.IsValid() {
		p.Flags |= FlagOuter6
	}
	p.Flags &^= FlagRouted | FlagIPv6 | FlagRouted6 | flagThrottleUp | flagThrottleDown
	if s.Up.Bits > 0 {
		p.Flags |= flagThrottleUp
	}
	if s.Down.Bits > 0 {
		p.Flags |= flagThrottleDown
	}
	if len(routes.v4) > 0 {
		p.Flags |= FlagRouted
	}
	if len(s.Prefixes6) > 0 {
		p.Flags |= FlagIPv6
	}
	if len(routes.v6) > 0 {
		p.Flags |= FlagRouted6
	}
	return routes, nil
}

// installNew fills a slot that no key leads to. The state is opened last, so
// that a process that dies on the way leaves a slot that forwards nothing and
// that the next one sweeps.
func (m *Maps) installNew(slot uint32, p Policy, routes routeKeys, limits [2]Limit) error {
	m.usage.values[slot] = kernelLnsUsage{}
	if m.cfg.IPv6 {
		m.shares.values[slot] = kernelLnsShare6{}
	}
	m.lines.values[slot] = kernelLnsLine{}
	m.clearShapers(slot)
	m.setLimits(slot, limits)
	if err := m.seat(slot, &p); err != nil {
		return err
	}
	m.sessions.values[slot] = p
	if err := m.addKeys(slot, keysOf(p, routes)); err != nil {
		return errors.Join(err, m.hide(slot, &p), m.leave(slot))
	}
	m.remember(slot, routes)
	if err := m.putFacts(); err != nil {
		m.remember(slot, routeKeys{})
		return errors.Join(err, m.removeKeys(slot, keysOf(p, routes)), m.hide(slot, &p), m.leave(slot))
	}
	m.setState(slot, kernelLnsStateLNS_OPEN)
	return nil
}

// replace changes a slot in use. It is closed meanwhile, so that no packet sees
// one half of the old policy and one of the new; but not where services alone
// change, so that a new rate punts nothing.
func (m *Maps) replace(slot uint32, p Policy, routes routeKeys, limits [2]Limit) error {
	old := m.sessions.values[slot]
	was, will := keysOf(old, m.routes[slot]), keysOf(p, routes)
	p.Downlink = old.Downlink
	if onlyServices(old, p) && was.equal(will) {
		m.setLimits(slot, limits)
		m.changeServices(slot, p)
		return nil
	}
	m.setState(slot, kernelLnsStateLNS_CLOSED)
	defer m.setState(slot, kernelLnsStateLNS_OPEN)
	if err := m.grace.wait(); err != nil {
		return err
	}
	added := will.without(was)
	moved, err := m.beginMove(slot, &old, &p)
	if err != nil {
		return err
	}
	if err := m.addKeys(slot, added); err != nil {
		return errors.Join(err, m.undoMove(moved))
	}
	before := m.routes[slot]
	m.remember(slot, routes)
	if err := m.putFacts(); err != nil {
		m.remember(slot, before)
		return errors.Join(err, m.removeKeys(slot, added), m.undoMove(moved))
	}
	m.setLimits(slot, limits)
	err = m.endMove(moved)
	p.Downlink = m.paths.down.at[slot]
	m.sessions.values[slot] = p
	return errors.Join(err, m.removeKeys(slot, was.without(will)))
}

// onlyServices reports whether a policy differs from another in services alone, or
// not at all.
func onlyServices(old, p Policy) bool {
	p.State = old.State
	p.FilterUp, p.FilterDown = old.FilterUp, old.FilterDown
	old.Flags &^= serviceFlags
	p.Flags &^= serviceFlags
	return p == old
}

// Remove takes sessions out and returns what each has counted, to the last
// packet: it waits until no packet of them is under way. Slots that hold no
// session are passed over and count nothing. On error the slots may be partly
// removed; none of them forwards.
func (m *Maps) Remove(slots []uint32) ([]Usage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	var open []int
	for i, slot := range slots {
		if slot == 0 || slot > m.cfg.Sessions {
			errs = append(errs, fmt.Errorf("remove: slot %d: %w", slot, ErrSlot))
			continue
		}
		if !m.isOpen(slot) {
			continue
		}
		m.setState(slot, kernelLnsStateLNS_CLOSED)
		open = append(open, i)
		p := m.sessions.values[slot]
		if err := errors.Join(m.hide(slot, &p), m.removeKeys(slot, keysOf(p, m.routes[slot]))); err != nil {
			errs = append(errs, fmt.Errorf("remove: slot %d: %w", slot, err))
		}
		m.remember(slot, routeKeys{})
	}
	usage := make([]Usage, len(slots))
	if len(open) > 0 {
		errs = append(errs, m.putFacts(), m.grace.wait())
	}
	for _, i := range open {
		usage[i] = m.readUsage(slots[i])
		errs = append(errs, m.leave(slots[i]))
	}
	return usage, errors.Join(errs...)
}

// All yields the installed sessions by slot, for a daemon that goes on with the
// maps of an earlier one. The maps must not be changed meanwhile.
func (m *Maps) All() iter.Seq[Session] {
	return func(yield func(Session) bool) {
		for slot := uint32(1); slot <= m.cfg.Sessions; slot++ {
			if s, ok := m.Session(slot); ok && !yield(s) {
				return
			}
		}
	}
}

// Session returns what is installed in slot.
func (m *Maps) Session(slot uint32) (Session, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slot == 0 || slot > m.cfg.Sessions || !m.isOpen(slot) {
		return Session{}, false
	}
	s := Session{Slot: slot, Policy: m.sessions.values[slot]}
	s.Policy.Downlink = 0 // nobody's but ours
	if s.Policy.Flags&FlagOuter6 != 0 {
		ends := m.ends.values[s.Policy.TunnelId]
		s.Local6, s.Peer6 = netip.AddrFrom16(ends.Local), netip.AddrFrom16(ends.Peer)
	}
	for _, p := range m.routes[slot].v4 {
		bits := int(p.Prefixlen) - vrfBits
		s.Routes = append(s.Routes, netip.PrefixFrom(netip.AddrFrom4(p.Addr), bits))
	}
	s.Prefixes6 = prefixes6Of(s.Policy.Net6, m.routes[slot].v6)
	return s, true
}

// Trace returns what a slot that holds no session still tells of the last one it held,
// until the next is installed: its ids and all that it has counted.
func (m *Maps) Trace(slot uint32) (Policy, Usage, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slot == 0 || slot > m.cfg.Sessions || m.isOpen(slot) || m.sessions.values[slot].TunnelId == 0 {
		return Policy{}, Usage{}, false
	}
	return m.sessions.values[slot], m.readUsage(slot), true
}

func (m *Maps) isOpen(slot uint32) bool {
	return m.sessions.values[slot].State == kernelLnsStateLNS_OPEN
}

// setState opens or closes a slot, ordered after everything written before it. The
// slot's own state is the last to open and the first to close: a slot that is open is
// whole.
func (m *Maps) setState(slot uint32, state kernelLnsState) {
	s := &m.sessions.values[slot]
	own := (*uint32)(&s.State)
	if state != kernelLnsStateLNS_OPEN {
		atomic.StoreUint32(own, uint32(state))
	}
	m.paths.up.setState(slot, state, s.OuterTos)
	m.paths.down.setState(slot, state, s.OuterTos)
	if state == kernelLnsStateLNS_OPEN {
		atomic.StoreUint32(own, uint32(state))
	}
}

// remember keeps the routes of a slot, which no array in the kernel holds.
func (m *Maps) remember(slot uint32, routes routeKeys) {
	before := m.routes[slot]
	m.nroute.v4 += uint32(len(routes.v4)) - uint32(len(before.v4))
	m.nroute.v6 += uint32(len(routes.v6)) - uint32(len(before.v6))
	if len(routes.v4)+len(routes.v6) == 0 {
		delete(m.routes, slot)
		return
	}
	m.routes[slot] = routes
}

// classify turns the kernel's answers to an insertion into this package's errors.
func classify(err error) error {
	switch {
	case errors.Is(err, ebpf.ErrKeyExist):
		return ErrInUse
	case errors.Is(err, syscall.E2BIG), errors.Is(err, syscall.ENOSPC):
		return ErrFull
	}
	return err
}

// without returns the elements of list that are not in other.
func without[T comparable](list, other []T) []T {
	return slices.DeleteFunc(slices.Clone(list), func(v T) bool { return slices.Contains(other, v) })
}
