package l2tp

import (
	"encoding/binary"
	"strings"
)

// hider is how AVPs are hidden in what a tunnel sends; a zero one never hides.
type hider struct {
	secret []byte
	random func([]byte)
}

// builder writes one control message. M bits and hiding come from avpTable.
type builder struct {
	b    []byte
	hide hider
	// vector is the Random Vector of this message once it has one.
	vector []byte
}

// newBuilder begins a message of type t.
func newBuilder(b []byte, t MessageType, tunnelID, sessionID uint16, hide hider) builder {
	w := builder{b: appendControlHeader(b, tunnelID, sessionID, 0, 0), hide: hide}
	w.uint16(avpMessageType, uint16(t))
	return w
}

// bytes appends an AVP. A value too long for one is cut: only texts can be.
func (w *builder) bytes(id avpID, v []byte) {
	spec := &avpTable[id]
	if len(w.hide.secret) > 0 && spec.hide == hideMay {
		w.hidden(spec, v)
		return
	}
	v = v[:min(len(v), avpMaxValue)]
	w.b = appendAVPHeader(w.b, spec.mandatoryFlag(), spec.vendor, spec.typ, len(v))
	w.b = append(w.b, v...)
}

// clear appends an AVP that the peer must be able to read before it knows the
// tunnel, and hence the secret.
func (w *builder) clear(id avpID, v uint16) {
	hide := w.hide
	w.hide = hider{}
	w.uint16(id, v)
	w.hide = hide
}

func (w *builder) hidden(spec *avpSpec, v []byte) {
	if w.vector == nil {
		// Section 4.3: it MUST precede the first hidden AVP.
		w.vector = make([]byte, hideVectorLen)
		w.hide.random(w.vector)
		w.bytes(avpRandomVector, w.vector)
	}
	v = v[:min(len(v), avpMaxValue-2)]
	pad := make([]byte, hidePadLen(len(v)))
	w.hide.random(pad)
	w.b = appendAVPHeader(w.b, spec.mandatoryFlag()|avpHidden, spec.vendor, spec.typ, 2+len(v)+len(pad))
	w.b = appendHidden(w.b, spec.typ, w.hide.secret, w.vector, v, pad)
}

func (s *avpSpec) mandatoryFlag() uint16 {
	if s.m == mSet {
		return avpMandatory
	}
	return 0
}

func (w *builder) uint16(id avpID, v uint16) {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	w.bytes(id, b[:])
}

func (w *builder) uint32(id avpID, v uint32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	w.bytes(id, b[:])
}

func (w *builder) text(id avpID, v string) { w.bytes(id, []byte(v)) }

// optional AVPs are left out when their value says nothing.
func (w *builder) optionalUint32(id avpID, v uint32) {
	if v != 0 {
		w.uint32(id, v)
	}
}

func (w *builder) optionalText(id avpID, v string) {
	if v != "" {
		w.text(id, v)
	}
}

func (w *builder) optionalBytes(id avpID, v []byte) {
	if len(v) > 0 {
		w.bytes(id, v)
	}
}

// rate appends a data rate of the access line, given in kbit/s, in bit/s.
func (w *builder) rate(id avpID, kbps uint32) {
	if kbps != 0 {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(kbps)*1000)
		w.bytes(id, b[:])
	}
}

// result appends a Result Code AVP: 8, 10 or more octets (section 4.4.2).
func (w *builder) result(r *Result) {
	v := binary.BigEndian.AppendUint16(nil, r.Code)
	if r.Error != 0 || r.Message != "" {
		v = binary.BigEndian.AppendUint16(v, r.Error)
		v = append(v, cutUTF8(r.Message, avpMaxValue-4)...)
	}
	w.bytes(avpResultCode, v)
}

// cause appends a PPP Disconnect Cause AVP if there is one.
func (w *builder) cause(d *DisconnectCause) {
	if !d.Present {
		return
	}
	v := binary.BigEndian.AppendUint16(nil, d.Code)
	v = binary.BigEndian.AppendUint16(v, d.Protocol)
	v = append(v, d.Direction)
	// The AVP may be hidden, which takes two octets.
	v = append(v, cutUTF8(d.Message, avpMaxValue-7)...)
	w.bytes(avpPPPDisconnectCause, v)
}

// cutUTF8 shortens s to at most n bytes and makes it valid UTF-8, which texts for
// people MUST be (section 4.4.2).
func cutUTF8(s string, n int) string {
	return strings.ToValidUTF8(s[:min(len(s), n)], "")
}

// callRequest appends what ICRQ and OCRQ have in common.
func (w *builder) callRequest(localID uint16, p *CallParams) {
	w.uint16(avpAssignedSessionID, localID)
	w.uint32(avpCallSerial, p.Serial)
}

