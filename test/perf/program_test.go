package perf

import (
	"os"
	"testing"
)

// Every path of both programs ends as its name says and is timed.
func TestPrograms(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("BPF programs and network namespaces need root")
	}
	list, err := MeasurePrograms(500)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 6 {
		t.Errorf("%d paths, want 6", len(list))
	}
	for _, p := range list {
		t.Logf("%+v", p)
		if p.Translated == 0 || p.JITed == 0 {
			t.Errorf("%s, %s: no sizes: %+v", p.Forwarder, p.Path, p)
		}
	}
}
