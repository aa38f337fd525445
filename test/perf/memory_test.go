package perf

import (
	"os"
	"testing"
)

// maxMapBytes is what a session may take in the maps.
const maxMapBytes = 512

// TestMapMemory: the kernel is asked what the maps of a hundred thousand sessions take.
func TestMapMemory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("maps need root")
	}
	const few, sessions = 1000, 100_000
	base, err := MeasureMaps(few)
	if err != nil {
		t.Fatal(err)
	}
	all, err := MeasureMaps(sessions)
	if err != nil {
		t.Fatal(err)
	}
	// What does not depend on the sessions is no part of one.
	per := float64(all.Bytes-base.Bytes) / (sessions - few)
	for name, bytes := range all.ByMap {
		if grown := bytes - base.ByMap[name]; grown > 0 {
			t.Logf("%s: %.1f bytes", name, float64(grown)/(sessions-few))
		}
	}
	if t.Logf("%.0f bytes a session", per); per > maxMapBytes {
		t.Errorf("%.0f bytes a session, want at most %d", per, maxMapBytes)
	}
}
