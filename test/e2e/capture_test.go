package e2e

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
)

// A user is captured from before the call: control messages, PPP and packets of this
// user are in the file, both ways, and the password is not.
func TestCaptureOfAUser(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	r.reflect()
	path := r.path("user1.pcapng")
	var said bytes.Buffer
	cmd := exec.Command(binary("lnsctl"), "--socket", r.path("lnsd.sock"), "capture", "user", "user1", "-w", path)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	r.until(10*time.Second, func() error {
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			return errors.New("the capture has not begun")
		}
		return nil
	})
	p := r.lacsim("--auth", "pap", "--sessions", "2", "--traffic-target", echoTarget, "--traffic", "100", "--verify", "--hold", "2s")
	r.finish(p, 30*time.Second, true)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	if !strings.HasSuffix(said.String(), " packets captured, 0 dropped\n") {
		t.Errorf("lnsctl said %q", said.String())
	}

	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(file, []byte(userPassword)) || bytes.Contains(file, []byte("user2")) || !bytes.Contains(file, []byte("user1")) {
		t.Error("the password or another user is in the file, or the user is not")
	}
	ng, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for {
		_, info, o, err := ng.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		of, err := ng.Interface(info.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		way := " out"
		if o.Flags.Direction == pcapgo.NgEpbFlagDirectionInbound {
			way = " in"
		}
		seen[of.Name+way]++
	}
	for what, least := range map[string]int{"control in": 2, "control out": 1, "ppp in": 4, "ppp out": 4, "packets in": 20, "packets out": 20} {
		if seen[what] < least {
			t.Errorf("%d %s, want %d at least; all: %v", seen[what], what, least, seen)
		}
	}
}
