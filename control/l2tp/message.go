package l2tp

import (
	"encoding/binary"
	"fmt"
)

// message is a decoded control message. Its values alias the received body,
// except those that were hidden.
type message struct {
	typ    MessageType
	values [avpCount][]byte // nil: absent
	fault  fault            // the first that was found
	// vendor and ignored count attributes that have a vendor, and that are not taken.
	vendor, ignored uint16
}

func (m *message) has(id avpID) bool { return m.values[id] != nil }

// uint16 and uint32 return 0 for an absent AVP. Decoding has checked the length.
func (m *message) uint16(id avpID) uint16 {
	if v := m.values[id]; v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (m *message) uint32(id avpID) uint32 {
	if v := m.values[id]; v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (m *message) text(id avpID) string { return string(m.values[id]) }

// bytes returns a copy, nil for an absent or empty AVP.
func (m *message) bytes(id avpID) []byte { return append([]byte(nil), m.values[id]...) }

// setFault keeps the first fault: it is the one to tell the peer.
func (m *message) setFault(r reaction, errorCode uint16, text string) {
	if m.fault.reaction == reactNone {
		m.fault = fault{r, errorCode, text}
	}
}

// PeekType reads the type of a control message from its body, without judging
// the rest; an empty body is a ZLB. ok is false when the body does not begin with
// a Message Type AVP.
func PeekType(body []byte) (t MessageType, ok bool) {
	if len(body) == 0 {
		return ZLB, true
	}
	a, _, ok := nextAVP(body)
	if !ok || !isMessageType(&a) {
		return ZLB, false
	}
	return MessageType(binary.BigEndian.Uint16(a.value)), true
}

func isMessageType(a *rawAVP) bool {
	return a.vendor == 0 && a.typ == uint16(avpMessageType) && len(a.value) == 2 &&
		a.flags&(avpHidden|avpReserved) == 0
}

// decode parses body into m, which must be zero. It goes on behind a fault as far
// as it can: the ids that tell whom to answer may stand behind it.
func (m *message) decode(body, secret []byte) {
	a, rest, ok := nextAVP(body)
	// Section 4.4.1: the Message Type AVP MUST be the first.
	if !ok || !isMessageType(&a) {
		m.setFault(reactClearTunnel, ErrorValue, "message does not begin with a Message Type")
		return
	}
	m.typ = MessageType(binary.BigEndian.Uint16(a.value))
	m.values[avpMessageType] = a.value
	if !m.typ.known() {
		// Section 4.4.1: here M is about the message. Set: the tunnel MUST be
		// cleared. Clear: it may be ignored.
		r := reactIgnore
		if a.flags&avpMandatory != 0 {
			r = reactClearTunnel
		}
		m.setFault(r, ErrorValue, fmt.Sprintf("unknown message type %d", m.typ))
		return
	}
	for len(rest) > 0 {
		a, rest, ok = nextAVP(rest)
		if !ok {
			// Section 7.1: a malformed AVP is recoverable when M is clear. What
			// follows cannot be found, so it counts as absent.
			if a.flags&avpMandatory != 0 {
				m.setFault(reactClear, ErrorLength, "AVP length is wrong")
			}
			break
		}
		m.take(&a, secret)
	}
	m.checkRequired()
}

// take adds one AVP.
func (m *message) take(a *rawAVP, secret []byte) {
	mandatory := a.flags&avpMandatory != 0
	id, known := lookupAVP(a.vendor, a.typ)
	if a.vendor != 0 {
		m.vendor++
	}
	// Section 4.1: a reserved bit makes it an unrecognised AVP.
	if !known || a.flags&avpReserved != 0 {
		m.ignored++
		if mandatory {
			// Section 4.4.2: error 8, the message naming the attribute.
			m.setFault(reactClear, ErrorUnknownAVP,
				fmt.Sprintf("unknown mandatory AVP: vendor %d attribute %d", a.vendor, a.typ))
		}
		return
	}
	// A known AVP that is repeated: the first counts, except that the last Random
	// Vector before a hidden AVP applies (section 4.3).
	if m.has(id) && id != avpRandomVector {
		m.ignored++
		return
	}
	spec, value, ok := &avpTable[id], a.value, true
	if a.flags&avpHidden != 0 {
		// Sections 4.3 and 4.4: only with a secret, after a Random Vector, and not
		// every AVP.
		ok = spec.hide == hideMay && len(secret) > 0 && m.has(avpRandomVector)
		if ok {
			value, ok = unhide(a.typ, secret, m.values[avpRandomVector], value)
		}
	}
	if !ok || !spec.valid(value) {
		// Section 7.1: malformed with M set ends the call or tunnel; with M clear
		// it is as if the AVP were absent.
		m.ignored++
		if mandatory {
			m.setFault(reactClear, malformedCode(spec, value, ok), "malformed AVP: "+spec.name)
		}
		return
	}
	m.values[id] = value
}

// malformedCode tells wrong lengths (error 2) from wrong values (error 3).
func malformedCode(s *avpSpec, value []byte, readable bool) uint16 {
	n := kindLength[s.kind]
	if readable && (len(value) < n.min || len(value) > n.max) {
		return ErrorLength
	}
	return ErrorValue
}

func (m *message) checkRequired() {
	for _, id := range messageTable[m.typ].required {
		if !m.has(id) {
			m.setFault(reactClear, ErrorValue, "missing AVP: "+avpTable[id].name)
			return
		}
	}
	// Section 4.4.4: an Assigned Session ID is not 0. A CDN for a call that never
	// got an id may carry 0 nevertheless.
	if m.typ != CDN && m.has(avpAssignedSessionID) && m.uint16(avpAssignedSessionID) == 0 {
		m.setFault(reactClear, ErrorValue, "Assigned Session ID is 0")
	}
}

// result decodes a Result Code AVP and the PPP Disconnect Cause beside it.
func (m *message) result() Result {
	v := m.values[avpResultCode]
	if len(v) < 2 { // absent: the message was faulty and is acted on all the same
		return Result{}
	}
	r := Result{Code: binary.BigEndian.Uint16(v)}
	// Section 4.4.2: error code and message are there if the length says so.
	if len(v) >= 4 {
		r.Error = binary.BigEndian.Uint16(v[2:])
		r.Message = string(v[4:])
	}
	if v := m.values[avpPPPDisconnectCause]; v != nil {
		r.Disconnect = DisconnectCause{
			Present:   true,
			Code:      binary.BigEndian.Uint16(v),
			Protocol:  binary.BigEndian.Uint16(v[2:]),
			Direction: v[4],
			Message:   string(v[5:]),
		}
	}
	return r
}

// bps reads a data rate of the access line in bit/s, which kbps has the two forms of,
// as far as 32 bits hold it.
func (m *message) bps(id avpID) uint32 {
	v := m.values[id]
	if len(v) == 8 {
		return uint32(min(binary.BigEndian.Uint64(v), 1<<32-1))
	}
	return uint32(min(uint64(m.kbps(id))*1000, 1<<32-1))
}

// kbps reads a data rate of the access line in kbit/s. RFC 5515 has bit/s in 8
// octets; equipment that copies what a DSLAM inserted sends kbit/s in 4.
func (m *message) kbps(id avpID) uint32 {
	v := m.values[id]
	switch len(v) {
	case 4:
		return binary.BigEndian.Uint32(v)
	case 8:
		return uint32(min(binary.BigEndian.Uint64(v)/1000, 1<<32-1))
	}
	return 0
}

// fillRequest reads what ICRQ and OCRQ say of a call.
func (p *CallParams) fillRequest(m *message) {
	p.Serial = m.uint32(avpCallSerial)
	p.BearerType = m.uint32(avpBearerType)
	p.FramingType = m.uint32(avpFramingType)
	p.MinBPS, p.MaxBPS = m.uint32(avpMinimumBPS), m.uint32(avpMaximumBPS)
	p.CalledNumber = m.text(avpCalledNumber)
	p.CallingNumber = m.text(avpCallingNumber)
	p.SubAddress = m.text(avpSubAddress)
	p.fillChannel(m)
	p.Line = LineInfo{
		CircuitID:  m.text(avpAgentCircuitID),
		RemoteID:   m.text(avpAgentRemoteID),
		ActualUp:   m.kbps(avpActualUp),
		ActualDown: m.kbps(avpActualDown),

		Loop: m.bytes(avpLoopEncapsulation), Interworking: m.has(avpIWF),
	}
	for i, id := range lineValues {
		if avpTable[id].kind == kindRate {
			p.Line.Values[i] = m.bps(id)
		} else {
			p.Line.Values[i] = m.uint32(id)
		}
	}
}

// lineValues are the numbers of the access line, by type from 129 on.
var lineValues = [...]avpID{
	avpActualUp, avpActualDown, avpMinimumUp, avpMinimumDown, avpAttainableUp, avpAttainableDown,
	avpMaximumUp, avpMaximumDown, avpMinimumUpLowPower, avpMinimumDownLowPower,
	avpMaximumDelayUp, avpActualDelayUp, avpMaximumDelayDown, avpActualDelayDown,
}

// fillChannel reads the Physical Channel ID of an ICRQ or OCRP.
func (p *CallParams) fillChannel(m *message) {
	if m.has(avpPhysicalChannel) {
		p.PhysicalChannel, p.HasPhysicalChannel = m.uint32(avpPhysicalChannel), true
	}
}

// fillConnected reads what ICCN and OCCN add.
func (p *CallParams) fillConnected(m *message) {
	p.FramingType = m.uint32(avpFramingType)
	// Section 4.4.4: without an Rx Connect Speed the line is symmetric.
	p.TxSpeed = m.uint32(avpTxConnectSpeed)
	p.RxSpeed = p.TxSpeed
	if m.has(avpRxConnectSpeed) {
		p.RxSpeed = m.uint32(avpRxConnectSpeed)
	}
	p.PrivateGroup = m.text(avpPrivateGroup)
	p.SequencingRequired = m.has(avpSequencingRequired)
	p.Proxy = ProxyState{
		InitialReceived: m.bytes(avpInitialReceivedLCP),
		LastSent:        m.bytes(avpLastSentLCP),
		LastReceived:    m.bytes(avpLastReceivedLCP),
		AuthType:        m.uint16(avpProxyAuthType),
		AuthName:        m.text(avpProxyAuthName),
		AuthChallenge:   m.bytes(avpProxyAuthChallenge),
		AuthID:          uint8(m.uint16(avpProxyAuthID)),
		AuthResponse:    m.bytes(avpProxyAuthResponse),
	}
}

func (m *message) callErrors() (e CallErrors) {
	v := m.values[avpCallErrors][2:] // 2 reserved octets
	for i, p := range [...]*uint32{&e.CRC, &e.Framing, &e.HardwareOverruns, &e.BufferOverruns, &e.Timeouts, &e.Alignment} {
		*p = binary.BigEndian.Uint32(v[4*i:])
	}
	return e
}

func (m *message) accm() ACCM {
	v := m.values[avpACCM][2:] // 2 reserved octets
	return ACCM{Send: binary.BigEndian.Uint32(v), Receive: binary.BigEndian.Uint32(v[4:])}
}

// peerInfo reads what SCCRQ and SCCRP say of the peer.
func (m *message) peerInfo() PeerInfo {
	p := PeerInfo{
		HostName:      m.text(avpHostName),
		VendorName:    m.text(avpVendorName),
		Firmware:      m.uint16(avpFirmware),
		FramingCaps:   m.uint32(avpFramingCaps),
		BearerCaps:    m.uint32(avpBearerCaps),
		ReceiveWindow: defaultWindow,
	}
	// Section 4.4.3: an absent Receive Window Size means 4.
	if m.has(avpReceiveWindow) {
		p.ReceiveWindow = m.uint16(avpReceiveWindow)
	}
	if v := m.values[avpTieBreaker]; v != nil {
		p.TieBreaker, p.HasTieBreaker = [8]byte(v), true
	}
	return p
}
