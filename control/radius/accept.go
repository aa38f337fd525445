package radius

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2868"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc4849"

	"github.com/lnsd/lnsd/control/session"
)

// minInterim is the shortest Acct-Interim-Interval allowed (RFC 2869 section 5.16).
const minInterim = 60 * time.Second

// Framed-IP-Address values with a meaning of their own (RFC 2865 section 5.8).
var (
	userChooses = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	nasAssigns  = netip.AddrFrom4([4]byte{255, 255, 255, 254})
)

// reply is an answer to an Access-Request while it is decoded.
type reply struct {
	cfg *Config
	q   *session.AuthRequest
	res session.AuthResult

	mask      netip.Addr
	routes    []framedRoute
	message   strings.Builder
	chapError string
	// ignored names the attributes that had no effect here, as type or as
	// 26.vendor.type, with the reason where there is one.
	ignored []string
}

// decodeReply turns a verified answer into the result of q. What was sent and had
// no effect is named in ignored, for the log.
//
// An attribute that says what the session may do and cannot be understood makes
// the answer a reject: a limit of unknown value must not become no limit.
func decodeReply(cfg *Config, q *session.AuthRequest, b []byte) (res *session.AuthResult, ignored []string) {
	d := &reply{cfg: cfg, q: q}
	d.res.Ref = q.Ref
	if err := d.decode(b); err != nil {
		return &session.AuthResult{Ref: q.Ref, Verdict: session.Reject, Cause: err.Error(), Message: d.message.String()}, d.ignored
	}
	return &d.res, d.ignored
}

func (d *reply) decode(b []byte) error {
	p, err := radius.Parse(b, nil)
	if err != nil {
		return err
	}
	for _, a := range p.Attributes {
		switch a.Type {
		case rfc2865.ReplyMessage_Type:
			// Several are one text, in their order (RFC 2865 section 5.18).
			d.message.Write(a.Attribute)
			continue
		case vendorSpecific:
			ok, err := vendorAttributes(a.Attribute, d.vendor)
			if err != nil && p.Code == radius.CodeAccessAccept {
				return err
			}
			if !ok {
				d.ignore("26: unknown layout")
			}
			continue
		}
		if p.Code == radius.CodeAccessAccept {
			if err := d.attribute(a.Type, a.Attribute); err != nil {
				return err
			}
		}
	}
	switch p.Code {
	case radius.CodeAccessAccept:
		return d.accept()
	case radius.CodeAccessChallenge:
		// PPP has no way to put the question to the subscriber (RFC 2865
		// section 4.4: treat it as an Access-Reject).
		d.res.Cause = "the server asked for a challenge-response exchange"
	default:
		d.res.Cause = "rejected by the server"
	}
	// Some servers send the subscriber's attributes with a reject too.
	d.res.Profile, d.res.MSCHAPSuccess = session.Profile{}, ""
	d.res.Message = d.message.String()
	if d.q.Method == session.AuthMSCHAPv2 && d.chapError != "" {
		d.res.Message = d.chapError
	}
	return nil
}

// accept completes an Access-Accept once all attributes are known.
func (d *reply) accept() error {
	profile := &d.res.Profile
	for _, r := range d.routes {
		if !r.gateway.IsUnspecified() && r.gateway != profile.Address {
			d.ignore("22: gateway " + r.gateway.String() + " is not the subscriber")
			continue
		}
		profile.Routes = append(profile.Routes, r.prefix)
	}
	// On a point-to-point link a netmask means a route to the network behind it.
	if d.mask.IsValid() && profile.Address.IsValid() {
		bits, ok := maskBits(d.mask)
		if !ok {
			return fmt.Errorf("unusable Framed-IP-Netmask %v", d.mask)
		}
		if bits < 32 {
			profile.Routes = append(profile.Routes, netip.PrefixFrom(profile.Address, bits).Masked())
		}
	}
	if d.q.Method == session.AuthMSCHAPv2 && d.res.MSCHAPSuccess == "" {
		return errors.New("Access-Accept without MS-CHAP2-Success")
	}
	d.res.Verdict = session.Accept
	d.res.Message = d.message.String()
	return nil
}

