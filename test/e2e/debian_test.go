package e2e

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lnsd/lnsd/test/netlab"
)

// l2tpnsFolder is what Debian's package l2tpns installs: startup-config, users, ip_pool.
const l2tpnsFolder = "/etc/l2tpns"

// The configuration folder of Debian's l2tpns, as the package installs it, starts lnsd
// and brings subscribers up. What the files say is around the daemon is there: a RADIUS
// server at 10.0.0.3 whose secret is "secret". Paths that are the host's own (/run,
// /var/log, the BPF file system) are the daemon's alone, as in a container.
func TestDebianFolderOfL2TPNS(t *testing.T) {
	for _, file := range []string{"startup-config", "users", "ip_pool"} {
		if _, err := os.Stat(filepath.Join(l2tpnsFolder, file)); err != nil {
			t.Skip("l2tpns is not installed (Debian package l2tpns):", err)
		}
	}
	r := newLab(t)
	if out, err := r.lab.LNS.Output(context.Background(), "dpkg", "--verify", "l2tpns"); err != nil || strings.Contains(out, l2tpnsFolder) {
		t.Skipf("the files are not those of the package: %v\n%s", err, out)
	}
	if out, err := r.lab.LNS.Output(context.Background(), "ip", "address", "add", "10.0.0.3/32", "dev", "lo"); err != nil {
		t.Fatal(err, out)
	}
	r.freeradiusAt("10.0.0.3", "secret", anyUser)
	for _, pool := range []string{"10.10.10.0/24", "10.13.10.0/24"} {
		if err := r.lab.Core.AddRoute(netip.MustParsePrefix(pool), netlab.LNSCore); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"run", "log"} {
		if err := os.Mkdir(r.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("run/lnsd.sock", r.path("lnsd.sock")); err != nil {
		t.Fatal(err)
	}
	const world = `mount --make-rprivate / && mount -t tmpfs tmpfs /var/lib && mount --bind "$1/log" /var/log &&
		mount -t tmpfs tmpfs /run && mkdir /run/lnsd && mount --bind "$1/run" /run/lnsd &&
		mount -t bpf bpf /sys/fs/bpf && exec "$2" -c ` + l2tpnsFolder + `/startup-config`
	r.startDaemon("unshare", "--mount", "sh", "-c", world, "sh", r.dir, binary("lnsd"))

	r.reflect()
	p := r.lacsim(append(traffic("--sessions", "2", "--traffic", "100"), "--secret", "secret")...)
	r.holding(p)
	for addr, s := range r.settled() {
		if !strings.HasPrefix(addr.String(), "10.10.10.") && !strings.HasPrefix(addr.String(), "10.13.10.") {
			t.Errorf("%s has the address %s, which is in no pool of the folder", s.User, addr)
		}
		if s.DownPackets == 0 {
			t.Errorf("%s got no packet", s.User)
		}
	}
	if text := r.ctl("show", "running-config"); !strings.Contains(text, "set secondary_dns 10.0.0.2") {
		t.Errorf("in force is\n%s", text)
	}
	r.wantCounters(true)
	if report := r.leave(p); report.Sessions.Up != 2 || len(report.Failures) > 0 {
		t.Errorf("lacsim: %+v", report)
	}
	log, err := os.ReadFile(r.path("log/l2tpns"))
	if err != nil || !strings.Contains(string(log), "cli_bind_address is not used") {
		t.Errorf("the log that log_file names: %v\n%s", err, tail(string(log), 2000))
	}
	r.waitEmpty()
}
