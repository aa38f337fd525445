package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lnsd/lnsd/control/session"
)

// levels are counters in name only: they fall, too.
var levels = map[string]bool{
	"secrets_entries": true, "radius_last_good_entries": true,
	"radius_auth_queued": true, "radius_auth_in_flight": true, "radius_auth_sockets": true,
	"radius_acct_queued": true, "radius_acct_in_flight": true, "radius_acct_sockets": true,
	"acct_spool_waiting": true, "acct_spool_in_flight": true, "acct_spool_open": true, "acct_spool_bytes": true,
	"journal_live": true, "journal_bytes": true,
}

// count shows one of the daemon's counters. Families of them have labels; any other is
// a metric of its own name.
func (ch sink) count(c session.Count) {
	if levels[c.Name] {
		ch.gauge(desc(c.Name, "As in lnsctl show counters."), float64(c.Value))
		return
	}
	if rest, ok := strings.CutPrefix(c.Name, "xdp_"); ok && ch.verdict(rest, c.Value) {
		return
	}
	for _, f := range [...]struct {
		prefix string
		desc   *prometheus.Desc
		more   []string
	}{
		{"ctl_discarded_as_", discarded, nil},
		{"ctl_sent_", messages, []string{"sent"}},
		{"ctl_received_", messages, []string{"received"}},
		{"ctl_discarded_", messages, []string{"discarded"}},
		{"session_setup_failed_in_", setupFailed, nil},
	} {
		if rest, ok := strings.CutPrefix(c.Name, f.prefix); ok {
			ch.counter(f.desc, c.Value, append([]string{rest}, f.more...)...)
			return
		}
	}
	ch.counter(desc(c.Name+"_total", "As in lnsctl show counters."), c.Value)
}

// verdict shows a counter of the fast path, named VERDICT_REASON or
// VERDICT_REASON_bytes. Those of its administration are not of this form.
func (ch sink) verdict(name string, value uint64) bool {
	verdict, reason, ok := strings.Cut(name, "_")
	switch {
	case !ok:
		return false
	case verdict != "sent" && verdict != "pass" && verdict != "punt" && verdict != "drop":
		return false
	}
	if of, ok := strings.CutSuffix(reason, "_bytes"); ok {
		ch.counter(xdpBytes, value, verdict, of)
	} else {
		ch.counter(xdpPackets, value, verdict, reason)
	}
	return true
}
