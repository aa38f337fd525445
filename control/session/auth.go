package session

import (
	"net/netip"
	"strings"
	"time"
)

// AuthMethod is how the subscriber proved (or claims to prove) its identity.
type AuthMethod uint8

// The methods, in no order of preference.
const (
	AuthNone AuthMethod = iota
	AuthPAP
	AuthCHAP     // CHAP with MD5, RFC 1994
	AuthMSCHAPv2 // RFC 2759
)

// AuthRequest asks an authenticator about one subscriber. It is handed over by
// pointer and not changed afterwards by either side.
type AuthRequest struct {
	Ref
	User   string
	Method AuthMethod
	// Password is the PAP password.
	Password []byte
	// ID, Challenge and Response are the CHAP identifier, our challenge and the
	// peer's response: 16 bytes for CHAP-MD5, 49 for MS-CHAPv2 (RFC 2759
	// section 4: peer challenge 16, reserved 8, NT response 24, flags 1).
	ID        uint8
	Challenge []byte
	Response  []byte

	Call CallInfo
}

// CallInfo is what is known of the call and its tunnel when the session asks
// for authentication or accounting.
type CallInfo struct {
	AcctSessionID string
	CalledNumber  string
	CallingNumber string
	// CallSerial is the Call Serial Number AVP, logged by both ends.
	CallSerial uint32
	// TxSpeed and RxSpeed are in bit/s from the LAC's point of view: Tx is the
	// subscriber's downstream (RFC 2661 section 4.4.4).
	TxSpeed, RxSpeed uint32
	// PhysicalChannel is the LAC's Physical Channel ID AVP; it serves as NAS-Port
	// when the LAC sent one.
	PhysicalChannel uint32
	// LAC and LNS are the tunnel's end points; the names are their Host Names.
	LAC, LNS         netip.AddrPort
	LACName, LNSName string
	// PeerTunnelID and PeerSessionID are the ids assigned by the LAC.
	PeerTunnelID, PeerSessionID uint16
	// Line describes the access line; nil when the LAC said nothing of it.
	Line *AccessLine
}

// AccessLine is what the LAC said of the subscriber's line in the AVPs of RFC 5515. A
// value that a CallInfo points to is never changed.
type AccessLine struct {
	CircuitID, RemoteID string
	// Values are by type from 129 to 142: rates in bit/s, delays in ms; 0 is absent.
	Values [14]uint32
	// Loop is the Access Loop Encapsulation, 3 octets or none; Interworking tells that
	// PPP over ATM was turned into PPP over Ethernet on the way.
	Loop         string
	Interworking bool
}

// Verdict is the outcome of an authentication.
type Verdict uint8

// The verdicts.
const (
	// Reject: the authenticator answered no.
	Reject Verdict = iota
	// Accept: the authenticator answered yes; Profile holds what it granted.
	Accept
	// Unavailable: no authenticator answered in time, or its queue was full.
	Unavailable
)

// AuthResult answers an AuthRequest.
type AuthResult struct {
	Ref
	Verdict Verdict
	// Message is text for the subscriber (Reply-Message).
	Message string
	// MSCHAPSuccess is the text of the MS-CHAPv2 success packet, "S=" and 40
	// hex digits (RFC 2759 section 5); the client refuses the link without it.
	MSCHAPSuccess string
	Profile       Profile
	// Cause says, for the log, why a request was rejected or not answered.
	Cause string
}

// Pair is one key=value of a Cisco-AVPair.
type Pair struct{ Key, Value string }

// Origins are what was granted, by the names of settings and fields, and by what.
type Origins []Origin

// Origin is one of Origins. Its names on disk are short: each session has some.
type Origin struct {
	Name   string `cbor:"n"`
	Source string `cbor:"s"`
}

// Key is the same for lists that are equal, for those who share them.
func (o Origins) Key() string {
	var key strings.Builder
	for _, x := range o {
		key.WriteString(x.Name + "\x00" + x.Source + "\x00")
	}
	return key.String()
}

// Profile is what authentication grants to a session. Zero values mean "not
// given": the configured default holds.
type Profile struct {
	// Address is the IPv4 address to assign. AssignAddress is set when the
	// server leaves the choice to us (255.255.255.254 or no attribute).
	Address netip.Addr
	// Pool names the pool to take an address from when Address is not given.
	Pool   string
	Routes []netip.Prefix
	DNS    [2]netip.Addr
	NBNS   [2]netip.Addr
	// SessionTimeout and IdleTimeout end the session; 0 is no limit.
	SessionTimeout, IdleTimeout time.Duration
	// InterimInterval is the period of interim accounting; 0 is the default.
	InterimInterval time.Duration
	// IPv6 is what is granted of IPv6; nil: the configuration's defaults hold.
	IPv6 *Profile6
	// Services are what is done to the session's packets; nil for nothing.
	Services *Services
	// Class holds every Class attribute, in order, for accounting.
	Class [][]byte
	// CUI is the Chargeable-User-Identity, which accounting repeats; nil for none.
	CUI []byte
	// User replaces the name for accounting when the server returned one.
	User string
	// Local: the profile was not granted by a server but by a setting of ours, while
	// no server answered or although one refused.
	Local bool
	// Origins say which attribute has granted what; nil where that is not known. Many
	// profiles share one.
	Origins *Origins
	// Pairs are the key=value pairs that the server sent, in their order, for the
	// hooks; nil for none.
	Pairs []Pair
}
