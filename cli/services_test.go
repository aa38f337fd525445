package cli_test

import (
	"strings"
	"testing"

	"github.com/lnsd/lnsd/control/api/apitest"
)

// What each command makes of a session that is limited to 512 kbit/s up and 20 Mbit/s
// down, has a filter for what it sends, and is in a garden and intercepted. In is what
// the subscriber sends: up.
func TestServicesCommands(t *testing.T) {
	const user = `change session 0 user "alice@example" several true: `
	const sid = `change session 1 user "" several true: `
	for line, want := range map[string]string{
		"throttle alice@example":             user + `up 28000 down 28000 filters "no-mail" "" garden "unpaid" intercept true`,
		"throttle alice@example in":          user + `up 28000 down 20000000 filters "no-mail" "" garden "unpaid" intercept true`,
		"throttle alice@example 10M":         user + `up 10000000 down 10000000 filters "no-mail" "" garden "unpaid" intercept true`,
		"throttle alice@example out 64":      user + `up 512000 down 64000 filters "no-mail" "" garden "unpaid" intercept true`,
		"throttle --sid 1 in 1G":             sid + `up 1000000000 down 20000000 filters "no-mail" "" garden "unpaid" intercept true`,
		"no throttle alice@example":          user + `up 0 down 0 filters "no-mail" "" garden "unpaid" intercept true`,
		"no throttle alice@example in":       user + `up 0 down 20000000 filters "no-mail" "" garden "unpaid" intercept true`,
		"no throttle --sid 1 out":            sid + `up 512000 down 0 filters "no-mail" "" garden "unpaid" intercept true`,
		"filter alice@example in web":        user + `up 512000 down 20000000 filters "web" "" garden "unpaid" intercept true`,
		"filter --sid 1 out web":             sid + `up 512000 down 20000000 filters "no-mail" "web" garden "unpaid" intercept true`,
		"no filter alice@example":            user + `up 512000 down 20000000 filters "" "" garden "unpaid" intercept true`,
		"no filter alice@example out":        user + `up 512000 down 20000000 filters "no-mail" "" garden "unpaid" intercept true`,
		"garden alice@example abuse":         user + `up 512000 down 20000000 filters "no-mail" "" garden "abuse" intercept true`,
		"no garden --sid 1":                  sid + `up 512000 down 20000000 filters "no-mail" "" garden "" intercept true`,
		"snoop alice@example 192.0.2.8 5000": user + `up 512000 down 20000000 filters "no-mail" "" garden "unpaid" intercept true`,
		"snoop --sid 1 2001:db8::9 4000":     sid + `up 512000 down 20000000 filters "no-mail" "" garden "unpaid" intercept true`,
		"no snoop alice@example":             user + `up 512000 down 20000000 filters "no-mail" "" garden "unpaid" intercept false`,
	} {
		b := daemon()
		socket := apitest.Start(t, b, now)
		out, code := lctl(socket, strings.Fields(line)...)
		if calls := b.Calls(); code != 0 || len(calls) != 1 || calls[0] != want {
			t.Errorf("%s: exit code %d, %s\ncalled %q\nwant   %q", line, code, out, calls, want)
		}
	}
}

// Without a default there is nothing to throttle to.
func TestThrottleWithoutARate(t *testing.T) {
	b := daemon()
	b.Default.Bits = 0
	socket := apitest.Start(t, b, now)
	out, code := lctl(socket, "throttle", "alice@example")
	if code != 1 || !strings.Contains(out, "throttle_speed") || len(b.Calls()) != 0 {
		t.Errorf("exit code %d, %s", code, out)
	}
}
