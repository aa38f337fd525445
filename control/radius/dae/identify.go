package dae

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc4372"

	"github.com/lnsd/lnsd/control/session"
)

// target is whom a request is for, read from its identification attributes (RFC 5176
// section 3).
type target struct {
	session.Selector
	// nobody is set when a value is such that no session can have it.
	nobody bool
	given  bool // a session is identified at all

	nas Identity
}

// Identity is what a server is called, or is asked for as.
type Identity struct {
	Identifier string
	// Addresses of either family; the zero address is none.
	Address, Address6 netip.Addr
}

// identifier reads one attribute's value.
type identifier func(*target, []byte) *refusal

// identifiers are the attributes that name the server or the session. Each may be
// there once (RFC 5176 section 3.6).
func identifiers() map[radius.Type]identifier {
	text := func(at func(*target) *string) identifier {
		return func(t *target, v []byte) *refusal {
			if len(v) == 0 {
				return malformed
			}
			t.given = true
			*at(t) = string(v)
			return nil
		}
	}
	return map[radius.Type]identifier{
		rfc2865.NASIPAddress_Type:   nasAddress,
		rfc3162.NASIPv6Address_Type: nasAddress6,
		rfc2865.NASIdentifier_Type:  nasIdentifier,

		rfc2865.UserName_Type:               text(func(t *target) *string { return &t.User }),
		rfc2865.CalledStationID_Type:        text(func(t *target) *string { return &t.Called }),
		rfc2865.CallingStationID_Type:       text(func(t *target) *string { return &t.Calling }),
		rfc2866.AcctSessionID_Type:          text(func(t *target) *string { return &t.AcctSessionID }),
		rfc4372.ChargeableUserIdentity_Type: text(func(t *target) *string { return &t.CUI }),

		rfc2865.NASPort_Type:           nasPort,
		rfc2869.NASPortID_Type:         nasPortID,
		rfc2865.FramedIPAddress_Type:   framedAddress,
		rfc3162.FramedInterfaceID_Type: framedInterface,
		rfc3162.FramedIPv6Prefix_Type:  framedPrefix,
	}
}

func nasIdentifier(t *target, v []byte) *refusal {
	if len(v) == 0 {
		return malformed
	}
	t.nas.Identifier = string(v)
	return nil
}

func nasAddress(t *target, v []byte) *refusal {
	a, ok := netip.AddrFromSlice(v)
	if !ok || !a.Is4() {
		return malformed
	}
	t.nas.Address = a
	return nil
}

func nasAddress6(t *target, v []byte) *refusal {
	a, ok := netip.AddrFromSlice(v)
	if !ok || !a.Is6() {
		return malformed
	}
	t.nas.Address6 = a
	return nil
}

func nasPort(t *target, v []byte) *refusal {
	if len(v) != 4 {
		return malformed
	}
	t.given = true
	t.NASPort = binary.BigEndian.Uint32(v)
	t.nobody = t.nobody || t.NASPort == 0 // no session has it
	return nil
}

// nasPortID reads what accounting sends as NAS-Port-Id. Whatever else it says, a
// name that is not of that kind is no session's.
func nasPortID(t *target, v []byte) *refusal {
	t.given = true
	ids := map[string]uint16{}
	for part := range strings.SplitSeq(string(v), "#") {
		name, value, _ := strings.Cut(part, "-")
		switch name {
		case "ltid", "lsid", "rtid", "rsid":
			n, err := strconv.ParseUint(value, 10, 16)
			if err != nil {
				n = 0
			}
			ids[name] = uint16(n)
		}
	}
	if ids["ltid"] == 0 || ids["lsid"] == 0 {
		t.nobody = true
		return nil
	}
	t.TunnelID, t.SessionID = ids["ltid"], ids["lsid"]
	t.PeerTunnelID, t.PeerSessionID = ids["rtid"], ids["rsid"]
	return nil
}

func framedAddress(t *target, v []byte) *refusal {
	a, ok := netip.AddrFromSlice(v)
	if !ok || !a.Is4() {
		return malformed
	}
	t.given = true
	t.Address = a
	return nil
}

func framedInterface(t *target, v []byte) *refusal {
	if len(v) != 8 {
		return malformed
	}
	t.given = true
	t.InterfaceID = [8]byte(v)
	t.nobody = t.nobody || t.InterfaceID == [8]byte{}
	return nil
}

// framedPrefix reads a reserved byte, the length in bits, and as many bytes of the
// prefix as it takes, or more (RFC 3162 section 2.3).
func framedPrefix(t *target, v []byte) *refusal {
	if len(v) < 2 || len(v) > 18 || v[1] > 128 || len(v)-2 < (int(v[1])+7)/8 {
		return malformed
	}
	var a [16]byte
	copy(a[:], v[2:])
	t.given = true
	t.Prefix6 = netip.PrefixFrom(netip.AddrFrom16(a), int(v[1])).Masked()
	return nil
}

// is reports whether a request for other is for n. arrived is the address that it was
// sent to, which serves where n has none of the family.
func (n *Identity) is(other *Identity, arrived netip.Addr) bool {
	if other.Identifier != "" && other.Identifier != n.Identifier {
		return false
	}
	arrived = arrived.Unmap()
	fits := func(asked, own netip.Addr) bool {
		return !asked.IsValid() || asked == own || !own.IsValid() && asked == arrived
	}
	return fits(other.Address, n.Address) && fits(other.Address6, n.Address6)
}
