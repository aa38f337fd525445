package policy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2868"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc3576"
	"layeh.com/radius/rfc4372"
	"layeh.com/radius/rfc4818"
	"layeh.com/radius/rfc4849"
	"layeh.com/radius/rfc6911"

	"github.com/lnsd/lnsd/control/session"
)

// minInterim is the shortest Acct-Interim-Interval allowed (RFC 2869 section 5.16).
const minInterim = 60 * time.Second

// Framed-IP-Address values with a meaning of their own (RFC 2865 section 5.8).
var (
	userChooses = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	nasAssigns  = netip.AddrFrom4([4]byte{255, 255, 255, 254})
)

// identification are the attributes of a CoA-Request that say which session it is
// for, or belong to the exchange (RFC 5176 sections 3 and 3.6).
var identification = []radius.Type{
	rfc2865.UserName_Type, rfc2865.NASIPAddress_Type, rfc2865.NASPort_Type, rfc2865.ServiceType_Type,
	rfc2865.FramedIPAddress_Type, rfc2865.State_Type, rfc2865.CalledStationID_Type, rfc2865.CallingStationID_Type,
	rfc2865.NASIdentifier_Type, rfc2865.ProxyState_Type, rfc2866.AcctSessionID_Type, rfc2866.AcctMultiSessionID_Type,
	rfc2869.EventTimestamp_Type, rfc2869.MessageAuthenticator_Type, rfc2869.NASPortID_Type,
	rfc4372.ChargeableUserIdentity_Type, rfc3162.NASIPv6Address_Type, rfc3162.FramedInterfaceID_Type,
	rfc3162.FramedIPv6Prefix_Type, rfc3576.ErrorCause_Type,
}

// Vendors with attributes that mean something whatever the presets, all of them
// addresses of name servers or what every MS-CHAPv2 answer brings along.
const (
	vendorCisco     = 9
	vendorMicrosoft = 311 // RFC 2548
	vendorAscend    = 529
	vendorERX       = 4874
	vendorNokia     = 6527
)

// standard are the attributes whose meaning nobody configures.
func standard() map[Attribute]handler {
	m := vendors()
	for t, h := range ietf() {
		m[Attribute{Type: byte(t)}] = h
	}
	return m
}

// ietf are those of the RFCs.
func ietf() map[radius.Type]handler {
	return map[radius.Type]handler{
		rfc2865.FramedIPAddress_Type:         framedAddress,
		rfc2865.FramedIPNetmask_Type:         framedNetmask,
		rfc2865.FramedRoute_Type:             framedRoutes,
		rfc2869.FramedPool_Type:              fixedText(func(p *session.Profile) *string { return &p.Pool }),
		rfc2865.UserName_Type:                fixedText(func(p *session.Profile) *string { return &p.User }),
		rfc2865.SessionTimeout_Type:          sessionTimeout,
		rfc2865.IdleTimeout_Type:             idleTimeout,
		rfc2869.AcctInterimInterval_Type:     interimInterval,
		rfc2865.TerminationAction_Type:       terminationAction,
		rfc2865.Class_Type:                   class,
		rfc4372.ChargeableUserIdentity_Type:  chargeableUser,
		rfc2865.ServiceType_Type:             must(uint32(rfc2865.ServiceType_Value_FramedUser)),
		rfc2865.FramedProtocol_Type:          must(uint32(rfc2865.FramedProtocol_Value_PPP)),
		rfc2869.MessageAuthenticator_Type:    nothing,
		rfc2865.ProxyState_Type:              nothing,
		rfc2865.State_Type:                   nothing,
		rfc2865.FilterID_Type:                unsupported,
		rfc4849.NASFilterRule_Type:           unsupported,
		rfc2868.TunnelType_Type:              unsupported,
		rfc3162.FramedInterfaceID_Type:       interfaceID,
		rfc3162.FramedIPv6Prefix_Type:        prefix6(func(p *session.Profile6) *[]netip.Prefix { return &p.Prefixes }),
		rfc4818.DelegatedIPv6Prefix_Type:     prefix6(func(p *session.Profile6) *[]netip.Prefix { return &p.Delegated }),
		rfc3162.FramedIPv6Route_Type:         framedRoute6,
		rfc3162.FramedIPv6Pool_Type:          text6(func(p *session.Profile6) *string { return &p.Pool }),
		rfc6911.StatefulIPv6AddressPool_Type: text6(func(p *session.Profile6) *string { return &p.AddressPool }),
		rfc6911.DelegatedIPv6PrefixPool_Type: text6(func(p *session.Profile6) *string { return &p.PDPool }),
		rfc6911.FramedIPv6Address_Type:       address6(func(p *session.Profile6) *[]netip.Addr { return &p.Addresses }),
		rfc6911.DNSServerIPv6Address_Type:    address6(func(p *session.Profile6) *[]netip.Addr { return &p.DNS }),
	}
}

