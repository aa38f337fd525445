package maps

import (
	"errors"
	"sync/atomic"
)

// Constants of the C sources.
const (
	callMix   uint32 = 0x9E3779B1 // CALL_MIX
	spareFrom uint32 = 8          // an eighth more places than sessions
)

// CallPlaces is how many places ids choose from, with room for sessions.
func CallPlaces(sessions uint32) uint32 { return sessions + sessions/spareFrom + 1 }

// strayCalls is how many sessions may have ids that don't lead to their place. Of ids
// that were drawn without asking, a third do not when all places are taken.
func strayCalls(sessions uint32) uint32 { return max(sessions/2, min(sessions, 1<<16)) }

// CallPlace is the place that ids lead to among places. A session whose place is free
// when it is installed is found fastest; who draws ids may look for such.
func CallPlace(places uint32, tunnelID, sessionID uint16) uint32 {
	mixed := (uint32(tunnelID)<<16 | uint32(sessionID)) * callMix
	return uint32(uint64(mixed) * uint64(places) >> 32)
}

// hostPlaces is how many places there are for addresses: whole blocks.
func hostPlaces(sessions uint32) uint32 {
	return (sessions + sessions/spareFrom + 2*blockSize - 1) / blockSize * blockSize
}

// ways are both lanes.
type ways struct {
	up     lane[kernelLnsCall]
	down   lane[kernelLnsHost]
	blocks blocks
}

// callOf is what leads to a session from its peer.
func callOf(s *Policy) kernelLnsCall {
	return kernelLnsCall{TunnelId: s.TunnelId, SessionId: s.SessionId}
}

// hostOf is what leads to a session from the routed side, false for a session without
// an address.
func hostOf(s *Policy) (kernelLnsHost, bool) {
	return kernelLnsHost{Vrf: s.Vrf, Addr: s.Address}, s.Address != [4]uint8{}
}

func (m *Maps) openPaths() (err error) {
	p := &m.paths
	if err := p.up.open(m.objs.LnsUplinks, m.objs.LnsCalls, m.sessions.values); err != nil {
		return err
	}
	if err := p.down.open(m.objs.LnsDownlinks, m.objs.LnsHosts, m.sessions.values); err != nil {
		return err
	}
	if p.blocks.mapped, err = newMapped[kernelLnsPage](m.objs.LnsBlocks); err != nil {
		return err
	}
	places := uint32(len(p.up.values))
	p.up.keyOf = func(s *Policy) (kernelLnsCall, bool) { return callOf(s), true }
	p.up.lead = func(c kernelLnsCall) (uint32, bool) { return CallPlace(places, c.TunnelId, c.SessionId), true }
	p.up.settle = p.up.lead
	p.down.keyOf = hostOf
	p.down.lead, p.down.settle = p.blocks.lead, p.blocks.settle
	p.blocks.free = func(block int) bool {
		const words = blockSize / 64
		return [words]uint64(p.down.used[block*words:]) == [words]uint64{}
	}
	p.blocks.open(len(p.down.values))
	return nil
}

// adoptPaths goes on with the paths of an earlier process, and gives every session
// that has none its own: those of a layout without paths, or of a process that died
// on the way.
func (m *Maps) adoptPaths() error {
	p := &m.paths
	up, err := p.up.adopt(m.isOpen)
	down, err2 := p.down.adopt(m.isOpen)
	err = errors.Join(err, err2, p.up.sweep(), p.down.sweep())
	if len(up)+len(down) > 0 {
		err = errors.Join(err, m.grace.wait())
	}
	for _, place := range up {
		p.up.leave(place)
	}
	for _, place := range down {
		p.down.leave(place)
	}
	for slot := uint32(1); slot <= m.cfg.Sessions; slot++ {
		if !m.isOpen(slot) {
			continue
		}
		if e := m.seat(slot, &m.sessions.values[slot]); e != nil {
			err = errors.Join(err, e)
			continue
		}
		m.setState(slot, kernelLnsStateLNS_OPEN)
	}
	return err
}

// seat gives a session its paths, closed, where it has none.
func (m *Maps) seat(slot uint32, s *Policy) error {
	p := &m.paths
	if p.up.at[slot] == noPlace {
		place, err := p.up.seat(slot, s)
		if err != nil {
			return err
		}
		atomic.StoreUint32(&p.up.at[slot], place)
	}
	if p.down.at[slot] == noPlace {
		place, err := p.down.seat(slot, s)
		if err != nil {
			return errors.Join(err, m.hide(slot, s), m.leave(slot))
		}
		atomic.StoreUint32(&p.down.at[slot], place)
	}
	s.Downlink = p.down.at[slot]
	return nil
}

