package l2tp

import "strconv"

// MessageType is the value of the Message Type AVP (RFC 2661 section 3.2).
type MessageType uint16

// The control messages. ZLB is the message without a body; its number is reserved
// on the wire and stands for it here.
const (
	ZLB     MessageType = 0
	SCCRQ   MessageType = 1
	SCCRP   MessageType = 2
	SCCCN   MessageType = 3
	StopCCN MessageType = 4
	HELLO   MessageType = 6
	OCRQ    MessageType = 7
	OCRP    MessageType = 8
	OCCN    MessageType = 9
	ICRQ    MessageType = 10
	ICRP    MessageType = 11
	ICCN    MessageType = 12
	CDN     MessageType = 14
	WEN     MessageType = 15
	SLI     MessageType = 16
	CSUN    MessageType = 28 // RFC 5515
	CSURQ   MessageType = 29 // RFC 5515

	// MaxMessageType is the greatest known type, for tables indexed by type.
	MaxMessageType = CSURQ
)

// messageSpec is what is known of a message type.
type messageSpec struct {
	name    string
	call    bool // about one call; otherwise about the whole tunnel
	section string
	// required are the AVPs that must be there beside the Message Type.
	required []avpID
}

// messageTable holds every message of RFC 2661 section 6, and those of RFC 5515,
// which are known so that they are not an error, and not acted on.
var messageTable = [MaxMessageType + 1]messageSpec{
	ZLB:     {"ZLB", false, "5.8", nil},
	SCCRQ:   {"SCCRQ", false, "6.1", []avpID{avpProtocolVersion, avpHostName, avpFramingCaps, avpAssignedTunnelID}},
	SCCRP:   {"SCCRP", false, "6.2", []avpID{avpProtocolVersion, avpHostName, avpFramingCaps, avpAssignedTunnelID}},
	SCCCN:   {"SCCCN", false, "6.3", nil},
	StopCCN: {"StopCCN", false, "6.4", []avpID{avpAssignedTunnelID, avpResultCode}},
	HELLO:   {"HELLO", false, "6.5", nil},
	ICRQ:    {"ICRQ", true, "6.6", []avpID{avpAssignedSessionID, avpCallSerial}},
	ICRP:    {"ICRP", true, "6.7", []avpID{avpAssignedSessionID}},
	ICCN:    {"ICCN", true, "6.8", []avpID{avpTxConnectSpeed, avpFramingType}},
	OCRQ: {"OCRQ", true, "6.9", []avpID{avpAssignedSessionID, avpCallSerial, avpMinimumBPS, avpMaximumBPS,
		avpBearerType, avpFramingType, avpCalledNumber}},
	OCRP:  {"OCRP", true, "6.10", []avpID{avpAssignedSessionID}},
	OCCN:  {"OCCN", true, "6.11", []avpID{avpTxConnectSpeed, avpFramingType}},
	CDN:   {"CDN", true, "6.12", []avpID{avpResultCode, avpAssignedSessionID}},
	WEN:   {"WEN", true, "6.13", []avpID{avpCallErrors}},
	SLI:   {"SLI", true, "6.14", []avpID{avpACCM}},
	CSUN:  {"CSUN", false, "RFC 5515", nil},
	CSURQ: {"CSURQ", false, "RFC 5515", nil},
}

func (t MessageType) known() bool {
	return t <= MaxMessageType && messageTable[t].name != "" && t != ZLB
}

// Known reports whether there is such a message, the empty one included.
func (t MessageType) Known() bool { return t <= MaxMessageType && messageTable[t].name != "" }

// String is the RFC's abbreviation, or the number of an unknown type.
func (t MessageType) String() string {
	if t <= MaxMessageType && messageTable[t].name != "" {
		return messageTable[t].name
	}
	return strconv.Itoa(int(t))
}
