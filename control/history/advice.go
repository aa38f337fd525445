package history

import (
	"strings"
)

// reasons is all that was said of a failure: a refused login says more than the end
// that follows from it.
func reasons(x *entry) string {
	var all []string
	for i := range x.notices {
		all = append(all, x.notices[i].Detail)
	}
	return strings.Join(all, "; ")
}

// advice is what to look at when a reason contains some words. The first row that fits
// counts, so that the particular ones come first.
var advice = []struct{ words, check string }{
	{"no policy for this LAC", "lac commands and allow_unknown_lacs: no lac command has this address and host name"},
	{"tunnel authentication failed", "the secret of the lac command against the LAC's; counter tunnel_auth_failures"},
	{"no secret to answer", "the LAC challenges: give its lac command a secret"},
	{"too many tunnels being set up", "max_half_open and max_half_open_per_lac; show tunnel for tunnels that never come up"},
	{"too many tunnels", "max_tunnels and max_tunnels_per_lac"},
	{"a tunnel exists", "one_tunnel_per_lac: the LAC opens a second tunnel"},
	{"draining", "drain is on: set drain no lets calls in again"},
	{"shutting down", "the daemon was ending"},
	{"too many sessions in this tunnel", "max_sessions of the lac command, or max_sessions_per_tunnel"},
	{"too many sessions", "max_sessions against show status; it takes a restart"},
	{"no session id left", "sessions that the LAC never ends: show tunnel"},
	{"already logged in", "duplicate_users: the user has a session, see show users"},
	{"pool exhausted", "show pool: add addresses, or shorten how long they rest"},
	{"no such pool", "the pool that RADIUS or the lac command names: show pool"},
	{"address in use", "Framed-IP-Address is another session's: show session"},
	{"address is not usable", "Framed-IP-Address of the user's RADIUS profile"},
	{"not available", "show radius: no server answers; counters auth_unavailable and auth_queue_full"},
	{"nobody answers", "show radius: no server answers"},
	{"queue full", "show radius: servers are slower than calls come"},
	{"no room in the forwarding path", "max_sessions; counter program_failures and the log"},
	{"LCP did not converge", "the line or the modem; trace the user with ppp,fsm. Compare radius_authtypes and l2tp_mtu with what it asks for"},
	{"looped", "the line: what is sent comes back"},
	{"refused to authenticate", "radius_authtypes: the modem takes none of them"},
	{"authentication timed out", "the modem does not answer the challenge, or RADIUS is slow: show radius"},
	{"authentication failed", "user name and password; the RADIUS server's log says why"},
	{"no network protocol", "the modem asks for neither IPv4 nor IPv6; trace the user with ppp,fsm"},
	{"did not take its address", "the modem has a fixed address that is not the one granted"},
	{"not established in time", "the LAC never sent ICCN, or RADIUS is slow: show radius and setup_timeout"},
	{"peer does not answer", "the path to the LAC: firewalls, MTU; counters of show counters"},
	{"call cleared by the LAC", "the LAC's log: it ended the call first; the text behind the colon is its own"},
	{"tunnel lost", "show history tunnel: the LAC or the path to it failed, not the subscriber"},
	{"user terminated", "nothing here: the modem hung up while the session was set up"},
	{"dropped by operator", "nothing: an operator dropped it"},
}

// stageAdvice is for reasons that no row knows.
var stageAdvice = map[string]string{
	"tunnel": "the LAC's configuration; trace lac ADDRESS protocol,avp",
	"call":   "the LAC's log; trace lac ADDRESS protocol,avp",
	"lcp":    "the modem; trace the user or the calling number with ppp,fsm",
	"auth":   "show radius and the RADIUS server's log",
	"ncp":    "the modem's IP settings, pools and the RADIUS profile; trace the user with ppp,fsm,system",
}

// check says what to look at.
func check(stage, reason string) string {
	for _, a := range advice {
		if strings.Contains(reason, a.words) {
			return a.check
		}
	}
	return stageAdvice[stage]
}
