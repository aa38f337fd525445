package l2tp

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
)

// AVPText is an AVP of a message as traces show it.
type AVPText struct {
	Name              string // "vendor 9 attribute 4" when it is unknown
	Mandatory, Hidden bool
	// Readable tells, of a hidden AVP, whether the secret opens it.
	Readable bool
	Length   int // of the value as it was sent, in bytes
	// Value is in words; a note in brackets for what is not shown: hidden values,
	// secrets and answers to challenges, and what is unknown and so may be secret.
	Value string
}

// Redacted are the values that no trace shows. The tunnel's secret can be guessed
// from a challenge and its answer, a subscriber's password from the proxy AVPs.
var redacted = [avpCount]bool{
	avpChallenge: true, avpChallengeResponse: true, avpRandomVector: true,
	avpProxyAuthChallenge: true, avpProxyAuthResponse: true,
}

// Describe reads the body of a control message for a trace: its AVPs as far as they
// are well formed. whole is false when the rest is not. secret only serves to tell
// whether hidden values can be read; they are never shown.
func Describe(body, secret []byte) (avps []AVPText, whole bool) {
	var vector []byte
	for len(body) > 0 {
		a, rest, ok := nextAVP(body)
		if !ok {
			return avps, false
		}
		body = rest
		id, known := lookupAVP(a.vendor, a.typ)
		x := AVPText{
			Name: fmt.Sprintf("vendor %d attribute %d", a.vendor, a.typ), Mandatory: a.flags&avpMandatory != 0,
			Hidden: a.flags&avpHidden != 0, Length: len(a.value),
		}
		if known {
			x.Name = avpTable[id].name
		}
		switch {
		case x.Hidden:
			x.Value = "(hidden)"
			if len(secret) > 0 && vector != nil {
				_, x.Readable = unhide(a.typ, secret, vector, a.value)
			}
		case !known, redacted[id]:
			x.Value = "(" + strconv.Itoa(len(a.value)) + " bytes, not shown)"
		default:
			x.Value = valueText(id, a.value)
		}
		if known && id == avpRandomVector && !x.Hidden {
			vector = a.value
		}
		avps = append(avps, x)
	}
	return avps, true
}

// CallingNumber reads the Calling Number of a request for a call; "" when it is absent
// or hidden.
func CallingNumber(body []byte) string {
	for len(body) > 0 {
		a, rest, ok := nextAVP(body)
		if !ok {
			break
		}
		if a.vendor == 0 && a.typ == uint16(avpCallingNumber) && a.flags&avpHidden == 0 {
			return string(a.value)
		}
		body = rest
	}
	return ""
}

// valueText is a value in words, as its kind says.
func valueText(id avpID, v []byte) string {
	s := &avpTable[id]
	if !s.valid(v) {
		return "(malformed, " + strconv.Itoa(len(v)) + " bytes)"
	}
	switch s.kind {
	case kindNone:
		return ""
	case kindUint16, kindNonZero16, kindOctet16:
		n := binary.BigEndian.Uint16(v)
		if id == avpMessageType {
			return MessageType(n).String()
		}
		return strconv.Itoa(int(n))
	case kindUint32:
		return strconv.FormatUint(uint64(binary.BigEndian.Uint32(v)), 10)
	case kindResult:
		return resultText(v)
	case kindQ931:
		return "cause " + strconv.Itoa(int(binary.BigEndian.Uint16(v))) + " message " + strconv.Itoa(int(v[2])) + " " + strconv.Quote(string(v[3:]))
	case kindCause:
		return "code " + strconv.Itoa(int(binary.BigEndian.Uint16(v))) + " protocol 0x" + hex.EncodeToString(v[2:4]) +
			" direction " + strconv.Itoa(int(v[4])) + " " + strconv.Quote(string(v[5:]))
	case kindRate:
		m := message{}
		m.values[id] = v
		return strconv.Itoa(int(m.kbps(id))) + " kbit/s"
	case kindBytes, kindSome:
		switch id {
		case avpInitialReceivedLCP, avpLastSentLCP, avpLastReceivedLCP, avpPrivateGroup:
			return hex.EncodeToString(v)
		}
		return strconv.Quote(string(v))
	}
	return hex.EncodeToString(v)
}

// resultText does not know whether it is of a CDN or a StopCCN, whose codes differ.
func resultText(v []byte) string {
	text := "code " + strconv.Itoa(int(binary.BigEndian.Uint16(v)))
	if len(v) < 4 {
		return text
	}
	e := binary.BigEndian.Uint16(v[2:])
	return text + " error " + strconv.Itoa(int(e)) + " (" + ErrorText(e) + ") " + strconv.Quote(string(v[4:]))
}
