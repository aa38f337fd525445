package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	freeradiusFiles  = "../../packaging/freeradius"
	freeradiusSecret = "change-me" // in the packaged clients.conf
	freeradiusLogin  = "/usr/sbin/freeradius"
)

// freeradius starts a FreeRADIUS inside the LNS's namespace with the configuration
// that is packaged, and users of this test. It returns what the startup-config needs.
func (r *rig) freeradius(users string) string {
	r.t.Helper()
	return r.freeradiusAt("127.0.0.1", freeradiusSecret, users)
}

// freeradiusAt is freeradius at an address of the LNS's namespace, with a secret.
func (r *rig) freeradiusAt(addr, secret, users string) string {
	r.t.Helper()
	if _, err := os.Stat(freeradiusLogin); err != nil {
		r.t.Skip("FreeRADIUS is not installed (Debian package freeradius):", err)
	}
	raddb := r.path("raddb")
	for _, d := range []string{raddb, r.path("radlog"), r.path("radrun")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			r.t.Fatal(err)
		}
	}
	for _, name := range []string{"radiusd.conf", "clients.conf", "users", "policy", "access_reject", "dictionary"} {
		b, err := os.ReadFile(filepath.Join(freeradiusFiles, name))
		if err != nil {
			r.t.Fatal(err)
		}
		text := strings.NewReplacer(
			"raddbdir = /etc/freeradius/lnsd", "raddbdir = "+raddb,
			"logdir = /var/log/freeradius", "logdir = "+r.path("radlog"),
			"run_dir = /run/freeradius", "run_dir = "+r.path("radrun"),
			"ipaddr = 127.0.0.1", "ipaddr = "+addr, freeradiusSecret, secret,
		).Replace(string(b))
		if name == "users" {
			text += "\n" + users + "\n"
		}
		if err := os.WriteFile(filepath.Join(raddb, name), []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	p, err := r.lab.LNS.Run(r.path("freeradius.log"), freeradiusLogin, "-f", "-l", "stdout", "-d", raddb)
	if err != nil {
		r.t.Fatal(err)
	}
	r.radius = p
	r.t.Cleanup(func() {
		_ = p.Signal(syscall.SIGCONT)
		_ = p.Stop(syscall.SIGTERM, patience)
		if r.t.Failed() {
			r.t.Logf("FreeRADIUS printed:\n%s", tail(p.Log(), 3000))
		}
	})
	r.until(30*time.Second, func() error {
		if !strings.Contains(p.Log(), "Ready to process requests") {
			return errors.New("FreeRADIUS is not ready")
		}
		return nil
	})
	return fmt.Sprintf("set primary_radius %s\nset primary_radius_port 1812\nset radius_secret %q\nset radius_accounting yes\n",
		addr, secret)
}

// anyUser accepts everybody with this test's password, with a Class to be echoed.
const anyUser = "DEFAULT\tCleartext-Password := \"" + userPassword + "\"\n\tService-Type = Framed-User,\n\tClass = \"tariff-7\""

// accounting reads the records that FreeRADIUS has written, each a map of attributes.
func (r *rig) accounting() []map[string]string {
	r.t.Helper()
	files, err := filepath.Glob(r.path("radlog/radacct/*/detail-*"))
	if err != nil {
		r.t.Fatal(err)
	}
	var records []map[string]string
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			r.t.Fatal(err)
		}
		// The last one may be half written.
		whole := b[:bytes.LastIndex(b, []byte("\n\n"))+1]
		for block := range strings.SplitSeq(strings.TrimSpace(string(whole)), "\n\n") {
			record := map[string]string{}
			for line := range strings.SplitSeq(block, "\n") {
				if name, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
					record[name] = strings.Trim(value, `"`)
				}
			}
			records = append(records, record)
		}
	}
	return records
}

// bills waits until each of n sessions has one Start and one Stop, and returns the
// Stops by user.
func (r *rig) bills(n int) map[string]map[string]string {
	r.t.Helper()
	stops := map[string]map[string]string{}
	r.until(30*time.Second, func() error {
		clear(stops)
		starts := map[string]int{}
		for _, rec := range r.onceEach() {
			switch rec["Acct-Status-Type"] {
			case "Start":
				starts[rec["Acct-Session-Id"]]++
			case "Stop":
				if stops[rec["User-Name"]] != nil {
					r.t.Fatalf("%s was stopped twice", rec["User-Name"])
				}
				stops[rec["User-Name"]] = rec
				if starts[rec["Acct-Session-Id"]] == 0 {
					r.t.Fatalf("%s was stopped before it was started", rec["User-Name"])
				}
			}
		}
		for id, k := range starts {
			if k != 1 {
				r.t.Fatalf("session %s was started %d times", id, k)
			}
		}
		if len(starts) != n || len(stops) != n {
			return fmt.Errorf("%d Starts and %d Stops of %d", len(starts), len(stops), n)
		}
		return nil
	})
	return stops
}

// underWay is a record's Acct-Delay-Time in seconds.
func underWay(record map[string]string) int {
	n, _ := strconv.Atoi(record["Acct-Delay-Time"]) // none is 0
	return n
}

// onceEach leaves out the repetitions of records that a server gets twice when the
// daemon did not see its answer: what recognises them is that nothing differs but how
// long they were under way. Unless repeats is set there must be none.
func (r *rig) onceEach() []map[string]string {
	r.t.Helper()
	seen := map[string]int{}
	var once []map[string]string
	for _, rec := range r.accounting() {
		same := maps.Clone(rec)
		for _, name := range []string{"Acct-Delay-Time", "Timestamp"} {
			delete(same, name)
		}
		key := fmt.Sprint(same)
		if at, again := seen[key]; again && r.repeats {
			// The one that was under way for longest; the server's threads may have
			// written them in any order.
			if underWay(rec) > underWay(once[at]) {
				once[at] = rec
			}
			continue
		}
		seen[key] = len(once)
		once = append(once, rec)
	}
	return once
}
