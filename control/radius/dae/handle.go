package dae

import (
	"context"
	"encoding/binary"
	"net/netip"

	"go.uber.org/zap"
	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3576"

	"github.com/lnsd/lnsd/control/session"
)

// request is one verified request.
type request struct {
	*radius.Packet
	client  *client
	source  netip.AddrPort
	arrived netip.Addr // our address that it was sent to

	target target
	// cause, message and class belong to a Disconnect-Request.
	cause   session.TerminateCause
	message string
	class   [][]byte
}

func (q *request) disconnect() bool { return q.Code == radius.CodeDisconnectRequest }

// handle carries a request out and returns what refuses it, if anything.
func (s *Server) handle(ctx context.Context, q *request) *refusal {
	if no := q.read(s.identifiers); no != nil {
		return no
	}
	if !s.identity.is(&q.target.nas, q.arrived) {
		return &refusal{nasMismatch, "the request is for another server"}
	}
	if !q.target.given {
		return &refusal{missingAttribute, "the request names no session"}
	}
	o := session.ChangeOptions{
		Several: s.cfg.Several, By: "radius client " + q.client.Name + " " + q.source.Addr().String(),
		Cause: q.cause, Message: q.message, Class: q.class,
	}
	if q.disconnect() {
		return s.end(ctx, q, o)
	}
	return s.change(ctx, q, o)
}

func (s *Server) end(ctx context.Context, q *request, o session.ChangeOptions) *refusal {
	if q.target.nobody {
		return refusalOf(session.ErrNoSession, true)
	}
	n, err := s.cfg.Sessions.End(ctx, q.target.Selector, o)
	if err != nil {
		return refusalOf(err, true)
	}
	s.log.info("sessions disconnected by RADIUS", append(q.fields(), zap.Int("sessions", n))...)
	return nil
}

func (s *Server) change(ctx context.Context, q *request, o session.ChangeOptions) *refusal {
	if no := q.checkServiceType(s.identifiers); no != nil {
		return no
	}
	c, unsupported, err := s.cfg.Policy.Change(q.Packet)
	switch {
	case err != nil:
		return &refusal{invalidValue, err.Error()}
	case len(unsupported) > 0:
		return unsupportedType(unsupported[0])
	case c.Empty():
		return &refusal{missingAttribute, "the request changes nothing"}
	case c.Intercept != nil && !q.client.Intercept:
		return &refusal{prohibited, "the client may not order this"}
	case q.target.nobody:
		return refusalOf(session.ErrNoSession, false)
	}
	n, err := s.cfg.Sessions.Change(ctx, q.target.Selector, c, o)
	if err != nil {
		return refusalOf(err, false)
	}
	s.log.info("sessions changed by RADIUS", append(q.fields(), zap.Int("sessions", n))...)
	return nil
}

// read takes the attributes that identify, and those that belong to the exchange.
// Every other is for the policy in a CoA-Request and a fault in a Disconnect-Request
// (RFC 5176 sections 2.3 and 3).
func (q *request) read(identifiers map[radius.Type]identifier) *refusal {
	seen := map[radius.Type]bool{}
	for _, a := range q.Attributes {
		read, identifies := identifiers[a.Type]
		once := identifies || a.Type == rfc2865.State_Type || a.Type == rfc2865.ServiceType_Type ||
			a.Type == rfc2869.EventTimestamp_Type
		if once && seen[a.Type] {
			return &refusal{invalidRequest, "attribute " + typeText(a.Type) + " is there twice"}
		}
		seen[a.Type] = true
		var no *refusal
		switch {
		case identifies:
			no = read(&q.target, a.Attribute)
		case a.Type == rfc2866.AcctMultiSessionID_Type, a.Type == rfc3576.ErrorCause_Type:
			no = unsupportedType(a.Type) // nothing here has the one, requests never the other
		case q.disconnect():
			no = q.readDisconnect(a)
		case a.Type == rfc2865.ReplyMessage_Type:
			no = unsupportedType(a.Type) // PPP has no way to show it
		}
		if no != nil {
			return no
		}
	}
	return nil
}

// readDisconnect takes what a Disconnect-Request may say besides (section 3.6).
func (q *request) readDisconnect(a *radius.AVP) *refusal {
	switch a.Type {
	case rfc2865.ProxyState_Type, rfc2869.EventTimestamp_Type, rfc2869.MessageAuthenticator_Type:
	case rfc2865.ReplyMessage_Type:
		q.message += string(a.Attribute)
	case rfc2865.Class_Type:
		// It goes to the accounting server with the Stop (note 4).
		q.class = append(q.class, a.Attribute)
	case rfc2866.AcctTerminateCause_Type:
		if len(a.Attribute) != 4 {
			return malformed
		}
		n := binary.BigEndian.Uint32(a.Attribute)
		if n == 0 || n > uint32(session.CauseHostRequest) {
			return &refusal{invalidValue, "no such Acct-Terminate-Cause"}
		}
		q.cause = session.TerminateCause(n)
	default:
		return unsupportedType(a.Type)
	}
	return nil
}

// checkServiceType refuses what a CoA-Request can't ask for by Service-Type. Framed is
// what a session is, and changes nothing.
func (q *request) checkServiceType(identifiers map[radius.Type]identifier) *refusal {
	v, ok := q.Lookup(rfc2865.ServiceType_Type)
	if !ok {
		return nil
	}
	if len(v) != 4 {
		return malformed
	}
	switch binary.BigEndian.Uint32(v) {
	case uint32(rfc2865.ServiceType_Value_FramedUser):
		return nil
	case authorizeOnly:
		if _, ok := q.Lookup(rfc2865.State_Type); !ok {
			return &refusal{missingAttribute, "Authorize-Only without State"} // section 3.3
		}
		for _, a := range q.Attributes {
			if _, identifies := identifiers[a.Type]; !identifies && !exchange(a.Type) {
				return unsupportedType(a.Type) // section 3.2
			}
		}
	}
	return &refusal{unsupportedService, "Service-Type is not supported"}
}

// exchange reports whether an attribute belongs to the exchange and asks for nothing.
func exchange(t radius.Type) bool {
	switch t {
	case rfc2865.ServiceType_Type, rfc2865.State_Type, rfc2865.ProxyState_Type,
		rfc2869.EventTimestamp_Type, rfc2869.MessageAuthenticator_Type:
		return true
	}
	return false
}
