package e2e

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

// A garden and a filter by RADIUS: those that do not exist are refused, those that do
// hold from the acknowledgement on. An account ends where the garden begins, and
// another begins where it ends, in the same session.
func TestGardenAndFilterByRADIUS(t *testing.T) {
	t.Parallel()
	r := newLab(t)
	config := r.freeradius(anyUser) + fmt.Sprintf("dae_client billing address %s secret %q\n", netlab.LACAddr, daeSecret) +
		"garden unpaid\nip access-list extended web\n permit tcp any any eq 80\n"
	r.writeConfig(options{config: config})
	r.startLNSD()
	p := r.lacsim("--sessions", "1", "--hold", "600s")
	r.waitUp(1)
	first := r.granted("user1")

	for name, attribute := range map[string]string{
		"garden": `Cisco-AVPair = "garden=nowhere"`, "filter": `Filter-Id = "nothing.in"`,
	} {
		out := r.radclient(r.lab.LAC, "coa", daeSecret, "User-Name = user1", attribute)
		if !strings.Contains(out, "Received CoA-NAK") || !strings.Contains(out, "Error-Cause = Invalid-Attribute-Value") {
			t.Errorf("%s that does not exist: radclient printed:\n%s", name, out)
		}
	}
	change := func(attributes ...string) {
		t.Helper()
		out := r.radclient(r.lab.LAC, "coa", daeSecret, append([]string{"User-Name = user1"}, attributes...)...)
		if !strings.Contains(out, "Received CoA-ACK") {
			t.Fatalf("radclient printed:\n%s", out)
		}
	}
	change(`Filter-Id = "web.in"`)
	change(`Cisco-AVPair = "garden=unpaid"`)
	if s := r.granted("user1"); s.Garden != "unpaid" || s.FilterUp != "web" || s.SID != first.SID {
		t.Errorf("the session has %+v", s)
	}
	r.until(20*time.Second, func() error { return r.records("Start", "Stop") })
	change(`Cisco-AVPair = "garden=no"`)
	if s := r.granted("user1"); s.Garden != "" || s.FilterUp != "web" || s.SID != first.SID || s.Address != first.Address || s.Acct == first.Acct {
		t.Errorf("the session has %+v, and had %+v", s, first)
	}
	r.until(20*time.Second, func() error { return r.records("Start", "Stop", "Start") })
	r.ctl("drop", "user", "user1")
	r.until(20*time.Second, func() error { return r.records("Start", "Stop", "Start", "Stop") })
	all := r.onceEach()[1:] // without Accounting-On
	if all[0]["Acct-Session-Id"] != all[1]["Acct-Session-Id"] || all[2]["Acct-Session-Id"] != all[3]["Acct-Session-Id"] ||
		all[1]["Acct-Session-Id"] == all[2]["Acct-Session-Id"] {
		t.Errorf("the accounts are %v", all)
	}
	if got := all[1]["Acct-Terminate-Cause"]; got != "NAS-Request" {
		t.Errorf("the account ended for %s", got)
	}
	_ = p.Stop(syscall.SIGINT, patience)
}

// records checks the kinds of the accounting records, in order.
func (r *rig) records(want ...string) error {
	var got []string
	for _, rec := range r.onceEach() {
		if kind := rec["Acct-Status-Type"]; kind != "Accounting-On" {
			got = append(got, kind)
		}
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("the records are %v, not %v", got, want)
	}
	return nil
}
