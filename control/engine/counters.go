package engine

import (
	"strings"
	"sync/atomic"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

// counter names one of the counts of a shard.
type counter uint8

const (
	tunnelsOpened counter = iota
	tunnelsUp
	tunnelsClosed
	tunnelsRefused
	tunnelsAuthFailed
	lacUnknown
	tunnelsDialed
	dialsFailed
	tiesWon
	tiesLost
	tunnelsIdle
	callsPlaced
	sessionsOpened
	sessionsUp
	sessionsDown
	sessionsFailed
	sessionsRefused
	noSessionID
	noTunnelID
	noSlot
	poolExhausted
	addressInUse
	duplicateLogins
	sessionsKicked
	sessionsChanged
	changesRefused
	authRequests
	authRejected
	authUnavailable
	authQueueFull
	acctRecords
	acctQueueFull
	programFailed
	packetsControl
	packetsData
	packetsBadPPP
	packetsNoTunnel
	packetsNoSession
	packetsWrongPeer
	packetsUser
	packetsLink6
	packetsWithheld
	answersLate
	controlResent
	vendorAVPs
	ignoredAVPs
	counters
)

var counterNames = [counters]string{
	tunnelsOpened:     "tunnels_opened",
	tunnelsUp:         "tunnels_established",
	tunnelsClosed:     "tunnels_closed",
	tunnelsRefused:    "tunnels_refused",
	tunnelsAuthFailed: "tunnel_auth_failures",
	lacUnknown:        "lac_unknown",
	tunnelsDialed:     "tunnels_dialed",
	dialsFailed:       "tunnel_dial_failures",
	tiesWon:           "tunnel_ties_won",
	tiesLost:          "tunnel_ties_lost",
	tunnelsIdle:       "tunnels_idle",
	callsPlaced:       "calls_placed",
	sessionsOpened:    "sessions_opened",
	sessionsUp:        "sessions_established",
	sessionsDown:      "sessions_closed",
	sessionsFailed:    "session_setup_failures",
	sessionsRefused:   "sessions_refused",
	noSessionID:       "session_ids_exhausted",
	noTunnelID:        "tunnel_ids_exhausted",
	noSlot:            "session_slots_exhausted",
	poolExhausted:     "pool_exhausted",
	addressInUse:      "address_in_use",
	duplicateLogins:   "duplicate_logins_refused",
	sessionsKicked:    "duplicate_logins_kicked",
	sessionsChanged:   "session_changes",
	changesRefused:    "session_changes_refused",
	authRequests:      "auth_requests",
	authRejected:      "auth_rejected",
	authUnavailable:   "auth_unavailable",
	authQueueFull:     "auth_queue_full",
	acctRecords:       "acct_records",
	acctQueueFull:     "acct_queue_full",
	programFailed:     "program_failures",
	packetsControl:    "packets_control",
	packetsData:       "packets_ppp",
	packetsBadPPP:     "packets_malformed_ppp",
	packetsNoTunnel:   "packets_unknown_tunnel",
	packetsNoSession:  "packets_unknown_session",
	packetsWrongPeer:  "packets_wrong_peer",
	packetsUser:       "packets_user_unexpected",
	packetsLink6:      "packets_ipv6_link",
	packetsWithheld:   "packets_withheld",
	answersLate:       "answers_late",
	controlResent:     "retransmissions",
	vendorAVPs:        "avps_of_vendors",
	ignoredAVPs:       "avps_ignored",
}

// messageTypes is how many control message types are counted one by one; the last
// stands for all unknown ones.
const messageTypes = int(l2tp.MaxMessageType) + 2

// counts are the counters of one shard: it alone writes, anybody reads.
type counts struct {
	n         [counters]atomic.Uint64
	sent      [messageTypes]atomic.Uint64
	received  [messageTypes]atomic.Uint64
	discarded [messageTypes]atomic.Uint64
	why       [l2tp.DiscardReasons]atomic.Uint64
	_         [64]byte
}

func (c *counts) add(k counter) { c.n[k].Add(1) }

func (c *counts) messages(o *l2tp.Out) {
	c.n[controlResent].Add(uint64(o.Resent))
	c.n[vendorAVPs].Add(uint64(o.VendorAVPs))
	c.n[ignoredAVPs].Add(uint64(o.IgnoredAVPs))
	for _, t := range o.Sent {
		c.sent[slotOf(t)].Add(1)
	}
	for _, t := range o.Received {
		c.received[slotOf(t)].Add(1)
	}
	for _, d := range o.Discarded {
		c.discarded[slotOf(d.Type)].Add(1)
		c.why[d.Reason].Add(1)
	}
}

// slotOf folds unknown types into one.
func slotOf(t l2tp.MessageType) int { return min(int(t), messageTypes-1) }

// messageName is what counters call a type, "" for a number that has none.
func messageName(slot int) string {
	if slot == messageTypes-1 {
		return "unknown"
	}
	if t := l2tp.MessageType(slot); t.Known() {
		return strings.ToLower(t.String())
	}
	return ""
}

// Counts returns the engine's counters, summed over the shards.
func (e *Engine) Counts() []session.Count {
	var out []session.Count
	put := func(name string, v uint64) { out = append(out, session.Count{Name: name, Value: v}) }
	for k, name := range counterNames {
		sum := uint64(0)
		for _, s := range e.shards {
			sum += s.counts.n[k].Load()
		}
		put(name, sum)
	}
	for c, name := range [classes]string{"inbox_refused_control", "inbox_refused_ppp", "inbox_refused_setup"} {
		sum := uint64(0)
		for i := range e.in.shards {
			sum += e.in.shards[i].refused[c].Load()
		}
		put(name, sum)
	}
	put("packets_malformed", e.in.malformed.Load())
	e.stageFailures(put)
	for r := 1; r < l2tp.DiscardReasons; r++ {
		sum := uint64(0)
		for _, s := range e.shards {
			sum += s.counts.why[r].Load()
		}
		put("ctl_discarded_as_"+l2tp.DiscardReason(r).String(), sum)
	}
	for t := range messageTypes {
		var sent, received, discarded uint64
		for _, s := range e.shards {
			sent += s.counts.sent[t].Load()
			received += s.counts.received[t].Load()
			discarded += s.counts.discarded[t].Load()
		}
		name := messageName(t)
		if name == "" {
			continue // a number that no message has
		}
		put("ctl_sent_"+name, sent)
		put("ctl_received_"+name, received)
		put("ctl_discarded_"+name, discarded)
	}
	return out
}
