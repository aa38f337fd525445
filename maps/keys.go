package maps

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"
)

// vrfBits is how many bits of a routed prefix's key stand before the address.
const vrfBits = int(unsafe.Sizeof(prefix{}.Vrf)) * 8

// keys are the entries that lead to a slot, besides its paths.
type keys struct {
	nets6  []kernelLnsNet6
	routes routeKeys
}

// keysOf returns the keys of a session.
func keysOf(p Policy, routes routeKeys) keys {
	k := keys{routes: routes}
	if p.Net6 != [8]uint8{} {
		k.nets6 = []kernelLnsNet6{{Vrf: p.Vrf, Net: p.Net6}}
	}
	return k
}

// without returns the keys of k that are not in o.
func (k keys) without(o keys) keys {
	return keys{
		without(k.nets6, o.nets6),
		routeKeys{without(k.routes.v4, o.routes.v4), without(k.routes.v6, o.routes.v6)},
	}
}

// equal reports whether k and o are the same keys, in any order.
func (k keys) equal(o keys) bool {
	more, less := k.without(o), o.without(k)
	return more.empty() && less.empty()
}

func (k keys) empty() bool {
	return len(k.nets6)+len(k.routes.v4)+len(k.routes.v6) == 0
}

// addKeys enters all of k, or nothing: no key may be there already.
func (m *Maps) addKeys(slot uint32, k keys) error {
	var done keys
	err := errors.Join(
		enter(m.objs.LnsRoutes, slot, k.routes.v4, &done.routes.v4),
		enter(m.objs.LnsRoutes6, slot, k.routes.v6, &done.routes.v6),
		m.homes.enter(slot, k.nets6, &done.nets6),
	)
	if err != nil {
		return errors.Join(err, m.removeKeys(slot, done))
	}
	return nil
}

// enter puts keys that lead to slot into a map, until one does not go in; those
// that did are added to done.
func enter[K fmt.Stringer](into *ebpf.Map, slot uint32, list []K, done *[]K) error {
	for i := range list {
		if err := into.Update(&list[i], slot, ebpf.UpdateNoExist); err != nil {
			return fmt.Errorf("%v: %w", list[i], classify(err))
		}
		*done = append(*done, list[i])
	}
	return nil
}

// How keys are called in errors.

func (k kernelLnsCall) String() string {
	return fmt.Sprintf("tunnel %d session %d", k.TunnelId, k.SessionId)
}
func (k kernelLnsHost) String() string { return "address " + netip.AddrFrom4(k.Addr).String() }
func (k kernelLnsPrefix) String() string {
	return fmt.Sprintf("route %v/%d", netip.AddrFrom4(k.Addr), int(k.Prefixlen)-vrfBits)
}

// removeKeys takes out all of k, which lead to slot; one that is missing is no error.
func (m *Maps) removeKeys(slot uint32, k keys) error {
	return errors.Join(
		m.homes.takeOut(slot, k.nets6),
		takeOut(m.objs.LnsRoutes, k.routes.v4),
		takeOut(m.objs.LnsRoutes6, k.routes.v6),
	)
}

func takeOut[K any](from *ebpf.Map, list []K) error {
	var errs []error
	for i := range list {
		errs = append(errs, deleteQuietly(from, &list[i]))
	}
	return errors.Join(errs...)
}

// prefixes turns a session's routes into keys, without repetitions.
func prefixes(vrf uint32, routes []netip.Prefix) ([]prefix, error) {
	var out []prefix
	for _, r := range routes {
		if !r.IsValid() || !r.Addr().Is4() {
			return nil, fmt.Errorf("route %v: not an IPv4 prefix", r)
		}
		key := prefix{
			Prefixlen: uint32(vrfBits + r.Bits()),
			Vrf:       vrf,
			Addr:      r.Masked().Addr().As4(),
		}
		if len(without([]prefix{key}, out)) == 1 {
			out = append(out, key)
		}
	}
	return out, nil
}

// sweep removes keys that lead to a slot that is closed or holds another
// session, left by a process that died within Install or Remove; closes no open
// slot, and relearns the routes.
func (m *Maps) sweep() error {
	policy := func(slot uint32) (Policy, bool) {
		if slot == 0 || slot > m.cfg.Sessions || !m.isOpen(slot) {
			return Policy{}, false
		}
		return m.sessions.values[slot], true
	}
	var stale routeKeys
	err := errors.Join(
		m.homes.sweep(policy),
		stray(m.objs.LnsRoutes, &stale.v4, func(slot uint32, key prefix) bool {
			_, open := policy(slot)
			if r := m.routes[slot]; open {
				m.remember(slot, routeKeys{append(slices.Clip(r.v4), key), r.v6})
			}
			return open
		}),
		stray(m.objs.LnsRoutes6, &stale.v6, func(slot uint32, key prefix6) bool {
			_, open := policy(slot)
			if r := m.routes[slot]; open {
				m.remember(slot, routeKeys{r.v4, append(slices.Clip(r.v6), key)})
			}
			return open
		}),
	)
	if err != nil {
		return fmt.Errorf("read the pinned maps: %w", err)
	}
	return errors.Join(takeOut(m.objs.LnsRoutes, stale.v4), takeOut(m.objs.LnsRoutes6, stale.v6))
}

// stray adds to list the keys of a map that do not belong where they lead.
func stray[K any](in *ebpf.Map, list *[]K, belongs func(slot uint32, key K) bool) error {
	var key K
	var slot uint32
	all := in.Iterate()
	for all.Next(&key, &slot) {
		if !belongs(slot, key) {
			*list = append(*list, key)
		}
	}
	return all.Err()
}
