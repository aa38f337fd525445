package l2tp

// avpID names a row of avpTable. For vendor 0 up to 46 it is the Attribute Type
// itself, so that a lookup is an index.
type avpID uint8

// The AVPs that are known.
const (
	avpMessageType        avpID = 0
	avpResultCode         avpID = 1
	avpProtocolVersion    avpID = 2
	avpFramingCaps        avpID = 3
	avpBearerCaps         avpID = 4
	avpTieBreaker         avpID = 5
	avpFirmware           avpID = 6
	avpHostName           avpID = 7
	avpVendorName         avpID = 8
	avpAssignedTunnelID   avpID = 9
	avpReceiveWindow      avpID = 10
	avpChallenge          avpID = 11
	avpQ931Cause          avpID = 12
	avpChallengeResponse  avpID = 13
	avpAssignedSessionID  avpID = 14
	avpCallSerial         avpID = 15
	avpMinimumBPS         avpID = 16
	avpMaximumBPS         avpID = 17
	avpBearerType         avpID = 18
	avpFramingType        avpID = 19
	avpCalledNumber       avpID = 21
	avpCallingNumber      avpID = 22
	avpSubAddress         avpID = 23
	avpTxConnectSpeed     avpID = 24
	avpPhysicalChannel    avpID = 25
	avpInitialReceivedLCP avpID = 26
	avpLastSentLCP        avpID = 27
	avpLastReceivedLCP    avpID = 28
	avpProxyAuthType      avpID = 29
	avpProxyAuthName      avpID = 30
	avpProxyAuthChallenge avpID = 31
	avpProxyAuthID        avpID = 32
	avpProxyAuthResponse  avpID = 33
	avpCallErrors         avpID = 34
	avpACCM               avpID = 35
	avpRandomVector       avpID = 36
	avpPrivateGroup       avpID = 37
	avpRxConnectSpeed     avpID = 38
	avpSequencingRequired avpID = 39
	avpPPPDisconnectCause avpID = 46
)

// Those whose Attribute Type is no index follow.
const (
	avpConnectSpeedUpdate avpID = iota + 47
	avpConnectSpeedEnable
	avpAgentCircuitID
	avpAgentRemoteID
	avpActualUp
	avpActualDown
	avpMinimumUp
	avpMinimumDown
	avpAttainableUp
	avpAttainableDown
	avpMaximumUp
	avpMaximumDown
	avpMinimumUpLowPower
	avpMinimumDownLowPower
	avpMaximumDelayUp
	avpActualDelayUp
	avpMaximumDelayDown
	avpActualDelayDown
	avpLoopEncapsulation
	avpANCPLineType
	avpIWF

	avpCount
)

// vendorADSL is the ADSL Forum, whose AVPs describe the access line (RFC 5515).
const vendorADSL = 3561

// kind is the format of an AVP's value.
type kind uint8

const (
	kindUnknown kind = iota // a hole in the table
	kindNone                // no value
	kindUint16
	kindUint32
	kindNonZero16 // a uint16 that may not be 0
	kindOctet16   // a uint16 whose high octet must be 0
	kindBytes     // any octets
	kindSome      // at least one octet
	kindTie       // 8 octets
	kindMD5       // 16 octets
	kindResult    // code, or code and error, or both and a text
	kindQ931      // cause code, cause message, and perhaps a text
	kindErrors    // 2 reserved octets and six uint32
	kindACCM      // 2 reserved octets and two uint32
	kindCause     // code, protocol, direction, and perhaps a text
	kindRate      // bit/s in 8 octets or kbit/s in 4
	kindUpdate    // 2 reserved octets, session id, two uint32
	kindLoop      // 3 octets
)

// kindLength holds the least and the greatest length of each kind's value.
var kindLength = [...]struct{ min, max int }{
	kindUnknown:   {0, avpMaxValue},
	kindNone:      {0, 0},
	kindUint16:    {2, 2},
	kindUint32:    {4, 4},
	kindNonZero16: {2, 2},
	kindOctet16:   {2, 2},
	kindBytes:     {0, avpMaxValue},
	kindSome:      {1, avpMaxValue},
	kindTie:       {8, 8},
	kindMD5:       {16, 16},
	kindResult:    {2, avpMaxValue},
	kindQ931:      {3, avpMaxValue},
	kindErrors:    {26, 26},
	kindACCM:      {10, 10},
	kindCause:     {5, avpMaxValue},
	kindRate:      {4, 8},
	kindUpdate:    {12, 12},
	kindLoop:      {3, 3},
}

// mRule says how the M bit of an AVP is sent. What is received is not held
// against it.
type mRule uint8

const (
	mClear mRule = iota
	mSet
)

// hideRule says whether an AVP may be hidden (section 4.3).
type hideRule uint8

const (
	hideNever hideRule = iota
	hideMay
)

type avpSpec struct {
	vendor, typ uint16
	name        string
	kind        kind
	m           mRule
	hide        hideRule
	section     string // of RFC 2661 unless another is named
}

