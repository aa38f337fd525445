package tun

import (
	"sync/atomic"

	"github.com/lnsd/lnsd/control/session"
)

// reason is how a packet ended in the slow path.
type reason int

const (
	upForwarded reason = iota
	upSpoofedPeer
	upSpoofedSource
	upMalformed
	upNotIPv4
	upLate
	upECN
	upHairpin
	upFiltered
	upThrottled
	upWriteError
	downForwarded
	downFragmented
	downTooBig
	downFiltered
	downThrottled
	downNoSession
	downMalformed
	downNotIPv4
	downReadError
	icmpSent
	icmpSuppressed
	icmpError
	routeError
	reasons // how many there are
)

var reasonNames = [reasons]string{
	upForwarded:     "slow_up_forwarded",
	upSpoofedPeer:   "slow_up_spoofed_peer",
	upSpoofedSource: "slow_up_spoofed_source",
	upMalformed:     "slow_up_malformed",
	upNotIPv4:       "slow_up_not_ipv4",
	upLate:          "slow_up_late",
	upECN:           "slow_up_ecn",
	upHairpin:       "slow_up_hairpin_denied",
	upFiltered:      "slow_up_filtered",
	upThrottled:     "slow_up_throttled",
	upWriteError:    "slow_up_write_error",
	downForwarded:   "slow_down_forwarded",
	downFragmented:  "slow_down_fragmented",
	downTooBig:      "slow_down_too_big",
	downFiltered:    "slow_down_filtered",
	downThrottled:   "slow_down_throttled",
	downNoSession:   "slow_down_no_session",
	downMalformed:   "slow_down_malformed",
	downNotIPv4:     "slow_down_not_ipv4",
	downReadError:   "slow_down_read_error",
	icmpSent:        "slow_icmp_sent",
	icmpSuppressed:  "slow_icmp_suppressed",
	icmpError:       "slow_icmp_error",
	routeError:      "slow_route_error",
}

// counts holds the packets of each reason, and the bytes of the IP packets that
// were forwarded.
type counts struct {
	packets            [reasons]atomic.Uint64
	upBytes, downBytes atomic.Uint64
}

func (c *counts) add(r reason, n int) { c.packets[r].Add(uint64(n)) }

func (c *counts) list() []session.Count {
	out := make([]session.Count, 0, reasons+2)
	for i := range c.packets {
		out = append(out, session.Count{Name: reasonNames[i], Value: c.packets[i].Load()})
	}
	return append(out,
		session.Count{Name: "slow_up_forwarded_bytes", Value: c.upBytes.Load()},
		session.Count{Name: "slow_down_forwarded_bytes", Value: c.downBytes.Load()})
}
