package maps

import (
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"github.com/cilium/ebpf"
)

// vrfBits is how many bits of a routed prefix's key stand before the address.
const vrfBits = int(unsafe.Sizeof(prefix{}.Vrf)) * 8

// keys are the entries that lead to a slot.
type keys struct {
	calls  []kernelLnsCall
	hosts  []kernelLnsHost
	routes []prefix
}

// keysOf returns the keys of a session.
func keysOf(p Policy, routes []prefix) keys {
	k := keys{
		calls:  []kernelLnsCall{{TunnelId: p.TunnelId, SessionId: p.SessionId}},
		routes: routes,
	}
	if p.Address != [4]uint8{} {
		k.hosts = []kernelLnsHost{{Vrf: p.Vrf, Addr: p.Address}}
	}
	return k
}

// without returns the keys of k that are not in o.
func (k keys) without(o keys) keys {
	return keys{
		without(k.calls, o.calls),
		without(k.hosts, o.hosts),
		without(k.routes, o.routes),
	}
}

// addKeys enters all of k, or nothing: no key may be there already.
func (m *Maps) addKeys(slot uint32, k keys) error {
	var done keys
	err := func() error {
		for _, key := range k.routes {
			if err := m.objs.LnsRoutes.Update(&key, slot, ebpf.UpdateNoExist); err != nil {
				return fmt.Errorf("route %v/%d: %w", netip.AddrFrom4(key.Addr), int(key.Prefixlen)-vrfBits, classify(err))
			}
			done.routes = append(done.routes, key)
		}
		for _, key := range k.hosts {
			if err := m.objs.LnsHosts.Update(&key, slot, ebpf.UpdateNoExist); err != nil {
				return fmt.Errorf("address %v: %w", netip.AddrFrom4(key.Addr), classify(err))
			}
			done.hosts = append(done.hosts, key)
		}
		for _, key := range k.calls {
			if err := m.objs.LnsCalls.Update(&key, slot, ebpf.UpdateNoExist); err != nil {
				return fmt.Errorf("tunnel %d session %d: %w", key.TunnelId, key.SessionId, classify(err))
			}
			done.calls = append(done.calls, key)
		}
		return nil
	}()
	if err != nil {
		return errors.Join(err, m.removeKeys(done))
	}
	return nil
}

// removeKeys takes out all of k; one that is missing is no error.
func (m *Maps) removeKeys(k keys) error {
	var errs []error
	remove := func(from *ebpf.Map, key any) {
		if err := from.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, fmt.Errorf("%s: %w", from, err))
		}
	}
	for i := range k.calls {
		remove(m.objs.LnsCalls, &k.calls[i])
	}
	for i := range k.hosts {
		remove(m.objs.LnsHosts, &k.hosts[i])
	}
	for i := range k.routes {
		remove(m.objs.LnsRoutes, &k.routes[i])
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
	var stale keys
	var slot uint32
	open := func() bool { return slot != 0 && slot <= m.cfg.Sessions && m.isOpen(slot) }

	var call kernelLnsCall
	calls := m.objs.LnsCalls.Iterate()
	for calls.Next(&call, &slot) {
		if p := (kernelLnsCall{}); open() {
			p.TunnelId, p.SessionId = m.sessions.values[slot].TunnelId, m.sessions.values[slot].SessionId
			if p == call {
				continue
			}
		}
		stale.calls = append(stale.calls, call)
	}
	var host kernelLnsHost
	hosts := m.objs.LnsHosts.Iterate()
	for hosts.Next(&host, &slot) {
		if p := (kernelLnsHost{}); open() {
			p.Vrf, p.Addr = m.sessions.values[slot].Vrf, m.sessions.values[slot].Address
			if p == host {
				continue
			}
		}
		stale.hosts = append(stale.hosts, host)
	}
	var route prefix
	routes := m.objs.LnsRoutes.Iterate()
	for routes.Next(&route, &slot) {
		if open() {
			m.remember(slot, append(m.routes[slot], route))
			continue
		}
		stale.routes = append(stale.routes, route)
	}
	if err := errors.Join(calls.Err(), hosts.Err(), routes.Err()); err != nil {
		return fmt.Errorf("read the pinned maps: %w", err)
	}
	return m.removeKeys(stale)
}