// avpTable is all that is known of each AVP. Decoding, encoding, hiding, the rule
// for unknown mandatory AVPs and the names in messages are driven by it.
var avpTable = [avpCount]avpSpec{
	avpMessageType:        {0, 0, "Message Type", kindUint16, mSet, hideNever, "4.4.1"},
	avpRandomVector:       {0, 36, "Random Vector", kindBytes, mSet, hideNever, "4.4.1"},
	avpResultCode:         {0, 1, "Result Code", kindResult, mSet, hideNever, "4.4.2"},
	avpProtocolVersion:    {0, 2, "Protocol Version", kindUint16, mSet, hideNever, "4.4.3"},
	avpFramingCaps:        {0, 3, "Framing Capabilities", kindUint32, mSet, hideMay, "4.4.3"},
	avpBearerCaps:         {0, 4, "Bearer Capabilities", kindUint32, mSet, hideMay, "4.4.3"},
	avpTieBreaker:         {0, 5, "Tie Breaker", kindTie, mClear, hideNever, "4.4.3"},
	avpFirmware:           {0, 6, "Firmware Revision", kindUint16, mClear, hideMay, "4.4.3"},
	avpHostName:           {0, 7, "Host Name", kindSome, mSet, hideNever, "4.4.3"},
	avpVendorName:         {0, 8, "Vendor Name", kindBytes, mClear, hideMay, "4.4.3"},
	avpAssignedTunnelID:   {0, 9, "Assigned Tunnel ID", kindNonZero16, mSet, hideMay, "4.4.3"},
	avpReceiveWindow:      {0, 10, "Receive Window Size", kindNonZero16, mSet, hideNever, "4.4.3"},
	avpChallenge:          {0, 11, "Challenge", kindSome, mSet, hideMay, "4.4.3"},
	avpChallengeResponse:  {0, 13, "Challenge Response", kindMD5, mSet, hideMay, "4.4.3"},
	avpQ931Cause:          {0, 12, "Q.931 Cause Code", kindQ931, mSet, hideNever, "4.4.4"},
	avpAssignedSessionID:  {0, 14, "Assigned Session ID", kindUint16, mSet, hideMay, "4.4.4"},
	avpCallSerial:         {0, 15, "Call Serial Number", kindUint32, mSet, hideMay, "4.4.4"},
	avpMinimumBPS:         {0, 16, "Minimum BPS", kindUint32, mSet, hideMay, "4.4.4"},
	avpMaximumBPS:         {0, 17, "Maximum BPS", kindUint32, mSet, hideMay, "4.4.4"},
	avpBearerType:         {0, 18, "Bearer Type", kindUint32, mSet, hideMay, "4.4.4"},
	avpFramingType:        {0, 19, "Framing Type", kindUint32, mSet, hideMay, "4.4.4"},
	avpCalledNumber:       {0, 21, "Called Number", kindBytes, mSet, hideMay, "4.4.4"},
	avpCallingNumber:      {0, 22, "Calling Number", kindBytes, mSet, hideMay, "4.4.4"},
	avpSubAddress:         {0, 23, "Sub-Address", kindBytes, mSet, hideMay, "4.4.4"},
	avpTxConnectSpeed:     {0, 24, "(Tx) Connect Speed", kindUint32, mSet, hideMay, "4.4.4"},
	avpRxConnectSpeed:     {0, 38, "Rx Connect Speed", kindUint32, mClear, hideMay, "4.4.4"},
	avpPhysicalChannel:    {0, 25, "Physical Channel ID", kindUint32, mClear, hideMay, "4.4.4"},
	avpPrivateGroup:       {0, 37, "Private Group ID", kindBytes, mClear, hideMay, "4.4.4"},
	avpSequencingRequired: {0, 39, "Sequencing Required", kindNone, mSet, hideNever, "4.4.4"},
	avpInitialReceivedLCP: {0, 26, "Initial Received LCP CONFREQ", kindBytes, mClear, hideMay, "4.4.5"},
	avpLastSentLCP:        {0, 27, "Last Sent LCP CONFREQ", kindBytes, mClear, hideMay, "4.4.5"},
	avpLastReceivedLCP:    {0, 28, "Last Received LCP CONFREQ", kindBytes, mClear, hideMay, "4.4.5"},
	avpProxyAuthType:      {0, 29, "Proxy Authen Type", kindUint16, mClear, hideMay, "4.4.5"},
	avpProxyAuthName:      {0, 30, "Proxy Authen Name", kindBytes, mClear, hideMay, "4.4.5"},
	avpProxyAuthChallenge: {0, 31, "Proxy Authen Challenge", kindSome, mClear, hideMay, "4.4.5"},
	avpProxyAuthID:        {0, 32, "Proxy Authen ID", kindOctet16, mClear, hideMay, "4.4.5"},
	avpProxyAuthResponse:  {0, 33, "Proxy Authen Response", kindBytes, mClear, hideMay, "4.4.5"},
	avpCallErrors:         {0, 34, "Call Errors", kindErrors, mSet, hideMay, "4.4.6"},
	avpACCM:               {0, 35, "ACCM", kindACCM, mSet, hideMay, "4.4.6"},

	avpPPPDisconnectCause: {0, 46, "PPP Disconnect Cause Code", kindCause, mClear, hideMay, "RFC 3145 2"},

	avpConnectSpeedUpdate:  {0, 97, "Connect Speed Update", kindUpdate, mClear, hideMay, "RFC 5515"},
	avpConnectSpeedEnable:  {0, 98, "Connect Speed Update Enable", kindNone, mClear, hideMay, "RFC 5515"},
	avpAgentCircuitID:      {vendorADSL, 1, "Agent Circuit ID", kindBytes, mClear, hideMay, "RFC 5515"},
	avpAgentRemoteID:       {vendorADSL, 2, "Agent Remote ID", kindBytes, mClear, hideMay, "RFC 5515"},
	avpActualUp:            {vendorADSL, 129, "Actual Data Rate Upstream", kindRate, mClear, hideMay, "RFC 5515"},
	avpActualDown:          {vendorADSL, 130, "Actual Data Rate Downstream", kindRate, mClear, hideMay, "RFC 5515"},
	avpMinimumUp:           {vendorADSL, 131, "Minimum Data Rate Upstream", kindRate, mClear, hideMay, "RFC 5515"},
	avpMinimumDown:         {vendorADSL, 132, "Minimum Data Rate Downstream", kindRate, mClear, hideMay, "RFC 5515"},
	avpAttainableUp:        {vendorADSL, 133, "Attainable Data Rate Upstream", kindRate, mClear, hideMay, "RFC 5515"},
	avpAttainableDown:      {vendorADSL, 134, "Attainable Data Rate Downstream", kindRate, mClear, hideMay, "RFC 5515"},
	avpMaximumUp:           {vendorADSL, 135, "Maximum Data Rate Upstream", kindRate, mClear, hideMay, "RFC 5515"},
	avpMaximumDown:         {vendorADSL, 136, "Maximum Data Rate Downstream", kindRate, mClear, hideMay, "RFC 5515"},
	avpMinimumUpLowPower:   {vendorADSL, 137, "Minimum Data Rate Upstream Low-Power", kindRate, mClear, hideMay, "RFC 5515"},
	avpMinimumDownLowPower: {vendorADSL, 138, "Minimum Data Rate Downstream Low-Power", kindRate, mClear, hideMay, "RFC 5515"},
	avpMaximumDelayUp:      {vendorADSL, 139, "Maximum Interleaving Delay Upstream", kindUint32, mClear, hideMay, "RFC 5515"},
	avpActualDelayUp:       {vendorADSL, 140, "Actual Interleaving Delay Upstream", kindUint32, mClear, hideMay, "RFC 5515"},
	avpMaximumDelayDown:    {vendorADSL, 141, "Maximum Interleaving Delay Downstream", kindUint32, mClear, hideMay, "RFC 5515"},
	avpActualDelayDown:     {vendorADSL, 142, "Actual Interleaving Delay Downstream", kindUint32, mClear, hideMay, "RFC 5515"},
	avpLoopEncapsulation:   {vendorADSL, 144, "Access Loop Encapsulation", kindLoop, mClear, hideMay, "RFC 5515"},
	avpANCPLineType:        {vendorADSL, 145, "ANCP Access Line Type", kindBytes, mClear, hideMay, "RFC 5515"},
	avpIWF:                 {vendorADSL, 254, "IWF Session", kindBytes, mClear, hideMay, "RFC 5515"},
}

// lookupAVP finds the row of an AVP. Known means vendor and type together
// (section 4.1).
func lookupAVP(vendor, typ uint16) (avpID, bool) {
	if vendor == 0 && typ < uint16(avpConnectSpeedUpdate) {
		return avpID(typ), avpTable[typ].kind != kindUnknown
	}
	for id := avpConnectSpeedUpdate; id < avpCount; id++ {
		if s := &avpTable[id]; s.typ == typ && s.vendor == vendor {
			return id, true
		}
	}
	return 0, false
}

// valid reports whether v is well-formed for the AVP.
func (s *avpSpec) valid(v []byte) bool {
	n := kindLength[s.kind]
	if len(v) < n.min || len(v) > n.max {
		return false
	}
	switch s.kind {
	case kindNonZero16:
		return v[0]|v[1] != 0
	case kindOctet16:
		return v[0] == 0
	case kindResult: // 3 octets would be half an error code
		return len(v) != 3
	case kindRate:
		return len(v) == 4 || len(v) == 8
	}
	return true
}

// AVPName is the RFC's name of an AVP, "" when it is unknown.
func AVPName(vendor, typ uint16) string {
	if id, ok := lookupAVP(vendor, typ); ok {
		return avpTable[id].name
	}
	return ""
}
