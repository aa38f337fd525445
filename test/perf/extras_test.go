package perf

import (
	"os"
	"testing"
)

// Every variant forwards all packets, and every extra is measured both ways.
func TestExtras(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("BPF programs and network namespaces need root")
	}
	list, err := MeasureExtras(5)
	if err != nil {
		t.Fatal(err)
	}
	if want := 2 * len(extras); len(list) != want {
		t.Errorf("%d figures, want %d", len(list), want)
	}
	for _, e := range list {
		t.Logf("%+v", e)
	}
}
