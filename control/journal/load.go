package journal

import (
	"cmp"
	"hash/maphash"
	"slices"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/recordlog"
	"github.com/lnsd/lnsd/control/session"
)

// keyOf says what a record is about.
func (j *Journal) keyOf(kind byte, payload []byte) (key, bool) {
	switch kind {
	case kindTunnel:
		var v struct{ ID uint16 }
		err := j.codec.unmarshal(payload, &v)
		return tunnelKey(v.ID), err == nil
	case kindSession:
		var v session.Ref
		err := j.codec.unmarshal(payload, &v)
		return callKey(v.TunnelID, v.SessionID), err == nil
	case kindCall:
		c, ok := parseCall(payload)
		return callKey(c.TunnelID, c.SessionID), ok
	case kindGone:
		return parseKey(payload)
	}
	return 0, false
}

// load finds the last state of everything that lives.
func (j *Journal) load() (*session.Durable, error) {
	for _, segment := range j.log.Segments() {
		whole, err := j.log.Scan(segment, func(p recordlog.Position, kind byte, payload []byte) error {
			if kind == kindEpoch {
				if k, ok := parseKey(payload); ok {
					j.epoch = max(j.epoch, uint32(k))
				}
				return nil
			}
			k, ok := j.keyOf(kind, payload)
			if !ok {
				j.damage("journal record not readable", zap.Uint64("segment", p.Segment), zap.Int64("offset", p.Offset))
				return nil
			}
			j.forget(k)
			if kind != kindGone {
				j.note(k, entry{p, recordlog.FrameSize(len(payload)), maphash.Bytes(j.seed, payload)})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if !whole {
			j.damage("journal ends in a torn record", zap.Uint64("segment", segment))
		}
	}
	return j.collect(), nil
}

func (j *Journal) damage(message string, fields ...zap.Field) {
	j.damaged.Add(1)
	j.cfg.Log.Info(message, fields...)
}

// collect reads the values, in the order in which they were written.
func (j *Journal) collect() *session.Durable {
	entries := make([]entry, 0, len(j.live))
	for _, e := range j.live {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.at.Segment, b.at.Segment), cmp.Compare(a.at.Offset, b.at.Offset))
	})
	d := &session.Durable{}
	for _, e := range entries {
		kind, payload, err := j.read.Read(e.at)
		if err == nil {
			err = j.decode(kind, payload, d)
		}
		if err != nil {
			j.damage("journal record not readable", zap.Uint64("segment", e.at.Segment), zap.Int64("offset", e.at.Offset), zap.Error(err))
		}
	}
	return d
}

func (j *Journal) decode(kind byte, payload []byte, d *session.Durable) error {
	switch kind {
	case kindTunnel:
		var v session.TunnelSnapshot
		if err := j.codec.unmarshal(payload, &v); err != nil {
			return err
		}
		d.Tunnels = append(d.Tunnels, v)
	case kindSession:
		v := &session.Snapshot{}
		if err := j.codec.unmarshal(payload, v); err != nil {
			return err
		}
		d.Sessions = append(d.Sessions, v)
	case kindCall:
		c, _ := parseCall(payload)
		d.Calls = append(d.Calls, c)
	}
	return nil
}
