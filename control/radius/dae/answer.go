package dae

import (
	"context"
	"encoding/binary"
	"errors"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3576"

	"github.com/lnsd/lnsd/control/session"
)

// Error-Cause values (RFC 5176 section 3.5).
const (
	unsupportedAttribute = 401
	missingAttribute     = 402
	nasMismatch          = 403
	invalidRequest       = 404
	unsupportedService   = 405
	invalidValue         = 407
	prohibited           = 501
	contextNotFound      = 503
	contextNotRemovable  = 504
	resourcesUnavailable = 506
	multipleNotSupported = 508
	authorizeOnly        = 17 // Service-Type
)

// refusal is why a request is answered with a NAK.
type refusal struct {
	cause  uint32
	reason string
}

var malformed = &refusal{invalidRequest, "an attribute is malformed"}

// refusalOf says what an error of Sessions is to the client.
func refusalOf(err error, disconnect bool) *refusal {
	var invalid *session.InvalidChange
	switch {
	case errors.Is(err, session.ErrNoSession), errors.Is(err, session.ErrNotUp):
		return &refusal{contextNotFound, "no such session"}
	case errors.Is(err, session.ErrSeveral):
		return &refusal{multipleNotSupported, "several sessions match"}
	case errors.As(err, &invalid), errors.Is(err, session.ErrNoService):
		return &refusal{invalidValue, err.Error()}
	case disconnect:
		return &refusal{contextNotRemovable, err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return &refusal{resourcesUnavailable, "the forwarding path does not answer"}
	}
	return &refusal{resourcesUnavailable, err.Error()}
}

// answer builds the reply to a request; no is nil for an ACK.
func answer(p *radius.Packet, no *refusal, cause session.TerminateCause) ([]byte, error) {
	disconnect := p.Code == radius.CodeDisconnectRequest
	code := radius.CodeCoAACK
	switch {
	case disconnect && no == nil:
		code = radius.CodeDisconnectACK
	case disconnect:
		code = radius.CodeDisconnectNAK
	case no != nil:
		code = radius.CodeCoANAK
	}
	r := p.Response(code)
	signed := make(radius.Attribute, 16)
	r.Add(rfc2869.MessageAuthenticator_Type, signed)
	if no != nil {
		r.Add(rfc3576.ErrorCause_Type, number(no.cause))
	} else if disconnect {
		// Section 2.1.
		r.Add(rfc2866.AcctTerminateCause_Type, number(uint32(cause)))
	}
	for _, a := range p.Attributes {
		switch {
		case a.Type == rfc2865.ProxyState_Type, // section 3.1
			a.Type == rfc2865.State_Type && !disconnect: // section 3.3
			r.Add(a.Type, a.Attribute)
		}
	}
	// The Request Authenticator is what Response left in its place (section 3.4).
	sum, err := signature(r)
	if err != nil {
		return nil, err
	}
	copy(signed, sum)
	return r.Encode()
}

func number(v uint32) radius.Attribute { return binary.BigEndian.AppendUint32(nil, v) }