// icrq appends the AVPs of an ICRQ (section 6.6).
func (w *builder) icrq(localID uint16, p *CallParams) {
	w.callRequest(localID, p)
	w.optionalUint32(avpBearerType, p.BearerType)
	if p.HasPhysicalChannel {
		w.uint32(avpPhysicalChannel, p.PhysicalChannel)
	}
	w.optionalText(avpCallingNumber, p.CallingNumber)
	w.optionalText(avpCalledNumber, p.CalledNumber)
	w.optionalText(avpSubAddress, p.SubAddress)
	w.optionalText(avpAgentCircuitID, p.Line.CircuitID)
	w.optionalText(avpAgentRemoteID, p.Line.RemoteID)
	w.rate(avpActualUp, p.Line.ActualUp)
	w.rate(avpActualDown, p.Line.ActualDown)
}

// ocrq appends the AVPs of an OCRQ (section 6.9).
func (w *builder) ocrq(localID uint16, p *CallParams) {
	w.callRequest(localID, p)
	w.uint32(avpMinimumBPS, p.MinBPS)
	w.uint32(avpMaximumBPS, p.MaxBPS)
	w.uint32(avpBearerType, p.BearerType)
	w.uint32(avpFramingType, p.FramingType)
	w.text(avpCalledNumber, p.CalledNumber)
	w.optionalText(avpSubAddress, p.SubAddress)
}

// connected appends what ICCN and OCCN have in common (sections 6.8 and 6.11).
func (w *builder) connected(p *CallParams) {
	w.uint32(avpTxConnectSpeed, p.TxSpeed)
	w.uint32(avpFramingType, p.FramingType)
	if p.RxSpeed != 0 && p.RxSpeed != p.TxSpeed {
		w.uint32(avpRxConnectSpeed, p.RxSpeed)
	}
	if p.SequencingRequired {
		w.bytes(avpSequencingRequired, nil)
	}
}

// iccn appends the AVPs of an ICCN (section 6.8).
func (w *builder) iccn(p *CallParams) {
	w.connected(p)
	w.optionalText(avpPrivateGroup, p.PrivateGroup)
	x := &p.Proxy
	w.optionalBytes(avpInitialReceivedLCP, x.InitialReceived)
	w.optionalBytes(avpLastSentLCP, x.LastSent)
	w.optionalBytes(avpLastReceivedLCP, x.LastReceived)
	if x.AuthType == 0 {
		return
	}
	w.uint16(avpProxyAuthType, x.AuthType)
	w.optionalText(avpProxyAuthName, x.AuthName)
	w.optionalBytes(avpProxyAuthChallenge, x.AuthChallenge)
	// Section 4.4.5: the id MUST be there for types 2, 3 and 5.
	if x.AuthType == 2 || x.AuthType == 3 || x.AuthType == 5 {
		w.uint16(avpProxyAuthID, uint16(x.AuthID))
	}
	w.optionalBytes(avpProxyAuthResponse, x.AuthResponse)
}

func (w *builder) callErrors(e CallErrors) {
	v := make([]byte, 2, 26)
	for _, n := range [...]uint32{e.CRC, e.Framing, e.HardwareOverruns, e.BufferOverruns, e.Timeouts, e.Alignment} {
		v = binary.BigEndian.AppendUint32(v, n)
	}
	w.bytes(avpCallErrors, v)
}

func (w *builder) accm(m ACCM) {
	v := make([]byte, 2, 10)
	v = binary.BigEndian.AppendUint32(v, m.Send)
	w.bytes(avpACCM, binary.BigEndian.AppendUint32(v, m.Receive))
}

// finish fills in the Length and returns the message.
func (w *builder) finish() []byte {
	binary.BigEndian.PutUint16(w.b[offLength:], uint16(len(w.b)))
	return w.b
}

// AppendRefusal appends a StopCCN that answers an SCCRQ without making a tunnel
// for it: Ns is 0 and Nr 1, as the first message of a tunnel that has received the
// SCCRQ. peerTunnelID is the SCCRQ's Assigned Tunnel ID; ownTunnelID must not be
// 0 nor that of a tunnel with this peer.
func AppendRefusal(dst []byte, peerTunnelID, ownTunnelID uint16, r Result) []byte {
	start := len(dst)
	w := newBuilder(dst[start:], StopCCN, peerTunnelID, 0, hider{})
	w.uint16(avpAssignedTunnelID, ownTunnelID)
	w.result(&r)
	b := w.finish()
	binary.BigEndian.PutUint16(b[offNr:], 1)
	return append(dst[:start], b...)
}
