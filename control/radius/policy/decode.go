package policy

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/lnsd/lnsd/control/session"
)

// decoder is one packet on its way to become a grant.
type decoder struct {
	t *Table
	// change: the packet is a CoA-Request.
	change bool

	// live is what a session that is up can be given too, fixed what holds from its
	// set-up on.
	live  session.Change
	fixed session.Profile

	mask   netip.Addr
	routes []framedRoute
	// ascendData and ascendXmit mean something only together.
	ascendData []uint64
	ascendXmit *uint64

	origins     session.Origins
	unsupported []radius.Type
	ignored     []string
}

// handler takes one attribute's value. Its errors say what is wrong with the value.
type handler func(d *decoder, v []byte) error

// vendorSpecific is the type of the Vendor-Specific attribute (RFC 2865 section
// 5.26).
const vendorSpecific = rfc2865.VendorSpecific_Type

func (d *decoder) decode(p *radius.Packet) error {
	for _, a := range p.Attributes {
		var err error
		if a.Type == vendorSpecific {
			err = d.vendorSpecific(a.Attribute)
		} else {
			err = d.attribute(Attribute{Type: byte(a.Type)}, a.Attribute)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// attribute takes one attribute: an operator's row or a preset's decides before the
// meaning that the RFCs give.
func (d *decoder) attribute(a Attribute, v []byte) error {
	if d.change {
		return d.meaning(a, v)
	}
	was := d.granted()
	err := d.meaning(a, v)
	d.note(a, was)
	return err
}

func (d *decoder) meaning(a Attribute, v []byte) error {
	if d.change && a.Vendor == 0 && slices.Contains(identification, radius.Type(a.Type)) {
		return nil
	}
	if r, ok := d.t.rules[a]; ok {
		return d.judge(a, r.apply(d, v))
	}
	if a == ciscoAVPair {
		return d.pairs(v)
	}
	if h, ok := d.t.standard[a]; ok {
		return d.judge(a, h(d, v))
	}
	return d.judge(a, errUnknown)
}

// vendorSpecific takes each attribute in a Vendor-Specific value, of which there may
// be several (RFC 2865 section 5.26).
func (d *decoder) vendorSpecific(v []byte) error {
	if len(v) < 6 || v[0] != 0 {
		return d.layout()
	}
	vendor := binary.BigEndian.Uint32(v)
	for v = v[4:]; len(v) > 0; v = v[v[1]:] {
		if len(v) < 2 || v[1] < 2 || int(v[1]) > len(v) {
			return d.layout()
		}
		if err := d.attribute(Attribute{Vendor: vendor, Type: v[0]}, v[2:v[1]:v[1]]); err != nil {
			return err
		}
	}
	return nil
}

// layout notes a vendor's attribute in a layout of its own, which RFC 2865 section
// 5.26 allows.
func (d *decoder) layout() error {
	d.unsupported = append(d.unsupported, vendorSpecific)
	d.ignored = append(d.ignored, "26: unknown layout")
	return nil
}

// The ways in which an attribute has no effect. They are texts for the log.
type (
	// unused: nothing is lost without it.
	unused string
	// restriction: it limits the session in a way that is not supported.
	restriction string
	// refusal: what it asks for is not provided, and nothing else will do.
	refusal string
)

func (u unused) Error() string      { return string(u) }
func (r restriction) Error() string { return string(r) }
func (r refusal) Error() string     { return string(r) }

const (
	errUnknown = unused("")
	errFixed   = unused("cannot be changed while the session is up")
	errPolicy  = restriction("")
)

// judge decides what becomes of the packet when an attribute had no effect.
func (d *decoder) judge(a Attribute, err error) error {
	if err == nil {
		return nil
	}
	name, text := a.String(), err.Error()
	if text != "" {
		name += ": " + text
	}
	switch err.(type) {
	case unused:
	case restriction:
		if d.t.cfg.Strict && !d.change {
			return fmt.Errorf("unsupported policy in attribute %s", name)
		}
	case refusal:
		return &Error{Attribute: a.String(), Reason: text}
	default:
		if d.change || !d.t.cfg.IgnoreMalformed {
			return &Error{Attribute: a.String(), Reason: text}
		}
	}
	d.unsupported = append(d.unsupported, a.radius())
	d.ignored = append(d.ignored, name)
	return nil
}

// Attribute names an attribute: of the IETF with Vendor 0, else of the vendor with
// that Private Enterprise Number. With Pair it is the pair of that key in a
// Cisco-AVPair, "#N" at its end left out.
type Attribute struct {
	Vendor uint32
	Type   byte
	Pair   string
}

// String is "11" for an IETF attribute, "26.9.1" for a vendor's and "26.9.1 throttle"
// for a pair.
func (a Attribute) String() string {
	s := strconv.Itoa(int(a.Type))
	if a.Vendor != 0 {
		s = fmt.Sprintf("%d.%d.%d", vendorSpecific, a.Vendor, a.Type)
	}
	if a.Pair != "" {
		s += " " + a.Pair
	}
	return s
}

// radius is the type that the packet has it under.
func (a Attribute) radius() radius.Type {
	if a.Vendor != 0 {
		return vendorSpecific
	}
	return radius.Type(a.Type)
}
