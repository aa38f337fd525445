package l2tp

import "strconv"

// Result codes of a StopCCN (RFC 2661 section 4.4.2).
const (
	StopClear        uint16 = 1
	StopError        uint16 = 2 // the error code says which
	StopExists       uint16 = 3
	StopUnauthorized uint16 = 4
	StopVersion      uint16 = 5 // the error code is the highest version supported
	StopShutdown     uint16 = 6
	StopFSM          uint16 = 7
)

// Result codes of a CDN (RFC 2661 section 4.4.2).
const (
	CDNLostCarrier    uint16 = 1
	CDNError          uint16 = 2 // the error code says which
	CDNAdministrative uint16 = 3
	CDNTemporary      uint16 = 4 // lack of facilities
	CDNPermanent      uint16 = 5 // lack of facilities
	CDNDestination    uint16 = 6
	CDNNoCarrier      uint16 = 7
	CDNBusy           uint16 = 8
	CDNNoDialTone     uint16 = 9
	CDNTimeout        uint16 = 10
	CDNNoFraming      uint16 = 11
)

// Error codes of both (RFC 2661 section 4.4.2).
const (
	ErrorNone       uint16 = 0
	ErrorNoTunnel   uint16 = 1
	ErrorLength     uint16 = 2
	ErrorValue      uint16 = 3
	ErrorResources  uint16 = 4
	ErrorSessionID  uint16 = 5
	ErrorVendor     uint16 = 6
	ErrorTryAnother uint16 = 7
	ErrorUnknownAVP uint16 = 8
)

var stopNames = [...]string{
	StopClear:        "general request to clear",
	StopError:        "general error",
	StopExists:       "control channel already exists",
	StopUnauthorized: "not authorized",
	StopVersion:      "protocol version not supported",
	StopShutdown:     "being shut down",
	StopFSM:          "finite state machine error",
}

var cdnNames = [...]string{
	CDNLostCarrier:    "loss of carrier",
	CDNError:          "general error",
	CDNAdministrative: "administrative reasons",
	CDNTemporary:      "temporary lack of facilities",
	CDNPermanent:      "permanent lack of facilities",
	CDNDestination:    "invalid destination",
	CDNNoCarrier:      "no carrier detected",
	CDNBusy:           "busy",
	CDNNoDialTone:     "no dial tone",
	CDNTimeout:        "not established in time",
	CDNNoFraming:      "no appropriate framing",
}

var errorNames = [...]string{
	ErrorNone:       "no general error",
	ErrorNoTunnel:   "no control connection exists",
	ErrorLength:     "length is wrong",
	ErrorValue:      "value out of range",
	ErrorResources:  "insufficient resources",
	ErrorSessionID:  "invalid session id",
	ErrorVendor:     "vendor-specific error",
	ErrorTryAnother: "try another",
	ErrorUnknownAVP: "unknown mandatory AVP",
}

// StopText, CDNText and ErrorText say what a StopCCN's result code, a CDN's
// result code and an error code mean; an unknown one is given as its number.
func StopText(code uint16) string  { return codeText(stopNames[:], code) }
func CDNText(code uint16) string   { return codeText(cdnNames[:], code) }
func ErrorText(code uint16) string { return codeText(errorNames[:], code) }

func codeText(names []string, code uint16) string {
	if int(code) < len(names) && names[code] != "" {
		return names[code]
	}
	return strconv.Itoa(int(code))
}
