package radius

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2867"
	"layeh.com/radius/rfc2868"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc4372"

	"github.com/lnsd/lnsd/control/session"
)

// requests writes the packets of one exchange; it is used under its lock.
type requests struct {
	cfg *Config
	// random fills b with unpredictable bytes: the Request Authenticator must be
	// both unpredictable and unique (RFC 2865 section 3).
	random func(b []byte)
	attrs  *attributes
}

// access writes an Access-Request.
func (q *requests) access(s *server, id byte, r *request) ([]byte, error) {
	a, auth := q.attrs, r.auth
	a.reset()
	p := radius.Packet{Code: radius.CodeAccessRequest, Identifier: id, Secret: s.secret}
	q.random(p.Authenticator[:])

	// First, so that nothing that an attacker gets to choose stands before it
	// and the prefix of the packet cannot be prepared for a collision.
	var zero [16]byte
	a.raw(rfc2869.MessageAuthenticator_Type, zero[:])
	user := cmp.Or(r.user, auth.User)
	if user == "" || len(user) > maxValue {
		return nil, fmt.Errorf("user name of %d bytes", len(user))
	}
	a.text(rfc2865.UserName_Type, user)
	if err := q.credentials(auth, &p); err != nil {
		return nil, err
	}
	q.identity(auth.Ref, &auth.Call)
	a.text(rfc2866.AcctSessionID_Type, auth.Call.AcctSessionID)
	if q.cfg.RequestCUI {
		// A single NUL asks for one (RFC 4372 section 2.1).
		a.raw(rfc4372.ChargeableUserIdentity_Type, []byte{0})
	}
	p.Attributes = a.list
	b, err := p.Encode()
	if err != nil {
		return nil, err
	}
	s.sign(b, headerLen+2)
	return b, nil
}

var errCredentials = errors.New("malformed credentials")

// credentials appends what proves the subscriber's identity.
func (q *requests) credentials(auth *session.AuthRequest, p *radius.Packet) error {
	a := q.attrs
	switch auth.Method {
	case session.AuthPAP:
		hidden, err := radius.NewUserPassword(auth.Password, p.Secret, p.Authenticator[:])
		if err != nil {
			return err
		}
		a.raw(rfc2865.UserPassword_Type, hidden)
	case session.AuthCHAP:
		if len(auth.Response) != 16 || len(auth.Challenge) == 0 || len(auth.Challenge) > maxValue {
			return errCredentials
		}
		start := len(a.values)
		a.values = append(append(a.values, auth.ID), auth.Response...)
		a.add(rfc2865.CHAPPassword_Type, start)
		// A challenge of 16 bytes could go in the Request Authenticator instead
		// (RFC 2865 section 5.3), which then would not be random to us.
		a.raw(rfc2865.CHAPChallenge_Type, auth.Challenge)
	case session.AuthMSCHAPv2:
		if len(auth.Response) != 49 || len(auth.Challenge) != 16 {
			return errCredentials
		}
		a.vendor(vendorMicrosoft, msCHAPChallenge, auth.Challenge)
		// PPP: peer challenge, reserved, NT response, flags (RFC 2759 section 4).
		// RADIUS: ident, flags, then the rest (RFC 2548 section 2.3.2).
		v := auth.Response
		a.vendor(vendorMicrosoft, msCHAP2Response, []byte{auth.ID, v[48]}, v[:48])
	default:
		return errors.New("the subscriber gave no credentials")
	}
	return nil
}

// identity appends what says where the call comes in, the same in access and
// accounting requests.
func (q *requests) identity(ref session.Ref, call *session.CallInfo) {
	a := q.attrs
	q.nas()
	a.number(rfc2865.NASPort_Type, session.NASPort(ref, call.PhysicalChannel))
	a.number(rfc2865.NASPortType_Type, q.cfg.NASPortType)
	q.nasPortID(ref, call)
	a.number(rfc2865.ServiceType_Type, uint32(rfc2865.ServiceType_Value_FramedUser))
	a.number(rfc2865.FramedProtocol_Type, uint32(rfc2865.FramedProtocol_Value_PPP))
	a.text(rfc2865.CalledStationID_Type, call.CalledNumber)
	a.text(rfc2865.CallingStationID_Type, call.CallingNumber)
	q.connectInfo(call)
	q.line(call.Line)
	q.tunnel(call)
}

// nas appends who we are (RFC 2865 section 4.1: one of them at least).
func (q *requests) nas() {
	q.attrs.text(rfc2865.NASIdentifier_Type, q.cfg.NASIdentifier)
	q.attrs.address(rfc2865.NASIPAddress_Type, rfc3162.NASIPv6Address_Type, q.cfg.NASAddress)
}

