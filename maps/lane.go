package maps

import (
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
)

// noPlace is where a session is that has no path.
const noPlace = ^uint32(0)

// lane is one direction's paths, and which of its places are taken. A key K (ids, or
// an address) leads to a place, its home. Whose home is taken already gets another
// place, and an entry in strays.
type lane[K interface {
	comparable
	fmt.Stringer
}] struct {
	mapped[kernelLnsPath]
	strays *ebpf.Map
	keyOf  func(*Policy) (K, bool)
	// lead tells where a key leads, and settle too, which may lay out room for it;
	// false for a key that leads nowhere.
	lead, settle func(K) (uint32, bool)
	sessions     []kernelLnsSession

	at   []uint32 // place by slot; noPlace; read by readUsage without a lock
	used []uint64 // a bit for each place
	next int      // the word of used that the search for any place begins with
	odd  map[K]uint32
}

// open maps the lane into memory; it has room for the slots of sessions.
func (l *lane[K]) open(paths, strays *ebpf.Map, sessions []kernelLnsSession) (err error) {
	if l.mapped, err = newMapped[kernelLnsPath](paths); err != nil {
		return err
	}
	l.strays, l.sessions, l.odd = strays, sessions, make(map[K]uint32)
	l.used = make([]uint64, (len(l.values)+63)/64)
	if rest := len(l.values) % 64; rest != 0 {
		l.used[len(l.used)-1] = ^uint64(0) << rest
	}
	l.at = make([]uint32, len(sessions))
	for i := range l.at {
		l.at[i] = noPlace
	}
	return nil
}

func (l *lane[K]) taken(place uint32) bool { return l.used[place/64]>>(place%64)&1 != 0 }
func (l *lane[K]) take(place uint32)       { l.used[place/64] |= 1 << (place % 64) }
func (l *lane[K]) free(place uint32)       { l.used[place/64] &^= 1 << (place % 64) }

// any finds a place that is free.
func (l *lane[K]) any() (uint32, bool) {
	for i := range l.used {
		at := (l.next + i) % len(l.used)
		if w := ^l.used[at]; w != 0 {
			l.next = at
			return uint32(at*64 + bits.TrailingZeros64(w)), true
		}
	}
	return 0, false
}

// holds reports whether the key leads to a session already.
func (l *lane[K]) holds(key K) bool {
	if _, ok := l.odd[key]; ok {
		return true
	}
	place, ok := l.lead(key)
	if !ok || !l.taken(place) {
		return false
	}
	there, ok := l.keyOf(&l.sessions[l.values[place].Slot])
	return ok && there == key
}

// seat takes a place for a session and writes its path there, closed. It may have
// another place at the same time.
func (l *lane[K]) seat(slot uint32, p *Policy) (place uint32, err error) {
	key, has := l.keyOf(p)
	home, ok := uint32(0), false
	if has {
		if l.holds(key) {
			return noPlace, fmt.Errorf("%v: %w", key, ErrInUse)
		}
		home, ok = l.settle(key)
	}
	if ok && !l.taken(home) {
		place = home
	} else if place, ok = l.any(); !ok {
		return noPlace, ErrFull
	} else if has {
		if err := l.strays.Update(&key, place, ebpf.UpdateNoExist); err != nil {
			return noPlace, fmt.Errorf("%v: %w", key, classify(err))
		}
		l.odd[key] = place
	}
	l.take(place)
	l.values[place] = kernelLnsPath{}
	l.write(place, slot, p)
	return place, nil
}

// write writes the daemon's words of a path but for the first.
func (l *lane[K]) write(place, slot uint32, p *Policy) {
	v := &l.values[place]
	v.Flags = pathFlags(p)
	v.TunnelId, v.SessionId = p.TunnelId, p.SessionId
	v.PeerTunnelId, v.PeerSessionId = p.PeerTunnelId, p.PeerSessionId
	v.Local, v.Peer, v.LocalPort, v.PeerPort = p.Local, p.Peer, p.LocalPort, p.PeerPort
	v.Address, v.Mtu, v.ClampMss = p.Address, p.Mtu, p.ClampMss
	v.Slot = slot
}

