package journal

import (
	"hash/maphash"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/recordlog"
	"github.com/lnsd/lnsd/control/session"
)

// keyOf says what a record is about.
func keyOf(kind byte, payload []byte) (key, bool) {
	switch kind {
	case kindTunnel, kindSession, kindGone:
		return parseKey(payload)
	case kindCall:
		c, ok := parseCall(payload)
		return callKey(c.TunnelID, c.SessionID), ok
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
			k, ok := keyOf(kind, payload)
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
	return j.collect()
}

func (j *Journal) damage(message string, fields ...zap.Field) {
	j.damaged.Add(1)
	j.cfg.Log.Info(message, fields...)
}

// collect reads the values, in the order in which they were written.
func (j *Journal) collect() (*session.Durable, error) {
	d := &session.Durable{}
	for _, segment := range j.log.Segments() {
		_, err := j.log.Scan(segment, func(p recordlog.Position, kind byte, payload []byte) error {
			k, ok := keyOf(kind, payload)
			if e := j.live[k]; !ok || e.at != p {
				return nil // out of date
			}
			if err := j.decode(kind, payload, d); err != nil {
				j.damage("journal record not readable", zap.Uint64("segment", segment), zap.Int64("offset", p.Offset), zap.Error(err))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return d, nil
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