// nasPortID appends all that identifies the call on both ends, in the layout that
// Nokia's LNS uses and collectors know: routing table, local and remote address,
// local and remote tunnel and session ids, call serial number.
func (q *requests) nasPortID(ref session.Ref, call *session.CallInfo) {
	a := q.attrs
	start := len(a.values)
	b := append(a.values, "LNS rtr-0#lip-"...)
	b = appendAddr(b, call.LNS)
	b = append(b, "#rip-"...)
	b = appendAddr(b, call.LAC)
	for _, id := range []struct {
		name  string
		value uint16
	}{
		{"#ltid-", ref.TunnelID}, {"#rtid-", call.PeerTunnelID},
		{"#lsid-", ref.SessionID}, {"#rsid-", call.PeerSessionID},
	} {
		b = strconv.AppendUint(append(b, id.name...), uint64(id.value), 10)
	}
	a.values = strconv.AppendUint(append(b, '#'), uint64(call.CallSerial), 10)
	a.add(rfc2869.NASPortID_Type, start)
}

// connectInfo appends the speeds in bit/s. Ours to the subscriber comes first
// (RFC 2869 section 5.11: transmit, then receive), which is the LAC's Tx speed
// too; the other is left out when it is the same.
func (q *requests) connectInfo(call *session.CallInfo) {
	if call.TxSpeed == 0 {
		return
	}
	a := q.attrs
	start := len(a.values)
	a.values = strconv.AppendUint(a.values, uint64(call.TxSpeed), 10)
	if call.RxSpeed != 0 && call.RxSpeed != call.TxSpeed {
		a.values = strconv.AppendUint(append(a.values, '/'), uint64(call.RxSpeed), 10)
	}
	a.add(rfc2869.ConnectInfo_Type, start)
}

// line appends what the LAC said of the access line: the AVPs' types and units are
// those of the attributes (RFC 5515 section 5, RFC 4679 section 3.3).
func (q *requests) line(l *session.AccessLine) {
	if l == nil {
		return
	}
	a := q.attrs
	a.vendorText(vendorADSL, 1, l.CircuitID)
	a.vendorText(vendorADSL, 2, l.RemoteID)
	for i, v := range l.Values {
		if v != 0 {
			var b [4]byte
			binary.BigEndian.PutUint32(b[:], v)
			a.vendor(vendorADSL, byte(129+i), b[:])
		}
	}
	a.vendorText(vendorADSL, 144, l.Loop)
	if l.Interworking {
		a.vendor(vendorADSL, 254)
	}
}

// tunnel appends the tunnel attributes (RFC 2868 section 3, RFC 2867 section 4.1).
// The LAC is the initiator, the client end; we are the server end.
func (q *requests) tunnel(call *session.CallInfo) {
	a := q.attrs
	if !call.LAC.IsValid() {
		return
	}
	q.endpoints(call)
	// The Call Serial Number is the id of the call that both ends know.
	start := len(a.values)
	a.values = strconv.AppendUint(a.values, uint64(call.CallSerial), 10)
	a.add(rfc2867.AcctTunnelConnection_Type, start)
	q.assignment(call)
}

// endpoints appends what kind of tunnel it is and where it begins and ends.
func (q *requests) endpoints(call *session.CallInfo) {
	a := q.attrs
	// Tag zero in the first byte, the value in the other three.
	a.number(rfc2868.TunnelType_Type, uint32(rfc2868.TunnelType_Value_L2TP))
	medium := rfc2868.TunnelMediumType_Value_IPv4
	if call.LAC.Addr().Unmap().Is6() {
		medium = rfc2868.TunnelMediumType_Value_IPv6
	}
	a.number(rfc2868.TunnelMediumType_Type, uint32(medium))
	q.endpoint(rfc2868.TunnelClientEndpoint_Type, call.LAC)
	q.endpoint(rfc2868.TunnelServerEndpoint_Type, call.LNS)
}

// assignment appends the initiator's name for the tunnel, which is the id that it
// assigned, and the names of both ends.
func (q *requests) assignment(call *session.CallInfo) {
	a := q.attrs
	start := len(a.values)
	a.values = strconv.AppendUint(a.values, uint64(call.PeerTunnelID), 10)
	a.add(rfc2868.TunnelAssignmentID_Type, start)
	a.tagged(rfc2868.TunnelClientAuthID_Type, call.LACName)
	a.tagged(rfc2868.TunnelServerAuthID_Type, call.LNSName)
}

func (q *requests) endpoint(t radius.Type, p netip.AddrPort) {
	if !p.IsValid() {
		return
	}
	start := len(q.attrs.values)
	q.attrs.values = appendAddr(q.attrs.values, p)
	q.attrs.add(t, start)
}

// appendAddr appends the address as text, or nothing if there is none.
func appendAddr(b []byte, p netip.AddrPort) []byte {
	if !p.IsValid() {
		return b
	}
	return p.Addr().Unmap().AppendTo(b)
}