// pathFlags are a session's flags as they stand in its paths.
func pathFlags(p *Policy) kernelLnsFlag {
	if p.Vrf != 0 {
		return p.Flags | flagVRF
	}
	return p.Flags &^ flagVRF
}

const flagVRF = kernelLnsFlagLNS_VRF

// setState writes the first word of the slot's path, ordered after everything
// written before it.
func (l *lane[K]) setState(slot uint32, state kernelLnsState, tos uint8) {
	if place := l.at[slot]; place != noPlace {
		atomic.StoreUint32(l.word(place), uint32(state)|uint32(tos)<<8)
	}
}

func (l *lane[K]) word(place uint32) *uint32 {
	return (*uint32)(unsafe.Pointer(&l.values[place]))
}

// hide takes the way to a place away.
func (l *lane[K]) hide(place uint32, p *Policy) error {
	key, has := l.keyOf(p)
	if at, odd := l.odd[key]; !has || !odd || at != place {
		return nil
	}
	delete(l.odd, key)
	return deleteQuietly(l.strays, &key)
}

// leave gives back a place that is hidden and closed and that no packet under way
// sees any more.
func (l *lane[K]) leave(place uint32) {
	l.values[place] = kernelLnsPath{}
	l.free(place)
}

// count adds what the path of a slot has counted to f.
func (l *lane[K]) count(slot uint32, f *Flow) {
	place := atomic.LoadUint32(&l.at[slot])
	if place == noPlace {
		return
	}
	p := &l.values[place]
	packets, bytes, seen := atomic.LoadUint64(&p.Packets), atomic.LoadUint64(&p.Bytes), atomic.LoadUint64(&p.LastSeen)
	// The session may have been removed meanwhile, and the place be another's.
	if atomic.LoadUint32(&l.at[slot]) == place && atomic.LoadUint32(&p.Slot) == slot {
		f.Packets, f.Bytes, f.LastSeen = f.Packets+packets, f.Bytes+bytes, max(f.LastSeen, seen)
	}
}

// carry moves what the program has counted from one place to another.
func (l *lane[K]) carry(from, to uint32) {
	old, p := &l.values[from], &l.values[to]
	p.Packets, p.Bytes, p.LastSeen = old.Packets, old.Bytes, old.LastSeen
}

// adopt takes over the paths that an earlier process left, of sessions that are
// installed, and shuts the others; they are left once no packet sees them.
func (l *lane[K]) adopt(isOpen func(slot uint32) bool) (shut []uint32, err error) {
	var errs []error
	for i := range l.values {
		v, place := &l.values[i], uint32(i)
		if v.Slot == 0 && *l.word(place) == 0 {
			continue
		}
		l.take(place)
		fits := v.Slot != 0 && int(v.Slot) < len(l.at) && isOpen(v.Slot) && l.at[v.Slot] == noPlace
		if !fits || !isOf(v, &l.sessions[v.Slot]) {
			atomic.StoreUint32(l.word(place), 0)
			shut = append(shut, place)
			continue
		}
		l.at[v.Slot] = place
		errs = append(errs, l.lure(place, &l.sessions[v.Slot]))
	}
	return shut, errors.Join(errs...)
}

// isOf reports whether a path is that of a session, and not what is left of another.
func isOf(v *kernelLnsPath, s *Policy) bool {
	return v.TunnelId == s.TunnelId && v.SessionId == s.SessionId && v.Address == s.Address
}

// lure makes the session's key lead to its place, where it does not by itself.
func (l *lane[K]) lure(place uint32, s *Policy) error {
	key, has := l.keyOf(s)
	if home, ok := l.lead(key); !has || ok && home == place {
		return nil
	}
	l.odd[key] = place
	return l.strays.Put(&key, place)
}

// sweep takes out of strays what leads to no session's place.
func (l *lane[K]) sweep() error {
	var stale []K
	err := stray(l.strays, &stale, func(place uint32, key K) bool {
		at, ok := l.odd[key]
		return ok && at == place
	})
	if err != nil {
		return err
	}
	return takeOut(l.strays, stale)
}
