package docs

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every counter of the fast path that a document names is one that there is.
func TestCountersInTheDocuments(t *testing.T) {
	reasons, err := os.ReadFile("../../bpf/reasons.h")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile("`xdp_((?:sent|pass|punt|drop)_[a-z0-9_]+)`")
	found := 0
	for _, file := range documents(t) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllStringSubmatch(string(b), -1) {
			found++
			want := "LNS_" + strings.ToUpper(strings.TrimSuffix(m[1], "_bytes"))
			if !regexp.MustCompile(`\b` + want + `\b`).Match(reasons) {
				t.Errorf("%s: there is no counter xdp_%s", file, m[1])
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d counters found: the search is broken", found)
	}
}
