package radius

import (
	"errors"
	"strings"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/lnsd/lnsd/control/radius/policy"
	"github.com/lnsd/lnsd/control/session"
)

// reply is an answer to an Access-Request while it is decoded.
type reply struct {
	q   *session.AuthRequest
	res session.AuthResult

	message   strings.Builder
	chapError string
}

// decodeReply turns a verified answer into the result of q. What was sent and had
// no effect is named in ignored, for the log.
func decodeReply(t *policy.Table, q *session.AuthRequest, b []byte) (res *session.AuthResult, ignored []string) {
	d := &reply{q: q}
	d.res.Ref = q.Ref
	ignored, err := d.decode(t, b)
	if err != nil {
		return &session.AuthResult{Ref: q.Ref, Verdict: session.Reject, Cause: err.Error(), Message: d.message.String()}, ignored
	}
	held := d.res // the result is kept, and shall not keep the request with it
	return &held, ignored
}

func (d *reply) decode(t *policy.Table, b []byte) (ignored []string, err error) {
	p, err := radius.Parse(b, nil)
	if err != nil {
		return nil, err
	}
	// What belongs to the exchange is read here, the rest by the table.
	rest := p.Attributes[:0]
	for _, a := range p.Attributes {
		if a.Type == rfc2865.ReplyMessage_Type {
			// Several are one text, in their order (RFC 2865 section 5.18).
			d.message.Write(a.Attribute)
			continue
		}
		if a.Type == vendorSpecific {
			if _, err := vendorAttributes(a.Attribute, d.microsoft); err != nil && p.Code == radius.CodeAccessAccept {
				return nil, err
			}
		}
		rest = append(rest, a)
	}
	p.Attributes = rest
	switch p.Code {
	case radius.CodeAccessAccept:
		return d.accept(t, p)
	case radius.CodeAccessChallenge:
		// PPP has no way to put the question to the subscriber (RFC 2865
		// section 4.4: treat it as an Access-Reject).
		d.res.Cause = "the server asked for a challenge-response exchange"
	default:
		d.res.Cause = "rejected by the server"
	}
	// Some servers send the subscriber's attributes with a reject too.
	d.res.MSCHAPSuccess = ""
	d.res.Message = d.message.String()
	if d.q.Method == session.AuthMSCHAPv2 && d.chapError != "" {
		d.res.Message = d.chapError
	}
	return nil, nil
}

// accept takes what an Access-Accept grants.
func (d *reply) accept(t *policy.Table, p *radius.Packet) (ignored []string, err error) {
	if ignored, err = t.Profile(p, &d.res.Profile); err != nil {
		return ignored, err
	}
	if d.q.Method == session.AuthMSCHAPv2 && d.res.MSCHAPSuccess == "" {
		return ignored, errors.New("Access-Accept without MS-CHAP2-Success")
	}
	d.res.Verdict = session.Accept
	d.res.Message = d.message.String()
	return ignored, nil
}

// microsoft takes what answers an MS-CHAPv2 response.
func (d *reply) microsoft(vendor uint32, t byte, v []byte) error {
	switch {
	case vendor != vendorMicrosoft:
	case t == msCHAP2Success:
		// Ident, then "S=" and 40 digits (RFC 2548 section 2.3.3). The text is
		// what the client checks; the ident is that of the PPP packet already.
		if len(v) < 43 || string(v[1:3]) != "S=" {
			return errors.New("malformed MS-CHAP2-Success")
		}
		d.res.MSCHAPSuccess = string(v[1:43])
	case t == msCHAPError && len(v) > 1:
		// We take no second try on the same link, so the client must not be
		// told that it may make one (RFC 2759 section 6).
		d.chapError = strings.Replace(string(v[1:]), " R=1", " R=0", 1)
	}
	return nil
}
