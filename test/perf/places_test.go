package perf

import (
	"math/rand/v2"
	"testing"

	"github.com/lnsd/lnsd/control/pool"
	"github.com/lnsd/lnsd/maps"
)

// TestPlacesAgree: the engine, which draws ids, and the data plane, which must not be
// known to it, say the same of where ids lead.
func TestPlacesAgree(t *testing.T) {
	for _, sessions := range []uint32{1, 7, 100, 60000, maps.MaxSessions} {
		places := pool.NewPlaces(sessions)
		for range 1000 {
			tunnel, session := uint16(rand.Uint32()), uint16(rand.Uint32())
			want := maps.CallPlace(maps.CallPlaces(sessions), tunnel, session)
			if got := places.Place(tunnel, session); got != want {
				t.Fatalf("%d sessions: tunnel %d, session %d: the engine says %d, the maps %d", sessions, tunnel, session, got, want)
			}
		}
	}
}