// attribute takes one attribute of an Access-Accept.
func (d *reply) attribute(t radius.Type, v []byte) error {
	profile := &d.res.Profile
	switch t {
	case rfc2865.FramedIPAddress_Type:
		return d.framedAddress(v)
	case rfc2865.FramedIPNetmask_Type:
		return ipv4(t, v, &d.mask)
	case rfc2865.FramedRoute_Type:
		r, err := parseRoute(string(v))
		if err != nil {
			d.ignore("22: " + err.Error())
			return nil
		}
		d.routes = append(d.routes, r)
	case rfc2869.FramedPool_Type:
		profile.Pool = strings.TrimRight(string(v), "\x00")
	case rfc2865.SessionTimeout_Type:
		if err := period(t, v, &profile.SessionTimeout); err != nil {
			return err
		}
		if profile.SessionTimeout == 0 && d.cfg.ZeroSessionTimeout == ZeroRejects {
			return errors.New("Session-Timeout is 0: no time left")
		}
	case rfc2865.IdleTimeout_Type:
		return period(t, v, &profile.IdleTimeout)
	case rfc2869.AcctInterimInterval_Type:
		return d.interim(v)
	case rfc2865.Class_Type:
		if len(v) > 0 { // an empty one could not be sent back: one octet at least
			profile.Class = append(profile.Class, v)
		}
	case rfc2865.UserName_Type:
		profile.User = string(v)
	case rfc2865.ServiceType_Type:
		// RFC 2865 section 5.6: an unsupported service is a reject.
		return d.must(t, v, uint32(rfc2865.ServiceType_Value_FramedUser))
	case rfc2865.FramedProtocol_Type:
		return d.must(t, v, uint32(rfc2865.FramedProtocol_Value_PPP))
	case rfc2869.MessageAuthenticator_Type, rfc2865.ProxyState_Type, rfc2865.State_Type:
		// Not about the session.
	case rfc2865.FilterID_Type, rfc4849.NASFilterRule_Type, rfc2868.TunnelType_Type:
		return d.policy(fmt.Sprint(int(t)))
	default:
		d.ignore(fmt.Sprint(int(t)))
	}
	return nil
}

// vendor takes one attribute of a vendor, from any answer.
func (d *reply) vendor(vendor uint32, t byte, v []byte) error {
	profile := &d.res.Profile
	switch [2]uint32{vendor, uint32(t)} {
	case [2]uint32{vendorMicrosoft, msCHAP2Success}:
		// Ident, then "S=" and 40 digits (RFC 2548 section 2.3.3). The text is
		// what the client checks; the ident is that of the PPP packet already.
		if len(v) < 43 || string(v[1:3]) != "S=" {
			return errors.New("malformed MS-CHAP2-Success")
		}
		d.res.MSCHAPSuccess = string(v[1:43])
	case [2]uint32{vendorMicrosoft, msCHAPError}:
		if len(v) > 1 {
			// We take no second try on the same link, so the client must not be
			// told that it may make one (RFC 2759 section 6).
			d.chapError = strings.Replace(string(v[1:]), " R=1", " R=0", 1)
		}
	case [2]uint32{vendorMicrosoft, msPrimaryDNS}, [2]uint32{vendorAscend, ascendPrimaryDNS}:
		return nameServer(v, &profile.DNS[0])
	case [2]uint32{vendorMicrosoft, msSecondaryDNS}, [2]uint32{vendorAscend, ascendSecondaryDNS}:
		return nameServer(v, &profile.DNS[1])
	case [2]uint32{vendorMicrosoft, msPrimaryNBNS}:
		return nameServer(v, &profile.NBNS[0])
	case [2]uint32{vendorMicrosoft, msSecondaryNBNS}:
		return nameServer(v, &profile.NBNS[1])
	case [2]uint32{vendorMicrosoft, msMPPESendKey}, [2]uint32{vendorMicrosoft, msMPPERecvKey},
		[2]uint32{vendorMicrosoft, msMPPEEncryptionTypes}, [2]uint32{vendorMicrosoft, msCHAPDomain}:
		// Come with every MS-CHAPv2 answer; there is no MPPE here.
	case [2]uint32{vendorMicrosoft, msMPPEEncryptionPolicy}:
		if len(v) == 4 && binary.BigEndian.Uint32(v) == 2 { // required
			return d.policy("26.311.7")
		}
	case [2]uint32{vendorAscend, ascendDataFilter}:
		return d.policy("26.529.242")
	default:
		d.ignore(fmt.Sprintf("26.%d.%d", vendor, t))
	}
	return nil
}