// vendors are those of vendors that mean the same everywhere.
func vendors() map[Attribute]handler {
	return map[Attribute]handler{
		{Vendor: vendorMicrosoft, Type: 28}: nameServer(func(p *session.Profile) *netip.Addr { return &p.DNS[0] }),
		{Vendor: vendorMicrosoft, Type: 29}: nameServer(func(p *session.Profile) *netip.Addr { return &p.DNS[1] }),
		{Vendor: vendorMicrosoft, Type: 30}: nameServer(func(p *session.Profile) *netip.Addr { return &p.NBNS[0] }),
		{Vendor: vendorMicrosoft, Type: 31}: nameServer(func(p *session.Profile) *netip.Addr { return &p.NBNS[1] }),
		{Vendor: vendorAscend, Type: 135}:   nameServer(func(p *session.Profile) *netip.Addr { return &p.DNS[0] }),
		{Vendor: vendorAscend, Type: 136}:   nameServer(func(p *session.Profile) *netip.Addr { return &p.DNS[1] }),
		{Vendor: vendorAscend, Type: 242}:   unsupported, // Ascend-Data-Filter
		{Vendor: vendorERX, Type: 1}:        unsupported, // ERX-Virtual-Router-Name
		{Vendor: vendorERX, Type: 4}:        nameServer(func(p *session.Profile) *netip.Addr { return &p.DNS[0] }),
		{Vendor: vendorERX, Type: 5}:        nameServer(func(p *session.Profile) *netip.Addr { return &p.DNS[1] }),
		{Vendor: vendorERX, Type: 6}:        nameServer(func(p *session.Profile) *netip.Addr { return &p.NBNS[0] }),
		{Vendor: vendorERX, Type: 7}:        nameServer(func(p *session.Profile) *netip.Addr { return &p.NBNS[1] }),
		{Vendor: vendorERX, Type: 47}:       address6(func(p *session.Profile6) *[]netip.Addr { return &p.DNS }),
		{Vendor: vendorERX, Type: 48}:       address6(func(p *session.Profile6) *[]netip.Addr { return &p.DNS }),
		{Vendor: vendorNokia, Type: 9}:      nameServer(func(p *session.Profile) *netip.Addr { return &p.DNS[0] }),
		{Vendor: vendorNokia, Type: 10}:     nameServer(func(p *session.Profile) *netip.Addr { return &p.DNS[1] }),
		// These come with every MS-CHAPv2 answer: success, domain, MPPE keys and
		// types. There is no MPPE here, so that only its being required matters.
		{Vendor: vendorMicrosoft, Type: 2}:  nothing,
		{Vendor: vendorMicrosoft, Type: 7}:  encryptionPolicy,
		{Vendor: vendorMicrosoft, Type: 8}:  nothing,
		{Vendor: vendorMicrosoft, Type: 10}: nothing,
		{Vendor: vendorMicrosoft, Type: 16}: nothing,
		{Vendor: vendorMicrosoft, Type: 17}: nothing,
		{Vendor: vendorMicrosoft, Type: 26}: nothing,
	}
}

func nothing(d *decoder, _ []byte) error {
	if d.change {
		return errUnknown
	}
	return nil
}

func unsupported(*decoder, []byte) error { return errPolicy }

// fixedText is a text of the profile.
func fixedText(at func(*session.Profile) *string) handler {
	return func(d *decoder, v []byte) error {
		if d.change {
			return errFixed
		}
		*at(&d.fixed) = text(v)
		return nil
	}
}

// text reads a text, without the end of C that some servers send.
func text(v []byte) string { return strings.TrimRight(string(v), "\x00") }

// framedAddress takes a Framed-IP-Address.
func framedAddress(d *decoder, v []byte) error {
	a, err := ipv4(v)
	switch {
	case err != nil:
		return err
	case a == nasAssigns:
		d.fixed.Address = netip.Addr{}
	case a == userChooses:
		return errors.New("leaves the choice to the user (255.255.255.255)")
	case a.As4()[0] == 0 || a.IsLoopback() || a.As4()[0] >= 224:
		return fmt.Errorf("is the unusable address %v", a)
	default:
		d.fixed.Address = a
	}
	return nil
}

func framedNetmask(d *decoder, v []byte) (err error) {
	if d.change {
		return errFixed
	}
	d.mask, err = ipv4(v)
	return err
}

func framedRoutes(d *decoder, v []byte) error {
	if d.change {
		return errFixed
	}
	r, err := parseRoute(string(v))
	if err != nil {
		// One route less grants less: the session can go on without.
		return unused(err.Error())
	}
	d.routes = append(d.routes, r)
	return nil
}

