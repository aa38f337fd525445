package perf

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/cilium/ebpf"

	"github.com/lnsd/lnsd/control/pool"
)

// Session is what the packets of one subscriber carry. Ids are in host order.
type Session struct {
	TunnelID, SessionID         uint16 // assigned by the LNS
	PeerTunnelID, PeerSessionID uint16 // assigned by the LAC
	Address                     [4]byte
}

// sessionsPerTunnel leaves a choice of ids.
const sessionsPerTunnel = 4096

// firstAddress is 100.64.0.0: a /10, room for four million subscribers.
const firstAddress = 100<<24 | 64<<16

// MakeSessions makes n sessions with addresses of their own, and ids drawn as lnsd draws
// them for a data plane of so many slots. The LAC's ids are those of the LNS plus one,
// so that one taken for the other is noticed.
func MakeSessions(n, slots int) []Session {
	list := make([]Session, n)
	random := rand.New(rand.NewPCG(3, 4))
	places := pool.NewPlaces(uint32(slots))
	var ids *pool.IDs
	for i := range list {
		s := &list[i]
		s.TunnelID = uint16(1 + i/sessionsPerTunnel)
		if i%sessionsPerTunnel == 0 {
			ids = pool.NewIDs(func() uint16 { return uint16(random.Uint32()) }, 0, 0)
		}
		s.SessionID, _ = ids.TakeWhere(time.Time{}, func(id uint16) bool { return places.Claim(s.TunnelID, id) })
		s.PeerTunnelID, s.PeerSessionID = s.TunnelID+1, max(s.SessionID+1, 1)
		binary.BigEndian.PutUint32(s.Address[:], uint32(firstAddress+1+i))
	}
	return list
}

// table is the generator's list of sessions in sending order.
type table struct {
	sessions []Session
	calls    *ebpf.Map
}

// callSize is the distance of two entries: array values are padded to 8 bytes.
const callSize = 16

// newTable shuffles the sessions. The order is the same in every run.
func newTable(sessions []Session) (*table, error) {
	spec, err := loadGenerator()
	if err != nil {
		return nil, err
	}
	calls := spec.Maps[generatorMapGenTable]
	calls.MaxEntries = uint32(len(sessions))
	t := &table{sessions: sessions}
	if t.calls, err = ebpf.NewMap(calls); err != nil {
		return nil, err
	}
	memory, err := t.calls.Memory()
	if err != nil {
		return nil, err
	}
	raw := make([]byte, 0, callSize*len(sessions))
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(sessions)) {
		s := &sessions[i]
		raw = binary.BigEndian.AppendUint16(raw, s.TunnelID)
		raw = binary.BigEndian.AppendUint16(raw, s.SessionID)
		raw = append(raw, s.Address[:]...)
		raw = binary.NativeEndian.AppendUint32(raw, uint32(i))
		raw = append(raw, 0, 0, 0, 0)
	}
	_, err = memory.WriteAt(raw, 0)
	return t, err
}

func (t *table) close() error { return t.calls.Close() }