// framedAddress takes a Framed-IP-Address.
func (d *reply) framedAddress(v []byte) error {
	var a netip.Addr
	if err := ipv4(rfc2865.FramedIPAddress_Type, v, &a); err != nil {
		return err
	}
	switch {
	case a == nasAssigns:
		d.res.Profile.Address = netip.Addr{}
	case a == userChooses:
		return errors.New("Framed-IP-Address leaves the choice to the user (255.255.255.255)")
	case a.As4()[0] == 0 || a.IsLoopback() || a.As4()[0] >= 224:
		return fmt.Errorf("unusable Framed-IP-Address %v", a)
	default:
		d.res.Profile.Address = a
	}
	return nil
}

// interim takes an Acct-Interim-Interval, within its bounds.
func (d *reply) interim(v []byte) error {
	var t time.Duration
	if err := period(rfc2869.AcctInterimInterval_Type, v, &t); err != nil {
		return err
	}
	if t < minInterim {
		d.ignore(fmt.Sprintf("85: %v is below %v", t, minInterim))
		return nil
	}
	d.res.Profile.InterimInterval = min(t, d.cfg.MaxInterim)
	return nil
}

// must refuses the answer unless the attribute has the one value that we provide.
func (d *reply) must(t radius.Type, v []byte, want uint32) error {
	if len(v) != 4 {
		return lengthError(t, v)
	}
	if got := binary.BigEndian.Uint32(v); got != want {
		return fmt.Errorf("attribute %d asks for %d, only %d is provided", t, got, want)
	}
	return nil
}

// policy handles an attribute that restricts the session in a way not supported.
func (d *reply) policy(name string) error {
	if d.cfg.Strict {
		return fmt.Errorf("unsupported policy in attribute %s", name)
	}
	d.ignore(name)
	return nil
}

func (d *reply) ignore(what string) { d.ignored = append(d.ignored, what) }

func lengthError(t radius.Type, v []byte) error {
	return fmt.Errorf("attribute %d has %d bytes", t, len(v))
}

// ipv4 reads an address attribute.
func ipv4(t radius.Type, v []byte, to *netip.Addr) error {
	if len(v) != 4 {
		return lengthError(t, v)
	}
	*to = netip.AddrFrom4([4]byte(v))
	return nil
}

// nameServer reads the address of a name server; 0.0.0.0 is none.
func nameServer(v []byte, to *netip.Addr) error {
	var a netip.Addr
	if err := ipv4(vendorSpecific, v, &a); err != nil {
		return err
	}
	if a.IsUnspecified() {
		a = netip.Addr{}
	}
	*to = a
	return nil
}

// period reads an integer attribute of seconds.
func period(t radius.Type, v []byte, to *time.Duration) error {
	if len(v) != 4 {
		return lengthError(t, v)
	}
	*to = time.Duration(binary.BigEndian.Uint32(v)) * time.Second
	return nil
}

// maskBits is the prefix length of a netmask; ok is false for one with holes and
// for 0.0.0.0, which would route everything to one subscriber.
func maskBits(mask netip.Addr) (bits int, ok bool) {
	b := mask.As4()
	m := binary.BigEndian.Uint32(b[:])
	for m&(1<<31) != 0 {
		bits++
		m <<= 1
	}
	return bits, m == 0 && bits > 0
}
