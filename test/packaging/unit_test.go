// Package packaging checks the files that are installed beside the programs.
package packaging

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const dir = "../../packaging"

// unit reads a unit file into section.key → values, in their order.
func unit(t *testing.T, name string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	out, section := map[string][]string{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch key, value, ok := strings.Cut(line, "="); {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		case ok:
			out[section+"."+key] = append(out[section+"."+key], value)
		default:
			t.Errorf("%s: %q is neither a section nor an assignment", name, line)
		}
	}
	return out
}

// The daemon is watched, started again whatever happens, and has no more rights
// than it needs.
func TestUnitPromises(t *testing.T) {
	u := unit(t, "lnsd.service")
	for key, want := range map[string]string{
		"Unit.StartLimitIntervalSec":       "0",
		"Service.Type":                     "notify",
		"Service.WatchdogSec":              "30",
		"Service.Restart":                  "always",
		"Service.User":                     "lnsd",
		"Service.RuntimeDirectory":         "lnsd",
		"Service.RuntimeDirectoryPreserve": "yes",
		"Service.StateDirectoryMode":       "0700",
		"Service.ConfigurationDirectory":   "lnsd",
		"Service.UMask":                    "0077",
		"Service.NoNewPrivileges":          "yes",
		"Service.ProtectSystem":            "strict",
		"Service.MemoryDenyWriteExecute":   "yes",
		"Service.DeviceAllow":              "/dev/net/tun rw",
		"Service.ReadWritePaths":           "/sys/fs/bpf/lns",
	} {
		if got := u[key]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	const caps = "CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_BPF CAP_PERFMON"
	for _, key := range []string{"Service.AmbientCapabilities", "Service.CapabilityBoundingSet"} {
		if got := u[key]; !slices.Equal(got, []string{caps}) {
			t.Errorf("%s: %q", key, got)
		}
	}
}

// The directory that the unit may write to is the one that tmpfiles.d makes.
func TestTmpfilesMakeWhatTheUnitNeeds(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(dir, "lnsd.tmpfiles"))
	if err != nil {
		t.Fatal(err)
	}
	made := false
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		made = made || len(f) > 4 && f[0] == "d" && f[1] == "/sys/fs/bpf/lns" && f[3] == "lnsd"
	}
	if !made {
		t.Error("nothing makes /sys/fs/bpf/lns")
	}
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// copyUnit puts the unit where its program and its manual pages need not exist.
func copyUnit(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "lnsd.service"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "Documentation=") {
			continue
		}
		lines = append(lines, strings.Replace(line, "ExecStart=/usr/sbin/lnsd", "ExecStart=/bin/true", 1))
	}
	path := filepath.Join(t.TempDir(), "lnsd.service")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSystemdTakesTheUnit(t *testing.T) {
	out, err := exec.Command(tool(t, "systemd-analyze"), "verify", "--recursive-errors=no", copyUnit(t)).CombinedOutput()
	// Other units of the machine may have their faults: ours is named.
	if err != nil || strings.Contains(string(out), "lnsd.service") {
		t.Errorf("%v\n%s", err, out)
	}
}

// 3.0 of 10 is the exposure that the project allows itself.
func TestUnitIsHardened(t *testing.T) {
	cmd := exec.Command(tool(t, "systemd-analyze"), "security", "--offline=yes", "--threshold=30", "--no-pager", copyUnit(t))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && strings.Contains(string(out), "unrecognized option") {
		t.Skip("this systemd-analyze does not work offline")
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSysusersTakesTheUser(t *testing.T) {
	file, err := filepath.Abs(filepath.Join(dir, "lnsd.sysusers"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool(t, "systemd-sysusers"), "--dry-run", file).CombinedOutput()
	if strings.Contains(string(out), "unrecognized option") {
		t.Skip("this systemd-sysusers has no --dry-run")
	}
	if err != nil || !strings.Contains(string(out), "lnsd") {
		t.Errorf("%v\n%s", err, out)
	}
}
