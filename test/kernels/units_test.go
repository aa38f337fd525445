package kernels

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// These tests need neither machine nor network: they hold what the others rest on.

func TestParse(t *testing.T) {
	r, err := parse([]byte("noise\n@@ kernel 6.1.0\n@@ begin maps\none\n  two\n@@ end maps 1\n@@ begin inside\n" +
		"\n@@ end inside 0\n@@ the kernel is tainted\n@@ bye\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := report{kernel: "6.1.0", complaint: "the kernel is tainted\n", suites: []suite{
		{"maps", []byte("one\n  two\n"), "1"}, {"inside", []byte("\n"), "0"},
	}}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("%+v, want %+v", r, want)
	}
	r, err = parse([]byte("@@ kernel 6.1.0\n@@ begin maps\nhalf"))
	if err == nil {
		t.Errorf("a machine that stopped half-way is accepted: %+v", r)
	}
}

func TestResults(t *testing.T) {
	s := suite{output: []byte(strings.Join([]string{
		"=== RUN   TestA", "=== RUN   TestA/one", "=== ATTR  TestA/one program lns_xdp", "    a_test.go:1: broken",
		"--- FAIL: TestA (0.01s)", "    --- FAIL: TestA/one (0.01s)",
		"=== RUN   TestB", "    b_test.go:1: not here", "--- SKIP: TestB (0.00s)", "FAIL", "",
	}, "\n"))}
	list, err := s.results()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range list {
		got = append(got, r.name+" "+r.action+" "+r.attrs["program"])
		if r.name == "TestA/one" && !strings.Contains(r.output, "broken") {
			t.Errorf("%s: output %q", r.name, r.output)
		}
	}
	slices.Sort(got)
	if want := []string{"TestA fail ", "TestA/one fail lns_xdp", "TestB skip "}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestModinfoDepends(t *testing.T) {
	for info, want := range map[string][]string{
		"license=GPL\x00depends=net-failover,virtio\x00name=virtio_net\x00": {"net_failover", "virtio"},
		"name=x\x00depends=\x00": nil,
		"name=depends=\x00":      nil,
		"":                       nil,
	} {
		if got := modinfoDepends([]byte(info)); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", info, got, want)
		}
	}
}

// TestInitramfs lets another implementation read the archive.
func TestInitramfs(t *testing.T) {
	archive := initramfs(map[string][]byte{"init": []byte("i"), "a/b/c": []byte("hello"), "a/d": nil})
	if len(archive)%4 != 0 {
		t.Errorf("%d bytes: the kernel wants a multiple of 4", len(archive))
	}
	cpio, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("cpio is not installed")
	}
	dir := t.TempDir()
	cmd := exec.Command(cpio, "-i", "--no-absolute-filenames")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(archive)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for path, want := range map[string]string{"init": "i", "a/b/c": "hello", "a/d": ""} {
		if got, err := os.ReadFile(dir + "/" + path); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
}

func TestCompare(t *testing.T) {
	was := map[string]cost{"lns_xdp": {Instructions: 1000, Verified: 10000}}
	for name, c := range map[string]struct {
		is       map[string]cost
		accepted bool
		says     string
	}{
		"the same":                  {was, true, "1000 instructions, 10000 verified"},
		"less":                      {map[string]cost{"lns_xdp": {Instructions: 500, Verified: 5000}}, true, "(-50.0 %)"},
		"ten percent":               {map[string]cost{"lns_xdp": {Instructions: 1100, Verified: 11000}}, true, "(+10.0 %)"},
		"more instructions":         {map[string]cost{"lns_xdp": {Instructions: 1101, Verified: 10000}}, false, "growth"},
		"more to verify":            {map[string]cost{"lns_xdp": {Instructions: 1000, Verified: 11001}}, false, "growth"},
		"slower":                    {map[string]cost{"lns_xdp": {Instructions: 1000, Verified: 10000, Microseconds: 1e6}}, true, "1000000 µs"},
		"a new program":             {map[string]cost{"lns_xdp": was["lns_xdp"], "other": {}}, false, "other: 0 instructions"},
		"a program that is no more": {map[string]cost{}, false, "no such program"},
	} {
		lines, accepted := compare(was, c.is)
		if text := strings.Join(lines, "\n"); accepted != c.accepted || !strings.Contains(text, c.says) {
			t.Errorf("%s: accepted %v, want %v; says %q, want %q", name, accepted, c.accepted, text, c.says)
		}
	}
}

func TestCosts(t *testing.T) {
	attrs := func(verified string) map[string]string {
		return map[string]string{"program": "p", "instructions": "7", "verified": verified, "verifier_us": "3"}
	}
	got, err := costs([]result{{attrs: attrs("10")}, {attrs: attrs("30")}, {attrs: attrs("20")}, {}})
	if want := (cost{Instructions: 7, Verified: 30, Microseconds: 3}); err != nil || got["p"] != want || len(got) != 1 {
		t.Errorf("%+v, %v, want the largest: %+v", got, err, want)
	}
	if _, err := costs([]result{{attrs: attrs("")}}); err == nil {
		t.Error("a result without a number is accepted")
	}
}

// TestTable: the documentation shows what is recorded.
func TestTable(t *testing.T) {
	text, err := os.ReadFile("../../docs/kernels.md")
	if err != nil {
		t.Fatal(err)
	}
	r, err := readRecord()
	if err != nil {
		t.Fatal(err)
	}
	if len(r) != len(debianKernels) {
		t.Errorf("%d kernels are recorded, %d are tested", len(r), len(debianKernels))
	}
	for series, programs := range r {
		for program, c := range programs {
			row := fmt.Sprintf("| %s | `%s` | %d | %d |", series, program, c.Instructions, c.Verified)
			if !bytes.Contains(text, []byte(row)) {
				t.Errorf("docs/kernels.md has no row %q", row)
			}
		}
	}
}