// finish completes what depends on several attributes.
func (d *decoder) finish() error {
	for _, r := range d.routes {
		if !r.gateway.IsUnspecified() && r.gateway != d.fixed.Address {
			d.ignored = append(d.ignored, "22: gateway "+r.gateway.String()+" is not the subscriber")
			continue
		}
		d.fixed.Routes = append(d.fixed.Routes, r.prefix)
	}
	// On a point-to-point link a netmask means a route to the network behind it.
	if d.mask.IsValid() && d.fixed.Address.IsValid() {
		bits, ok := maskBits(d.mask)
		if !ok {
			if err := d.judge(Attribute{Type: byte(rfc2865.FramedIPNetmask_Type)}, fmt.Errorf("is the unusable netmask %v", d.mask)); err != nil {
				return err
			}
		} else if bits < 32 {
			d.fixed.Routes = append(d.fixed.Routes, netip.PrefixFrom(d.fixed.Address, bits).Masked())
		}
	}
	d.ascend()
	return nil
}

// sessionTimeout takes a Session-Timeout; in a CoA-Request 0 is the end of the limit.
func sessionTimeout(d *decoder, v []byte) error {
	t, err := period(v)
	if err == nil && t == 0 && !d.change && d.t.cfg.ZeroTimeoutRejects {
		return errors.New("is 0: no time left")
	}
	d.live.SessionTimeout = &t
	return err
}

func idleTimeout(d *decoder, v []byte) error {
	t, err := period(v)
	d.live.IdleTimeout = &t
	return err
}

// interimInterval takes an Acct-Interim-Interval, within its bounds.
func interimInterval(d *decoder, v []byte) error {
	t, err := period(v)
	if err != nil {
		return err
	}
	if t < minInterim {
		return unused(fmt.Sprintf("%v is below %v", t, minInterim))
	}
	t = min(t, d.t.cfg.MaxInterim)
	d.live.InterimInterval = &t
	return nil
}

// terminationAction takes a Termination-Action. That the session ends is the default
// (RFC 2865 section 5.29); asking the server again then is optional and not done.
func terminationAction(d *decoder, v []byte) error {
	if len(v) != 4 {
		return lengthError(v)
	}
	if binary.BigEndian.Uint32(v) != uint32(rfc2865.TerminationAction_Value_Default) {
		return unused("the session ends without a further request")
	}
	return nil
}

func class(d *decoder, v []byte) error {
	if d.live.Class == nil {
		d.live.Class = [][]byte{}
	}
	if len(v) > 0 { // an empty one could not be sent back: one octet at least
		d.live.Class = append(d.live.Class, v)
	}
	return nil
}

// chargeableUser takes the name for the bill, which accounting must repeat (RFC 4372
// section 2.2).
func chargeableUser(d *decoder, v []byte) error {
	d.fixed.CUI = append([]byte(nil), v...)
	return nil
}

// encryptionPolicy takes an MS-MPPE-Encryption-Policy (RFC 2548 section 2.4.4).
func encryptionPolicy(d *decoder, v []byte) error {
	if len(v) == 4 && binary.BigEndian.Uint32(v) == 2 { // required
		return errPolicy
	}
	return nothing(d, v)
}

// must refuses all values but the one that is provided: an unsupported service is a
// reject (RFC 2865 section 5.6).
func must(want uint32) handler {
	return func(d *decoder, v []byte) error {
		if len(v) != 4 {
			return lengthError(v)
		}
		if got := binary.BigEndian.Uint32(v); got != want {
			return refusal(fmt.Sprintf("asks for %d, only %d is provided", got, want))
		}
		return nil
	}
}

// nameServer is the address of a name server; 0.0.0.0 is none.
func nameServer(at func(*session.Profile) *netip.Addr) handler {
	return func(d *decoder, v []byte) error {
		a, err := ipv4(v)
		switch {
		case err != nil:
			return err
		case d.change:
			return errFixed
		case a.IsUnspecified():
			a = netip.Addr{}
		}
		*at(&d.fixed) = a
		return nil
	}
}

func lengthError(v []byte) error { return fmt.Errorf("has %d bytes", len(v)) }

func ipv4(v []byte) (netip.Addr, error) {
	if len(v) != 4 {
		return netip.Addr{}, lengthError(v)
	}
	return netip.AddrFrom4([4]byte(v)), nil
}

// period reads an integer of seconds.
func period(v []byte) (time.Duration, error) {
	if len(v) != 4 {
		return 0, lengthError(v)
	}
	return time.Duration(binary.BigEndian.Uint32(v)) * time.Second, nil
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
