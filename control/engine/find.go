package engine

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/lnsd/lnsd/control/session"
)

// Find returns the sessions that x names, those on their way out left out.
func (e *Engine) Find(ctx context.Context, x session.Selector) ([]session.Ref, error) {
	if x.Empty() {
		return nil, nil
	}
	some, indexed := e.dir.candidates(&x, e.epoch)
	if indexed {
		return e.matching(ctx, &x, some)
	}
	var found []session.Ref
	for i := range e.shards {
		var part []listed
		if err := e.on(ctx, i, func(s *Shard) { part = s.list() }); err != nil {
			return nil, err
		}
		for some := range slices.Chunk(part, chunk) {
			refs := make([]session.Ref, 0, len(some))
			for _, l := range some {
				refs = append(refs, l.ref)
			}
			refs, err := e.matching(ctx, &x, refs)
			if err != nil {
				return nil, err
			}
			found = append(found, refs...)
		}
	}
	return found, nil
}

// matching returns those of refs that x names.
func (e *Engine) matching(ctx context.Context, x *session.Selector, refs []session.Ref) ([]session.Ref, error) {
	var found []session.Ref
	for i := range e.shards {
		mine := slices.DeleteFunc(slices.Clone(refs), func(r session.Ref) bool { return e.shardOf(r.TunnelID) != i })
		if len(mine) == 0 {
			continue
		}
		var hits []session.Ref
		err := e.on(ctx, i, func(s *Shard) {
			for _, r := range mine {
				if c := s.live(r); c != nil && !c.s.IsEnding() && x.Matches(c.s) {
					hits = append(hits, r)
				}
			}
		})
		if err != nil {
			return nil, err
		}
		found = append(found, hits...)
	}
	return found, nil
}

// candidates returns the sessions that x may name, by the most telling of what it
// says. indexed is false when all have to be looked at.
func (d *directory) candidates(x *session.Selector, epoch uint32) (refs []session.Ref, indexed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	add := func(slot uint32) {
		if slot != 0 && int(slot) < len(d.table) && d.table[slot].ref.TunnelID != 0 {
			refs = append(refs, d.table[slot].ref)
		}
	}
	switch {
	case x.Slot != 0:
		add(x.Slot)
	case x.AcctSessionID != "":
		if serial, ok := acctSerial(x.AcctSessionID, epoch); ok {
			add(d.serials[serial])
		}
	case x.Address.IsValid():
		for vrf := range d.vrfs {
			add(d.addrs[place{vrf, x.Address.Unmap()}])
		}
	case x.User != "":
		for i := d.users[x.User]; i != 0; i = d.table[i].next {
			add(i)
		}
		for _, i := range d.aliases[x.User] {
			if d.table[i].user != x.User {
				add(i)
			}
		}
	default:
		return nil, false
	}
	return refs, true
}

// acctSerial reads what acctID has written; a session that had several accounts has
// added to it.
func acctSerial(id string, epoch uint32) (serial uint32, ok bool) {
	id, _, _ = strings.Cut(id, "-")
	b, err := hex.DecodeString(id)
	if err != nil || len(b) != 8 {
		return 0, false
	}
	serial = uint32(b[4])<<24 | uint32(b[5])<<16 | uint32(b[6])<<8 | uint32(b[7])
	return serial, id == acctID(epoch, serial)
}

// kickOthers ends the other sessions of the user in a slot.
func (d *directory) kickOthers(slot uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	user := d.table[slot].user
	for i := d.users[user]; i != 0 && user != ""; i = d.table[i].next {
		if i != slot {
			d.notify(notice{ref: d.table[i].ref, kind: noticeKick})
		}
	}
}
