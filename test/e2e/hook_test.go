package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

const dnsCount = "../../packaging/examples/bpf-dns-count/dns_count.o"

// shownHook is what lnsctl tells of a hook.
type shownHook struct {
	Direction, Function, Source string
	Maps                        []string
}

// The example counts each session's DNS questions. It is put in and replaced while
// packets pass, and outlives the daemon; no packet is lost, and none is not counted.
func TestHookCountsDNS(t *testing.T) {
	t.Parallel()
	bpftool, err := exec.LookPath("bpftool")
	if err != nil {
		t.Skip("bpftool is not installed (Debian package bpftool):", err)
	}
	r := newRig(t, options{config: fmt.Sprintf("set journal %q", filepath.Join(t.TempDir(), "journal"))})
	target := netlab.CoreAddr.String() + ":53"
	server, err := r.lab.Core.Run(r.path("dns.log"), binary("lacsim"), "reflect", "--listen", target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop(syscall.SIGINT, patience) })
	warm := r.lacsim("--sessions", "2", "--traffic-target", target, "--traffic", "20", "--hold", "1s")
	r.finish(warm, 30*time.Second, true)
	r.waitEmpty()

	if out := r.ctl("hook", "load", "up", dnsCount); !strings.Contains(out, "count_dns") {
		t.Errorf("lnsctl printed %q", out)
	}
	p := r.lacsim("--sessions", "5", "--traffic-target", target, "--traffic", "500", "--verify", "--per-session", "--hold", "forever")
	r.waitUp(5)
	r.ctl("hook", "load", "up", dnsCount, "count_dns")
	_ = r.lnsd.Stop(syscall.SIGKILL, patience)
	r.startLNSD()
	r.ctl("hook", "load", "up", dnsCount)

	var hooks []shownHook
	r.ctlJSON(&hooks, "show", "hook")
	if len(hooks) != 2 || hooks[0].Function != "count_dns" || len(hooks[0].Maps) != 1 || hooks[1].Function != "" {
		t.Fatalf("%+v", hooks)
	}
	// A faulty one changes nothing.
	faulty := r.path("faulty.o")
	if err := os.WriteFile(faulty, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.tryCtl("hook", "load", "up", faulty); err == nil {
		t.Error("a file that is no object was taken")
	}

	report := r.interrupt(p)
	if report.Traffic.Sent == 0 || report.Traffic.Lost != 0 {
		t.Errorf("of %d packets %d were lost", report.Traffic.Sent, report.Traffic.Lost)
	}
	counted := uint64(0)
	for _, n := range questions(t, bpftool, hooks[0].Maps[0]) {
		counted += n
	}
	if counted != report.Traffic.Sent {
		t.Errorf("%d questions were counted, %d were sent", counted, report.Traffic.Sent)
	}
	r.ctl("hook", "unload", "up")
	if _, err := os.Stat(hooks[0].Maps[0]); err == nil {
		t.Error("the map of a hook that is gone is still there")
	}
}

// questions reads the example's map, by SID.
func questions(t *testing.T, bpftool, path string) map[uint32]uint64 {
	t.Helper()
	b, err := exec.Command(bpftool, "--json", "map", "dump", "pinned", path).Output()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var raw []struct {
		Formatted struct {
			Key   uint32
			Value uint64
		}
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		t.Fatalf("%s: %v\n%s", path, err, b)
	}
	n := make(map[uint32]uint64)
	for _, e := range raw {
		n[e.Formatted.Key] = e.Formatted.Value
	}
	return n
}
