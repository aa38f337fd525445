package maps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cilium/ebpf"
)

// homeSize is LNS_HOMES of the C sources.
const homeSize = 8

// homes6 is how many homes there are for so many sessions: five each, so that
// chance fills few of them.
func homes6(sessions uint32) uint32 { return sessions/5 + 1 }

// strays6 is how many sessions may find their home full: six times what chance does,
// and all of a few.
func strays6(sessions uint32) uint32 { return max(sessions/8, min(sessions, 1024)) }

// homes finds sessions by their own /64: a hash table of slots, in memory shared with
// the program, and strays for what finds no place in it.
type homes struct {
	mapped[kernelLnsHome6]
	strays   *ebpf.Map
	sessions []kernelLnsSession
	odd      map[kernelLnsNet6]uint32 // what strays holds
}

func (h *homes) open(table, strays *ebpf.Map, sessions []kernelLnsSession) (err error) {
	h.strays, h.sessions, h.odd = strays, sessions, make(map[kernelLnsNet6]uint32)
	h.mapped, err = newMapped[kernelLnsHome6](table)
	return err
}

// mixNet6 is net6_mix of the C sources.
func mixNet6(k kernelLnsNet6) uint64 {
	v := binary.NativeEndian.Uint64(k.Net[:]) ^ uint64(k.Vrf)<<32
	v = (v ^ v>>33) * 0xFF51AFD7ED558CCD
	v = (v ^ v>>33) * 0xC4CEB9FE1A85EC53
	return v ^ v>>33
}

// entry is how a key that leads to slot is written.
func (h *homes) entry(slot uint32, k kernelLnsNet6) (home *kernelLnsHome6, entry uint64) {
	mixed := mixNet6(k)
	place := mixed >> 32 * uint64(len(h.values)) >> 32
	return &h.values[place], mixed&(1<<32-1) | uint64(slot)<<32
}

// net6Of is the key of a session's own /64, false for a session without.
func net6Of(s *Policy) (kernelLnsNet6, bool) {
	return kernelLnsNet6{Vrf: s.Vrf, Net: s.Net6}, s.Net6 != [8]uint8{}
}

// enter makes keys lead to slot, until one does not go in; those that did are added
// to done.
func (h *homes) enter(slot uint32, list []kernelLnsNet6, done *[]kernelLnsNet6) error {
	for _, k := range list {
		if err := h.put(slot, k); err != nil {
			return fmt.Errorf("%v: %w", k, err)
		}
		*done = append(*done, k)
	}
	return nil
}

func (h *homes) put(slot uint32, k kernelLnsNet6) error {
	home, entry := h.entry(slot, k)
	free := -1
	for i, there := range home.Entries {
		other := uint32(there >> 32)
		switch {
		case other == 0:
			free = i
		case other != slot && uint32(there) == uint32(entry):
			if own, _ := net6Of(&h.sessions[other]); own == k {
				return ErrInUse
			}
		}
	}
	if _, odd := h.odd[k]; odd {
		return ErrInUse
	}
	if free >= 0 {
		atomic.StoreUint64(&home.Entries[free], entry)
		return nil
	}
	if err := h.strays.Update(&k, slot, ebpf.UpdateNoExist); err != nil {
		return classify(err)
	}
	h.odd[k] = slot
	return nil
}

// takeOut makes keys lead to slot no more; one that does not is no error.
func (h *homes) takeOut(slot uint32, list []kernelLnsNet6) error {
	var errs []error
	for _, k := range list {
		if e := h.find(slot, k); e != nil {
			atomic.StoreUint64(e, 0)
		} else if h.odd[k] == slot {
			delete(h.odd, k)
			errs = append(errs, deleteQuietly(h.strays, &k))
		}
	}
	return errors.Join(errs...)
}

// find returns where the key's home leads to slot, or nil.
func (h *homes) find(slot uint32, k kernelLnsNet6) *uint64 {
	home, entry := h.entry(slot, k)
	for i := range home.Entries {
		if home.Entries[i] == entry {
			return &home.Entries[i]
		}
	}
	return nil
}

// sweep goes on with what an earlier process left: it takes out what leads to a slot
// that policy does not know, or to a session of another /64, and makes every
// session's lead to it.
func (h *homes) sweep(policy func(slot uint32) (Policy, bool)) error {
	for i := range h.values {
		for j := range h.values[i].Entries {
			e := &h.values[i].Entries[j]
			slot := uint32(*e >> 32)
			if s, open := policy(slot); open {
				own, _ := net6Of(&s)
				if home, entry := h.entry(slot, own); home == &h.values[i] && entry == *e {
					continue
				}
			}
			atomic.StoreUint64(e, 0)
		}
	}
	var stale []kernelLnsNet6
	err := stray(h.strays, &stale, func(slot uint32, k kernelLnsNet6) bool {
		s, open := policy(slot)
		own, _ := net6Of(&s)
		if !open || own != k || h.find(slot, k) != nil {
			return false
		}
		h.odd[k] = slot
		return true
	})
	if err != nil {
		return err
	}
	return errors.Join(takeOut(h.strays, stale), h.restore(policy))
}

// restore makes the /64 of each session lead to it, where it does not.
func (h *homes) restore(policy func(slot uint32) (Policy, bool)) error {
	var errs []error
	for slot := range h.sessions {
		s, open := policy(uint32(slot))
		k, has := net6Of(&s)
		if _, odd := h.odd[k]; open && has && !odd && h.find(uint32(slot), k) == nil {
			errs = append(errs, h.put(uint32(slot), k))
		}
	}
	return errors.Join(errs...)
}
