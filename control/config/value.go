package config

import "github.com/lnsd/lnsd/control/session"

// Secret is text that must not be seen: every way of printing it hides it.
type Secret string

const hidden = "(hidden)"

// String, GoString and MarshalText hide the value; an empty one is shown as such.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the value from encoders, loggers among them.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// Auto is a yes or no that may be left to the circumstances.
type Auto uint8

// The values; each field says what Automatic means for it.
const (
	Automatic Auto = iota
	Yes
	No
)

// Or resolves Automatic to the given value.
func (a Auto) Or(auto bool) bool {
	switch a {
	case Yes:
		return true
	case No:
		return false
	default:
		return auto
	}
}

// Renegotiate is when LCP is negotiated anew although the LAC sent proxy AVPs.
type Renegotiate uint8

// The policies.
const (
	RenegotiateOnMismatch Renegotiate = iota
	RenegotiateNever
	RenegotiateAlways
)

// Spread is whether the data of LACs is spread over CPUs.
type Spread uint8

// Whether it is.
const (
	// SpreadAuto does it while one CPU alone has more to receive than it can.
	SpreadAuto Spread = iota
	SpreadOff
	SpreadOn
)

// Hairpin is what becomes of packets from one subscriber to another.
type Hairpin uint8

// The policies: forwarded here, dropped, or left to the kernel's routes and rules.
const (
	HairpinAllow Hairpin = iota
	HairpinDeny
	HairpinCore
)

// UnknownFilter is what becomes of a login whose access list is not there.
type UnknownFilter uint8

// The policies: let in without the list, or refused.
const (
	UnknownFilterIgnore UnknownFilter = iota
	UnknownFilterRefuse
)

// XDPMode is how the XDP program is attached.
type XDPMode uint8

// The modes. XDPAuto takes native mode where the driver has it, else generic;
// XDPNone sends every packet through the slow path.
const (
	XDPAuto XDPMode = iota
	XDPNative
	XDPGeneric
	XDPNone
)

// LogLevel is l2tpns' debug level: each includes those before it.
type LogLevel uint8

// The levels.
const (
	LogCritical LogLevel = iota
	LogErrors
	LogWarnings
	LogInformation
	LogCalls
	LogPackets
)

// A choice is one value of an enumeration and how it is written.
type choice[T any] struct {
	text  string
	value T
}

func autoWords() []choice[Auto] {
	return []choice[Auto]{{"auto", Automatic}, {"yes", Yes}, {"no", No}}
}

func renegotiateWords() []choice[Renegotiate] {
	return []choice[Renegotiate]{
		{"mismatch", RenegotiateOnMismatch}, {"never", RenegotiateNever}, {"always", RenegotiateAlways}}
}

func duplicateWords() []choice[session.DuplicatePolicy] {
	return []choice[session.DuplicatePolicy]{{"kick", session.KickOld}, {"refuse", session.RefuseNew}, {"allow", session.AllowDuplicates}}
}

func xdpModeWords() []choice[XDPMode] {
	return []choice[XDPMode]{{"auto", XDPAuto}, {"native", XDPNative}, {"generic", XDPGeneric}, {"none", XDPNone}}
}

func spreadWords() []choice[Spread] {
	return []choice[Spread]{{"auto", SpreadAuto}, {"off", SpreadOff}, {"on", SpreadOn}}
}

func hairpinWords() []choice[Hairpin] {
	return []choice[Hairpin]{{"allow", HairpinAllow}, {"deny", HairpinDeny}, {"core", HairpinCore}}
}

func unknownFilterWords() []choice[UnknownFilter] {
	return []choice[UnknownFilter]{{"ignore", UnknownFilterIgnore}, {"refuse", UnknownFilterRefuse}}
}

func authWords() []choice[session.AuthMethod] {
	return []choice[session.AuthMethod]{
		{"pap", session.AuthPAP}, {"chap", session.AuthCHAP}, {"mschapv2", session.AuthMSCHAPv2}}
}
