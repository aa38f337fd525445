package session

import (
	"strings"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

// End is why a session ends: once for the accounting, once for the LAC, once for
// people.
type End struct {
	Cause  TerminateCause
	Result l2tp.Result // the CDN that the LAC gets
	// Reason is a few words for the log, and for the subscriber in the
	// Terminate-Request.
	Reason string
	// Message is what the subscriber is told instead, if not empty.
	Message string
	// Class is added to the Class attributes of the Accounting Stop.
	Class [][]byte
	// Quick sends one Terminate-Request and does not wait for its answer, for
	// ends where the other side is likely gone or many must end at once.
	Quick bool
	// Patience is how long the subscriber has to acknowledge the end; 0 leaves it to
	// PPP's own timers.
	Patience time.Duration
}

// ending is the End of a session that is closing, and since when.
type ending struct {
	End
	at time.Time
	// stage is what was going on.
	stage Stage
}

// PPP Disconnect Cause codes and directions (RFC 3145 section 2.1).
const (
	discAdministrative = 1
	discTerminate      = 3
	discFSMTimeout     = 5
	discNoLCP          = 6
	discLoop           = 7
	discEchoTimeout    = 8
	discAuthTimeout    = 13
	discAuthRefused    = 15
	discAuthFailed     = 16
	discNCPTimeout     = 17
	discNoNCP          = 18
	discNoAddress      = 19
	discAddressRefused = 20

	discGlobal  = 0
	discAtPeer  = 1
	discAtLocal = 2
)

func disconnect(code uint16, proto ppp.Protocol, dir uint8) l2tp.DisconnectCause {
	return l2tp.DisconnectCause{Present: true, Code: code, Protocol: uint16(proto), Direction: dir}
}

func administrative(cause TerminateCause, reason string) End {
	return End{Cause: cause, Reason: reason, Result: l2tp.Result{
		Code: l2tp.CDNAdministrative, Message: reason, Disconnect: disconnect(discAdministrative, 0, discGlobal),
	}}
}

// Ends that come from outside of the session.

// EndByOperator is an operator's drop; a zero cause means Admin-Reset.
func EndByOperator(cause TerminateCause) End {
	if cause == 0 {
		cause = CauseAdminReset
	}
	return administrative(cause, "dropped by operator")
}

// EndByDuplicate ends the old session of a user who logged in again. The old
// client is mostly gone already, and the new one may wait for its address.
func EndByDuplicate() End {
	e := administrative(CauseNASRequest, "user logged in again")
	e.Quick = true
	return e
}

// EndByShutdown ends every session when the daemon is shut down for good.
func EndByShutdown() End {
	e := administrative(CauseNASReboot, "server is shutting down")
	e.Quick = true
	return e
}

// endOfLink says what the end of the PPP link means to the others.
func endOfLink(c ppp.Cause, message string) End {
	e := End{Result: l2tp.Result{Code: l2tp.CDNAdministrative}}
	var d l2tp.DisconnectCause
	switch c {
	case ppp.CausePeerClosed:
		e.Cause, e.Reason = CauseUserRequest, "user terminated the link"
		e.Result.Code = l2tp.CDNLostCarrier
		d = disconnect(discTerminate, ppp.ProtoLCP, discAtLocal)
	case ppp.CauseLCPTimeout:
		e.Cause, e.Reason = CausePortError, "LCP did not converge"
		d = disconnect(discFSMTimeout, ppp.ProtoLCP, discGlobal)
	case ppp.CauseLoop:
		e.Cause, e.Reason = CausePortError, "link is looped back"
		d = disconnect(discLoop, ppp.ProtoLCP, discGlobal)
	case ppp.CauseEcho:
		e.Cause, e.Reason = CauseLostService, "LCP echo unanswered"
		e.Result.Code = l2tp.CDNLostCarrier
		d = disconnect(discEchoTimeout, ppp.ProtoLCP, discAtPeer)
	case ppp.CauseAuthRefused:
		e.Cause, e.Reason = CauseServiceUnavailable, "peer refused to authenticate"
		d = disconnect(discAuthRefused, ppp.ProtoLCP, discAtPeer)
	case ppp.CauseAuthFailed:
		e.Cause, e.Reason = CauseServiceUnavailable, "authentication failed"
		d = disconnect(discAuthFailed, 0, discAtPeer)
	case ppp.CauseAuthTimeout:
		e.Cause, e.Reason = CauseServiceUnavailable, "authentication timed out"
		d = disconnect(discAuthTimeout, 0, discGlobal)
	case ppp.CauseNCPTimeout:
		e.Cause, e.Reason = CauseServiceUnavailable, "no network protocol came up"
		d = disconnect(discNCPTimeout, ppp.ProtoIPCP, discGlobal)
	case ppp.CauseNoAddress:
		e.Cause, e.Reason = CauseServiceUnavailable, "peer did not take its address"
		d = disconnect(discNoAddress, ppp.ProtoIPCP, discAtPeer)
	default:
		e.Cause, e.Reason = CauseNASRequest, "link closed"
		d = disconnect(discTerminate, ppp.ProtoLCP, discAtPeer)
	}
	d.Message = message
	e.Result.Disconnect, e.Result.Message = d, e.Reason
	return e
}

// EndOfCall is a CDN from the LAC. A PPP Disconnect Cause AVP tells more than the
// result code (RFC 3145 section 2).
func EndOfCall(r l2tp.Result) End {
	e := End{Cause: CauseLostCarrier, Result: r, Quick: true, Reason: "call cleared by the LAC"}
	switch {
	case r.Message != "":
		e.Reason += ": " + r.Message
	case r.Disconnect.Message != "":
		e.Reason += ": " + r.Disconnect.Message
	default:
		e.Reason += ": " + l2tp.CDNText(r.Code)
	}
	if !r.Disconnect.Present {
		return e
	}
	if c, ok := causeOfDisconnect(r.Disconnect); ok {
		e.Cause = c
	}
	return e
}

// EndOfPlacedCall is EndOfCall for a call that we have placed.
func EndOfPlacedCall(r l2tp.Result) End {
	e := EndOfCall(r)
	e.Reason = strings.Replace(e.Reason, "the LAC", "the peer", 1)
	return e
}

// EndOfTunnel is the loss of the tunnel: a StopCCN, or a peer that is silent.
func EndOfTunnel(r l2tp.Result) End {
	e := End{Cause: CauseLostService, Result: r, Quick: true, Reason: "tunnel lost"}
	if r.Message != "" {
		e.Reason += ": " + r.Message
	}
	return e
}

// causeOfDisconnect maps RFC 3145 section 2.1 to RFC 2866 section 5.10.
func causeOfDisconnect(d l2tp.DisconnectCause) (TerminateCause, bool) {
	switch d.Code {
	case discAdministrative:
		return CauseAdminReset, true
	case discTerminate:
		if d.Direction == discAtLocal {
			return CauseUserRequest, true
		}
		return CauseNASRequest, true
	case 4: // encryption refused
		if d.Direction == discAtPeer {
			return CauseUserError, true
		}
		return CauseServiceUnavailable, true
	case discFSMTimeout, discNoLCP, discLoop, discEchoTimeout:
		return CausePortError, true
	case discAuthTimeout, discAuthRefused, discAuthFailed, discNCPTimeout,
		discNoNCP, discNoAddress, discAddressRefused:
		return CauseServiceUnavailable, true
	}
	return 0, false
}