// hide takes the ways to a session's paths away.
func (m *Maps) hide(slot uint32, s *Policy) error {
	p := &m.paths
	var errs []error
	if place := p.up.at[slot]; place != noPlace {
		errs = append(errs, p.up.hide(place, s))
	}
	if place := p.down.at[slot]; place != noPlace {
		errs = append(errs, p.down.hide(place, s))
	}
	return errors.Join(errs...)
}

// leave gives back the places of a session that no packet sees any more, and keeps
// what they have counted. It never fails.
func (m *Maps) leave(slot uint32) error {
	p, kept := &m.paths, &m.usage.values[slot]
	var up, down Flow
	p.up.count(slot, &up)
	p.down.count(slot, &down)
	if place := p.up.at[slot]; place != noPlace {
		atomic.StoreUint32(&p.up.at[slot], noPlace)
		p.up.leave(place)
	}
	if place := p.down.at[slot]; place != noPlace {
		atomic.StoreUint32(&p.down.at[slot], noPlace)
		p.down.leave(place)
	}
	for _, f := range [...]struct {
		from Flow
		to   *Flow
	}{{up, &kept.Up}, {down, &kept.Down}} {
		f.to.Packets, f.to.Bytes = f.to.Packets+f.from.Packets, f.to.Bytes+f.from.Bytes
		f.to.LastSeen = max(f.to.LastSeen, f.from.LastSeen)
	}
	return nil
}

// move is a change of the paths of a session that is closed: to another policy, which
// may lead to other places.
type move struct {
	slot     uint32
	old, new *Policy
	up, down uint32 // new places, noPlace where the old one stays
}

// beginMove takes the new places. Nothing has changed on error.
func (m *Maps) beginMove(slot uint32, old, new *Policy) (v move, err error) {
	p := &m.paths
	v = move{slot, old, new, noPlace, noPlace}
	if old.TunnelId != new.TunnelId || old.SessionId != new.SessionId {
		if v.up, err = p.up.seat(slot, new); err != nil {
			return v, err
		}
	}
	if old.Vrf != new.Vrf || old.Address != new.Address {
		if v.down, err = p.down.seat(slot, new); err != nil {
			return v, errors.Join(err, m.undoMove(v))
		}
	}
	return v, nil
}

// undoMove gives the new places back. They are closed, so nobody uses what it sees.
func (m *Maps) undoMove(v move) error {
	p := &m.paths
	var errs []error
	if v.up != noPlace {
		errs = append(errs, p.up.hide(v.up, v.new))
		p.up.leave(v.up)
	}
	if v.down != noPlace {
		errs = append(errs, p.down.hide(v.down, v.new))
		p.down.leave(v.down)
	}
	return errors.Join(errs...)
}

// endMove writes the new policy, and leaves the old places.
func (m *Maps) endMove(v move) error {
	return errors.Join(
		settleMove(&m.paths.up, v.slot, v.up, v.old, v.new),
		settleMove(&m.paths.down, v.slot, v.down, v.old, v.new),
	)
}

func settleMove[K interface {
	comparable
	String() string
}](l *lane[K], slot, place uint32, old, new *Policy) error {
	from := l.at[slot]
	if place == noPlace {
		l.write(from, slot, new)
		return nil
	}
	l.carry(from, place)
	atomic.StoreUint32(&l.at[slot], place)
	err := l.hide(from, old)
	l.leave(from)
	return err
}

// setFlags changes the flags of a slot in use, while packets pass.
func (m *Maps) setFlags(slot uint32, flags kernelLnsFlag) {
	p, s := &m.paths, &m.sessions.values[slot]
	atomic.StoreUint32((*uint32)(&s.Flags), uint32(flags))
	if place := p.up.at[slot]; place != noPlace {
		atomic.StoreUint32((*uint32)(&p.up.values[place].Flags), uint32(pathFlags(s)))
	}
	if place := p.down.at[slot]; place != noPlace {
		atomic.StoreUint32((*uint32)(&p.down.values[place].Flags), uint32(pathFlags(s)))
	}
}
