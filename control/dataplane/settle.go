package dataplane

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/maps"
)

// Left is a session that an earlier process had installed and that nobody goes on
// with.
type Left struct {
	Slot                                           uint32
	TunnelID, SessionID, PeerTunnelID, PeerSession uint16
	Address                                        netip.Addr
	// Counters are the session's, to the last packet.
	Counters session.Counters
}

// Settle brings what an earlier process has left pinned in line with what this one
// knows, before anything is programmed: sessions and tunnels that are kept stay as
// they are, with their counters, while packets flow; all others are taken out and
// returned. It returns an error for sessions that could not be kept; they are taken
// out too.
func (p *Plane) Settle(keep []session.Record, tunnels map[uint16]netip.AddrPort) ([]Left, error) {
	p.maps.KeepTunnels(tunnels)
	wanted := make(map[uint32]*session.Record, len(keep))
	for i := range keep {
		if p.cfg.eligible(&keep[i]) {
			wanted[keep[i].Slot] = &keep[i]
		}
	}
	var left []Left
	for s := range p.maps.All() {
		if r := wanted[s.Slot]; r == nil || !isOf(&s.Policy, r) {
			left = append(left, leftOf(&s))
		}
	}
	errs := []error{p.takeOut(left), p.maps.DropStrangers()}
	for _, r := range wanted {
		if err := p.maps.Install(p.cfg.entry(r)); err != nil {
			errs = append(errs, fmt.Errorf("session %d of tunnel %d: %w", r.SessionID, r.TunnelID, err))
			continue
		}
		p.worker.installed[r.Slot].Store(true)
		p.worker.installs.Add(1)
	}
	return left, errors.Join(errs...)
}

// takeOut removes sessions and fills in what they have counted.
func (p *Plane) takeOut(left []Left) error {
	var errs []error
	for some := range slices.Chunk(left, batchSize) {
		slots := make([]uint32, len(some))
		for i := range some {
			slots[i] = some[i].Slot
		}
		usage, err := p.maps.Remove(slots)
		errs = append(errs, err)
		for i := range usage {
			some[i].Counters = p.worker.clock.counters(&usage[i])
			p.worker.installed[some[i].Slot].Store(false)
		}
	}
	return errors.Join(errs...)
}

func leftOf(s *maps.Session) Left {
	return Left{
		Slot: s.Slot, TunnelID: s.Policy.TunnelId, SessionID: s.Policy.SessionId,
		PeerTunnelID: s.Policy.PeerTunnelId, PeerSession: s.Policy.PeerSessionId,
		Address: netip.AddrFrom4(s.Policy.Address),
	}
}

// Trace returns what is left of a session that an earlier process had taken out of a
// slot and perhaps not accounted for; ok is false when nothing is.
func (p *Plane) Trace(slot uint32) (l Left, ok bool) {
	policy, usage, ok := p.maps.Trace(slot)
	if !ok {
		return Left{}, false
	}
	l = leftOf(&maps.Session{Slot: slot, Policy: policy})
	l.Counters = p.worker.clock.counters(&usage)
	return l, true
}

// isOf says whether an installed session is that of the record, whatever else of it
// has changed: then its counters are too.
func isOf(p *maps.Policy, r *session.Record) bool {
	return p.TunnelId == r.TunnelID && p.SessionId == r.SessionID &&
		p.PeerTunnelId == r.PeerTunnelID && p.PeerSessionId == r.PeerSessionID
}

// Forget makes Close remove everything also with Persist: the sessions were ended.
func (p *Plane) Forget() { p.forget.Store(true) }

// openMaps goes on with what is pinned, or begins anew where that is not wanted or
// not possible.
func (p *Plane) openMaps() (*maps.Maps, error) {
	if p.cfg.PinPath != "" && !p.cfg.Persist {
		// What a killed process left would forward for sessions that nobody knows
		// any more.
		if err := maps.Unpin(p.cfg.PinPath); err != nil {
			return nil, fmt.Errorf("remove leftovers: %w", err)
		}
	}
	m, err := maps.Open(p.cfg.maps())
	if !errors.Is(err, maps.ErrIncompatible) {
		return m, err
	}
	p.log.Warn("the pinned maps do not fit and are made anew: sessions that were up have ended", zap.Error(err))
	if err := maps.Unpin(p.cfg.PinPath); err != nil {
		return nil, fmt.Errorf("remove leftovers: %w", err)
	}
	return maps.Open(p.cfg.maps())
}
