package cli_test

import (
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lnsd/lnsd/control/api/apitest"
)

// block is one of a pcapng file, without contents.
func block(kind uint32) []byte {
	b := make([]byte, 12)
	binary.LittleEndian.PutUint32(b, kind)
	b[4], b[8] = 12, 12
	return b
}

func TestCapture(t *testing.T) {
	b := daemon()
	b.Captured = append(append(append(block(1), block(6)...), block(5)...), block(6)...)
	socket := apitest.Start(t, b, now)
	file := filepath.Join(t.TempDir(), "one.pcapng")
	out, code := lctl(socket, "capture", "user", "alice@example", "-w", file, "--count", "1", "--snap", "96")
	if got, err := os.ReadFile(file); code != 0 || err != nil || len(got) != 24 {
		t.Errorf("exit code %d, %d bytes, %v", code, len(got), err)
	}
	if want := "--- stderr\nlnsctl: 1 packets captured, 3 dropped\n"; out != want {
		t.Errorf("%q, want %q", out, want)
	}
	if want := "capture {Slot:0 User:alice@example Calling: LAC:invalid IP Snap:96 Secrets:false By:"; !strings.HasPrefix(b.Calls()[0], want) {
		t.Errorf("called %q, want %q", b.Calls()[0], want)
	}
}

// However short the time is, it is one of capturing: the way to the daemon takes longer
// than a millisecond, and the end is never taken for a daemon that does not answer.
func TestCaptureForATime(t *testing.T) {
	b := daemon()
	b.Captured = append(block(1), block(6)...)
	socket := apitest.Start(t, b, now)
	for range 20 {
		out, code := lctl(socket, "capture", "session", "1", "-w", "-", "--for", "1ms")
		if code != 0 || !strings.HasPrefix(out, string(b.Captured)) {
			t.Fatalf("exit code %d, %q", code, out)
		}
	}
}

// A daemon that accepts and says nothing is not captured from for ever.
func TestCaptureOfNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	out, code := lctl(path, "capture", "session", "1", "-w", "-", "--for", "1ms", "--timeout", "50ms")
	if code != 6 || !strings.Contains(out, "no answer in time") {
		t.Errorf("exit code %d, %q", code, out)
	}
}

func TestCaptureErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "there")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	socket := apitest.Start(t, daemon(), now)
	for line, want := range map[string]string{
		"capture user alice@example":                        "lnsctl: capture needs -w FILE, or -w - for standard output\n",
		"capture user":                                      "lnsctl: lnsctl capture user needs USER\n",
		"capture lac carrier -w -":                          "lnsctl: ADDRESS: must be the LAC's IP address\n",
		"capture user alice@example -w - --count -1":        "lnsctl: --count and --for take no negative numbers\n",
		"capture user alice@example -w " + file:             "lnsctl: open " + file + ": file exists\n",
		"capture calling 030 -w - --snap 65536 --for 100ms": "",
	} {
		out, code := lctl(socket, strings.Fields(line)...)
		if code == 0 || want != "" && out != "--- stderr\n"+want {
			t.Errorf("%s: exit code %d, %q, want %q", line, code, out, want)
		}
	}
}
