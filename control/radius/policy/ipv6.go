package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/lnsd/lnsd/control/session"
)

// ipv6 is the profile's IPv6 part, made when it is first needed.
func (d *decoder) ipv6() *session.Profile6 {
	if d.fixed.IPv6 == nil {
		d.fixed.IPv6 = &session.Profile6{}
	}
	return d.fixed.IPv6
}

// interfaceID takes a Framed-Interface-Id (RFC 3162 section 2.2). Zero is no
// identifier: IPV6CP has it for "none yet" (RFC 5072 section 4.1).
func interfaceID(d *decoder, v []byte) error {
	if len(v) != 8 {
		return lengthError(v)
	}
	if [8]byte(v) != ([8]byte{}) {
		d.ipv6().InterfaceID = [8]byte(v)
	}
	return nil
}

// prefix6 is a list of prefixes in the layout of Framed-IPv6-Prefix (RFC 3162 section
// 2.3), which Delegated-IPv6-Prefix shares (RFC 4818 section 3).
func prefix6(at func(*session.Profile6) *[]netip.Prefix) handler {
	return func(d *decoder, v []byte) error {
		p, err := parsePrefix6(v)
		if err != nil {
			return err
		}
		if d.change {
			return errFixed
		}
		list := at(d.ipv6())
		*list = append(*list, p)
		return nil
	}
}

// parsePrefix6 reads a reserved byte, the length in bits, and as much of the prefix
// as is not zero. Bits beyond the length must be zero, and are taken for zero when
// they are not (RFC 3162 section 2.3 asks it of the sender).
func parsePrefix6(v []byte) (netip.Prefix, error) {
	if len(v) < 2 || len(v) > 18 {
		return netip.Prefix{}, lengthError(v)
	}
	bits := int(v[1])
	if bits > 128 {
		return netip.Prefix{}, fmt.Errorf("has a prefix length of %d", bits)
	}
	if len(v)-2 < (bits+7)/8 {
		// "at least as many octets as the prefix" is not in the text of RFC 3162,
		// and some servers leave out zeros; what is missing is zero.
		v = append(append([]byte(nil), v...), make([]byte, 16)...)
	}
	var a [16]byte
	copy(a[:], v[2:])
	return usable6(netip.PrefixFrom(netip.AddrFrom16(a), bits).Masked())
}

// usable6 refuses prefixes that no subscriber can have.
func usable6(p netip.Prefix) (netip.Prefix, error) {
	switch a := p.Addr(); {
	case p.Bits() == 0:
		return netip.Prefix{}, errors.New("is the default route")
	case a.Is4In6(), a.IsUnspecified(), a.IsLoopback(), a.IsMulticast(), a.IsLinkLocalUnicast():
		return netip.Prefix{}, fmt.Errorf("is the unusable prefix %v", p)
	}
	return p, nil
}

// address6 is a list of addresses of 16 bytes (RFC 6911 section 3).
func address6(at func(*session.Profile6) *[]netip.Addr) handler {
	return func(d *decoder, v []byte) error {
		if len(v) != 16 {
			return lengthError(v)
		}
		a := netip.AddrFrom16([16]byte(v))
		if _, err := usable6(netip.PrefixFrom(a, 128)); err != nil {
			return fmt.Errorf("is the unusable address %v", a)
		}
		if d.change {
			return errFixed
		}
		list := at(d.ipv6())
		*list = append(*list, a)
		return nil
	}
}

func text6(at func(*session.Profile6) *string) handler {
	return func(d *decoder, v []byte) error {
		if d.change {
			return errFixed
		}
		*at(d.ipv6()) = text(v)
		return nil
	}
}

// framedRoute6 takes a Framed-IPv6-Route: "prefix/length gateway metric..." (RFC 3162
// section 2.5), the gateway :: or missing for the subscriber. The subscriber's own
// address is mostly its interface identifier's, which is not known here: any gateway
// counts as the subscriber, who is the only one at the end of the link.
func framedRoute6(d *decoder, v []byte) error {
	if d.change {
		return errFixed
	}
	fields := strings.Fields(text(v))
	if len(fields) == 0 {
		return unused("empty")
	}
	p, err := netip.ParsePrefix(fields[0])
	if err == nil && !p.Addr().Is6() {
		err = fmt.Errorf("%v is not an IPv6 prefix", p)
	}
	if err == nil && len(fields) > 1 {
		if gateway, bad := netip.ParseAddr(fields[1]); bad != nil || !gateway.Is6() {
			err = fmt.Errorf("gateway %q is not an IPv6 address", fields[1])
		}
	}
	if err == nil {
		p, err = usable6(p.Masked())
	}
	if err != nil {
		return unused(err.Error())
	}
	six := d.ipv6()
	six.Routes = append(six.Routes, p)
	return nil
}
