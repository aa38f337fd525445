package radius

import (
	"cmp"
	"strconv"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2867"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc4372"

	"github.com/lnsd/lnsd/control/session"
)

// The kinds of Acct-Status-Type that are about the NAS and not about a session
// (RFC 2866 section 5.1).
const (
	acctOn  session.AcctKind = 7
	acctOff session.AcctKind = 8
)

// account writes an Accounting-Request. Event-Timestamp says when the event was and
// Acct-Delay-Time for how long it has been waiting to be sent; it is that of the first
// packet to this server, so that a retransmission can be the same packet (RFC 2866
// section 5.2). All else depends on the record alone: a server that gets it twice can
// tell so.
func (q *requests) account(s *server, id byte, r *request) ([]byte, error) {
	a, rec := q.attrs, r.acct
	a.reset()
	a.number(rfc2866.AcctStatusType_Type, uint32(rec.Kind))
	a.text(rfc2866.AcctSessionID_Type, rec.Call.AcctSessionID)
	a.number(rfc2869.EventTimestamp_Type, seconds32(rec.At))
	a.number(rfc2866.AcctDelayTime_Type, delay(rec.At, r.first))
	switch rec.Kind {
	case acctOn, acctOff:
		q.nas()
	case session.AcctTunnelStart, session.AcctTunnelStop, session.AcctTunnelReject:
		q.tunnelAccount(rec)
	default:
		q.subscriber(rec, cmp.Or(r.user, rec.User))
	}
	if rec.Kind.Ends() || rec.Kind == session.AcctInterim {
		q.usage(rec)
	}
	if rec.Cause != 0 {
		a.number(rfc2866.AcctTerminateCause_Type, uint32(rec.Cause))
	}
	// Encode computes the Request Authenticator, an MD5 over the packet and the
	// secret (RFC 2866 section 3).
	p := radius.Packet{Code: radius.CodeAccountingRequest, Identifier: id, Secret: s.secret, Attributes: a.list}
	return p.Encode()
}

// delay is the seconds between an event and the sending; a clock that was set back
// makes none.
func delay(at, sent time.Time) uint32 {
	d := sent.Sub(at) / time.Second
	if at.IsZero() || d < 0 {
		return 0
	}
	return uint32(min(d, 1<<31))
}

// tunnelAccount appends what a record of a tunnel has (RFC 2867 sections 3.1 to 3.3).
// The LAC's name stands for its user, and the ids of both ends for the connection.
func (q *requests) tunnelAccount(rec *session.AcctRecord) {
	a := q.attrs
	a.text(rfc2865.UserName_Type, rec.User)
	q.nas()
	q.endpoints(&rec.Call)
	start := len(a.values)
	b := strconv.AppendUint(a.values, uint64(rec.TunnelID), 10)
	a.values = strconv.AppendUint(append(b, '/'), uint64(rec.Call.PeerTunnelID), 10)
	a.add(rfc2867.AcctTunnelConnection_Type, start)
	q.assignment(&rec.Call)
}

// subscriber appends who the record is about and what was granted.
func (q *requests) subscriber(rec *session.AcctRecord, user string) {
	a := q.attrs
	a.text(rfc2865.UserName_Type, user)
	// The tunnel's account holds those of its links (RFC 2867 section 3.5).
	a.text(rfc2866.AcctMultiSessionID_Type, rec.Tunnel)
	q.identity(rec.Ref, &rec.Call)
	a.address(rfc2865.FramedIPAddress_Type, 0, rec.Address)
	for _, p := range rec.Routes {
		start := len(a.values)
		// Gateway 0.0.0.0 is the subscriber (RFC 2865 section 5.22).
		a.values = append(p.AppendTo(a.values), " 0.0.0.0 1"...)
		a.add(rfc2865.FramedRoute_Type, start)
	}
	q.network6(rec.IPv6)
	// Unchanged, all of them, in their order (RFC 2865 section 5.25).
	for _, c := range rec.Class {
		a.raw(rfc2865.Class_Type, c)
	}
	if len(rec.CUI) > 0 {
		a.raw(rfc4372.ChargeableUserIdentity_Type, rec.CUI[:min(len(rec.CUI), maxValue)])
	}
	authentic := rfc2866.AcctAuthentic_Value_RADIUS
	if q.cfg.LocalAuthentic || rec.Local {
		authentic = rfc2866.AcctAuthentic_Value_Local
	}
	a.number(rfc2866.AcctAuthentic_Type, uint32(authentic))
}

// usage appends time and traffic. Input is what came from the subscriber, output
// what went to it (RFC 2866 sections 5.3 and 5.4); the gigawords count how often
// 2^32 was passed (RFC 2869 sections 5.1 and 5.2). Packets have no such pair and
// wrap.
func (q *requests) usage(rec *session.AcctRecord) {
	a, c := q.attrs, &rec.Counters
	a.number(rfc2866.AcctSessionTime_Type, uint32(rec.Duration/time.Second))
	a.number(rfc2866.AcctInputOctets_Type, uint32(c.UpBytes))
	a.number(rfc2866.AcctOutputOctets_Type, uint32(c.DownBytes))
	a.number(rfc2869.AcctInputGigawords_Type, uint32(c.UpBytes>>32))
	a.number(rfc2869.AcctOutputGigawords_Type, uint32(c.DownBytes>>32))
	a.number(rfc2866.AcctInputPackets_Type, uint32(c.UpPackets))
	a.number(rfc2866.AcctOutputPackets_Type, uint32(c.DownPackets))
	if rec.IPv6 != nil {
		q.usage6(c)
	}
	if rec.Kind == session.AcctLinkStop {
		a.number(rfc2867.AcctTunnelPacketsLost_Type, uint32(c.UpDropped+c.DownDropped)) // RFC 2867 section 4.2
	}
}

// seconds32 is a time as RADIUS has it, seconds since 1970 UTC in 32 bits without
// a sign.
func seconds32(t time.Time) uint32 { return uint32(t.Unix()) }
