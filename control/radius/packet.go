package radius

import (
	"encoding/binary"
	"net/netip"

	"layeh.com/radius"
)

// maxValue is the longest attribute value, in bytes (RFC 2865 section 5).
const maxValue = 253

// attributes builds the attribute list of one packet after another in memory
// that it keeps.
type attributes struct {
	list   radius.Attributes
	pairs  []radius.AVP
	values []byte
}

func newAttributes() *attributes {
	return &attributes{
		list:   make(radius.Attributes, 0, 64),
		pairs:  make([]radius.AVP, 0, 64),
		values: make([]byte, 0, radius.MaxPacketLength),
	}
}

// reset drops the attributes; those handed out before are not valid any more.
func (a *attributes) reset() {
	a.list, a.pairs, a.values = a.list[:0], a.pairs[:0], a.values[:0]
}

// add appends an attribute whose value is what was appended to a.values since
// start.
func (a *attributes) add(t radius.Type, start int) {
	// A full slice grows into new memory; pointers into the old stay good.
	a.pairs = append(a.pairs, radius.AVP{Type: t, Attribute: radius.Attribute(a.values[start:len(a.values):len(a.values)])})
	a.list = append(a.list, &a.pairs[len(a.pairs)-1])
}

// raw appends an attribute with these bytes as its value.
func (a *attributes) raw(t radius.Type, v []byte) {
	start := len(a.values)
	a.values = append(a.values, v...)
	a.add(t, start)
}

// text appends a text attribute, cut to the longest that fits; an empty one is
// left out (RFC 2865 section 5: text has one octet at least).
func (a *attributes) text(t radius.Type, s string) {
	if s == "" {
		return
	}
	start := len(a.values)
	a.values = append(a.values, s[:min(len(s), maxValue)]...)
	a.add(t, start)
}

// tagged appends a tunnel attribute of text without a tag. A first byte that a
// reader would take for a tag is protected by a tag of zero, "unused" (RFC 2868
// section 3.3).
func (a *attributes) tagged(t radius.Type, s string) {
	if s != "" && s[0] <= 0x1f {
		s = "\x00" + s
	}
	a.text(t, s)
}

// number appends an integer attribute, in network byte order.
func (a *attributes) number(t radius.Type, v uint32) {
	start := len(a.values)
	a.values = binary.BigEndian.AppendUint32(a.values, v)
	a.add(t, start)
}

// address appends an IPv4 address under t4 or an IPv6 address under t6; an invalid
// address is left out, as is one whose type is 0.
func (a *attributes) address(t4, t6 radius.Type, v netip.Addr) {
	v = v.Unmap()
	switch {
	case v.Is4() && t4 != 0:
		b := v.As4()
		a.raw(t4, b[:])
	case v.Is6() && t6 != 0:
		b := v.As16()
		a.raw(t6, b[:])
	}
}

// vendor appends a Vendor-Specific attribute that holds one attribute of the
// vendor, in the customary layout (RFC 2865 section 5.26).
func (a *attributes) vendor(id uint32, t byte, parts ...[]byte) {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	start := len(a.values)
	a.values = binary.BigEndian.AppendUint32(a.values, id)
	a.values = append(a.values, t, byte(2+n))
	for _, p := range parts {
		a.values = append(a.values, p...)
	}
	a.add(vendorSpecific, start)
}

// vendorText appends a vendor's text, cut to what fits; an empty one is left out.
func (a *attributes) vendorText(id uint32, t byte, s string) {
	if s != "" {
		a.vendor(id, t, []byte(s[:min(len(s), maxValue-6)]))
	}
}

// vendorSpecific is the type of the Vendor-Specific attribute (RFC 2865 section
// 5.26).
const vendorSpecific radius.Type = 26

// Vendors and their attributes that are read or written here.
const (
	vendorMicrosoft = 311  // RFC 2548
	vendorADSL      = 3561 // RFC 4679

	msCHAPError     = 2
	msCHAPChallenge = 11
	msCHAP2Response = 25
	msCHAP2Success  = 26
)

// vendorAttributes calls f for each attribute in a Vendor-Specific value, of which
// there may be several (RFC 2865 section 5.26). It returns false, having called f
// for those before the fault, when the value is not in that layout.
func vendorAttributes(v []byte, f func(vendor uint32, t byte, value []byte) error) (bool, error) {
	if len(v) < 6 || v[0] != 0 {
		return false, nil
	}
	vendor := binary.BigEndian.Uint32(v)
	for v = v[4:]; len(v) > 0; v = v[v[1]:] {
		if len(v) < 2 || v[1] < 2 || int(v[1]) > len(v) {
			return false, nil
		}
		if err := f(vendor, v[0], v[2:v[1]:v[1]]); err != nil {
			return true, err
		}
	}
	return true, nil
}
