package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// framedRoute is a parsed Framed-Route.
type framedRoute struct {
	prefix netip.Prefix
	// gateway is 0.0.0.0 for the subscriber, also when the text has none.
	gateway netip.Addr
}

// parseRoute reads the text of a Framed-Route: "prefix[/length] gateway metric...",
// with a length by class when it is left out (RFC 2865 section 5.22). Gateway and
// metrics may be missing. Routes that no subscriber can have are errors.
func parseRoute(text string) (framedRoute, error) {
	fields := strings.Fields(strings.TrimRight(text, "\x00"))
	if len(fields) == 0 {
		return framedRoute{}, errors.New("empty")
	}
	p, err := routePrefix(fields[0])
	if err != nil {
		return framedRoute{}, err
	}
	r := framedRoute{prefix: p, gateway: netip.IPv4Unspecified()}
	if len(fields) > 1 {
		if r.gateway, err = netip.ParseAddr(fields[1]); err != nil || !r.gateway.Is4() {
			return framedRoute{}, fmt.Errorf("gateway %q is not an IPv4 address", fields[1])
		}
	}
	for _, metric := range fields[min(2, len(fields)):] {
		// Metrics are checked, to know a text of another kind, and not used:
		// there is one way to a subscriber.
		if _, err := strconv.ParseUint(metric, 10, 32); err != nil {
			return framedRoute{}, fmt.Errorf("metric %q is not a number", metric)
		}
	}
	return r, nil
}

// routePrefix reads the destination.
func routePrefix(text string) (netip.Prefix, error) {
	var p netip.Prefix
	var err error
	if strings.Contains(text, "/") {
		p, err = netip.ParsePrefix(text)
	} else {
		p, err = classful(text)
	}
	if err != nil {
		return netip.Prefix{}, err
	}
	p = p.Masked()
	switch a := p.Addr(); {
	case !a.Is4():
		return netip.Prefix{}, fmt.Errorf("%v is not an IPv4 prefix", p)
	case p.Bits() == 0:
		return netip.Prefix{}, errors.New("a default route cannot point to a subscriber")
	case a.IsLoopback() || a.IsMulticast() || a.As4()[0] == 0 || a.As4()[0] >= 240:
		return netip.Prefix{}, fmt.Errorf("%v cannot be routed", p)
	}
	return p, nil
}

// classful gives an address without a length that of its class. One with bits
// set behind it is refused: a whole network would be routed where the writer most
// likely meant one host.
func classful(text string) (netip.Prefix, error) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	if !a.Is4() {
		return netip.Prefix{}, fmt.Errorf("%v is not an IPv4 address", a)
	}
	bits := 24
	switch first := a.As4()[0]; {
	case first < 128:
		bits = 8
	case first < 192:
		bits = 16
	case first >= 224:
		return netip.Prefix{}, fmt.Errorf("%v has no class", a)
	}
	p := netip.PrefixFrom(a, bits)
	if p.Masked().Addr() != a {
		return netip.Prefix{}, fmt.Errorf("%v without a length is no network of its class", a)
	}
	return p, nil
}
