package perf

import (
	"fmt"
	"os"
	"testing"

	"github.com/lnsd/lnsd/maps"
)

// maxMapBytes is what a session may take in the maps.
const maxMapBytes = 512

// TestMapMemory: the kernel is asked what the maps of a million sessions take that are
// all installed, with an address and a /64 each.
func TestMapMemory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("maps need root")
	}
	for _, ipv6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("ipv6=%v", ipv6), func(t *testing.T) {
			const sessions = maps.MaxSessions
			base, err := MeasureMaps(1, 1, ipv6)
			if err != nil {
				t.Fatal(err)
			}
			m, err := MeasureMaps(sessions, sessions, ipv6)
			if err != nil {
				t.Fatal(err)
			}
			for name, bytes := range m.ByMap {
				if grown := bytes - base.ByMap[name]; grown > 0 {
					t.Logf("%s: %.1f bytes", name, float64(grown)/(sessions-1))
				}
			}
			// What does not depend on the sessions is no part of one.
			per := float64(m.Bytes-base.Bytes) / (sessions - 1)
			if t.Logf("%.0f bytes a session", per); per > maxMapBytes {
				t.Errorf("%.0f bytes a session, want at most %d", per, maxMapBytes)
			}
		})
	}
}
