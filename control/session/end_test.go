package session

import (
	"strings"
	"testing"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

// What a CDN's PPP Disconnect Cause (RFC 3145 section 2) means for the account.
func TestEndOfCall(t *testing.T) {
	cases := []struct {
		code uint16
		dir  uint8
		want TerminateCause
	}{
		{1, 0, CauseAdminReset}, {3, 2, CauseUserRequest}, {3, 1, CauseNASRequest},
		{4, 1, CauseUserError}, {4, 2, CauseServiceUnavailable},
		{5, 0, CausePortError}, {6, 0, CausePortError}, {7, 0, CausePortError}, {8, 0, CausePortError},
		{13, 0, CauseServiceUnavailable}, {15, 0, CauseServiceUnavailable}, {16, 1, CauseServiceUnavailable},
		{17, 0, CauseServiceUnavailable}, {18, 0, CauseServiceUnavailable}, {19, 1, CauseServiceUnavailable},
		{20, 1, CauseServiceUnavailable}, {2, 0, CauseLostCarrier}, {12, 0, CauseLostCarrier}, {999, 0, CauseLostCarrier},
	}
	for _, x := range cases {
		e := EndOfCall(l2tp.Result{Code: l2tp.CDNLostCarrier,
			Disconnect: l2tp.DisconnectCause{Present: true, Code: x.code, Direction: x.dir}})
		if e.Cause != x.want {
			t.Errorf("code %d direction %d: cause %d, want %d", x.code, x.dir, e.Cause, x.want)
		}
	}
	if e := EndOfCall(l2tp.Result{Code: l2tp.CDNLostCarrier}); e.Cause != CauseLostCarrier ||
		!strings.Contains(e.Reason, "loss of carrier") {
		t.Errorf("without the AVP: %+v", e)
	}
	if e := EndOfTunnel(l2tp.Result{}); e.Cause != CauseLostService {
		t.Errorf("tunnel: %+v", e)
	}
}

// Every end of a link has a cause, a result that a CDN may carry, and words.
func TestEndOfLinkIsComplete(t *testing.T) {
	disconnects := map[ppp.Cause]uint16{
		ppp.CauseClosed: 3, ppp.CausePeerClosed: 3, ppp.CauseLCPTimeout: 5, ppp.CauseLoop: 7, ppp.CauseEcho: 8,
		ppp.CauseAuthRefused: 15, ppp.CauseAuthFailed: 16, ppp.CauseAuthTimeout: 13,
		ppp.CauseNCPTimeout: 17, ppp.CauseNoAddress: 19,
	}
	for c := ppp.CauseClosed; c <= ppp.CauseNoAddress; c++ {
		e := endOfLink(c, "text")
		if e.Cause == 0 || e.Reason == "" || e.Result.Code == 0 || e.Result.Message == "" {
			t.Errorf("%v: %+v", c, e)
		}
		if d := e.Result.Disconnect; !d.Present || d.Code != disconnects[c] || d.Message != "text" {
			t.Errorf("%v: disconnect cause %+v, want code %d", c, d, disconnects[c])
		}
	}
}
