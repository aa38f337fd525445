package ppp

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

var protocolNames = map[Protocol]string{
	ProtoIPv4: "IPv4", ProtoIPv6: "IPv6", ProtoIPCP: "IPCP", ProtoIPV6CP: "IPV6CP", ProtoCCP: "CCP",
	ProtoLCP: "LCP", ProtoPAP: "PAP", ProtoCHAP: "CHAP",
}

// String names the protocol; an unknown one is its number.
func (p Protocol) String() string {
	if n, ok := protocolNames[p]; ok {
		return n
	}
	return fmt.Sprintf("protocol 0x%04x", uint16(p))
}

var codeNames = [...]string{
	configureRequest: "Configure-Request", configureAck: "Configure-Ack", configureNak: "Configure-Nak",
	configureReject: "Configure-Reject", terminateRequest: "Terminate-Request", terminateAck: "Terminate-Ack",
	codeReject: "Code-Reject", protocolReject: "Protocol-Reject", echoRequest: "Echo-Request",
	echoReply: "Echo-Reply", discardRequest: "Discard-Request", 12: "Identification", 13: "Time-Remaining",
}

var authCodeNames = map[Protocol][5]string{
	ProtoPAP:  {papRequest: "Authenticate-Request", papAck: "Authenticate-Ack", papNak: "Authenticate-Nak"},
	ProtoCHAP: {chapChallenge: "Challenge", chapResponse: "Response", chapSuccess: "Success", chapFailure: "Failure"},
}

func codeName(p Protocol, code uint8) string {
	if names, ok := authCodeNames[p]; ok {
		if int(code) < len(names) && names[code] != "" {
			return names[code]
		}
	} else if int(code) < len(codeNames) && codeNames[code] != "" {
		return codeNames[code]
	}
	return "code " + strconv.Itoa(int(code))
}

// Describe puts a frame of a control protocol into words for a trace. Passwords,
// challenges, what answers them, and what is unknown, and so may be secret, are not
// shown.
func Describe(frame []byte) string {
	p, payload, ok := ParseFrame(frame)
	if !ok {
		return "malformed frame, " + size(frame)
	}
	switch p {
	case ProtoLCP, ProtoIPCP, ProtoIPV6CP, ProtoCCP, ProtoPAP, ProtoCHAP:
	default:
		return p.String() + ", " + size(payload)
	}
	x, ok := parsePacket(payload)
	if !ok {
		return p.String() + " malformed packet, " + size(payload)
	}
	text := p.String() + " " + codeName(p, x.code) + " id " + strconv.Itoa(int(x.id))
	if more := dataText(p, x); more != "" {
		text += ": " + more
	}
	return text
}

func size(b []byte) string { return strconv.Itoa(len(b)) + " bytes" }

// quoted is text of the peer, cut to what a line holds.
func quoted(b []byte) string { return strconv.Quote(string(b[:min(len(b), 128)])) }

func dataText(p Protocol, x packet) string {
	switch p {
	case ProtoPAP:
		return papText(x)
	case ProtoCHAP:
		return chapText(x)
	}
	switch x.code {
	case configureRequest, configureAck, configureNak, configureReject:
		return optionsText(p, x.data)
	case terminateRequest, terminateAck:
		if len(x.data) > 0 {
			return quoted(x.data)
		}
	case protocolReject:
		if len(x.data) >= 2 {
			return Protocol(binary.BigEndian.Uint16(x.data)).String() + ", " + size(x.data[2:])
		}
	case echoRequest, echoReply, discardRequest:
		if len(x.data) >= 4 {
			return "magic 0x" + hex.EncodeToString(x.data[:4])
		}
	default:
		return size(x.data)
	}
	return ""
}

func papText(x packet) string {
	switch x.code {
	case papRequest:
		name, password, ok := parsePAP(x.data)
		if !ok {
			return "malformed, " + size(x.data)
		}
		return "name " + quoted(name) + ", password (" + size(password) + ", not shown)"
	case papAck, papNak:
		return quoted([]byte(papMessage(x.data)))
	}
	return size(x.data)
}

func chapText(x packet) string {
	switch x.code {
	case chapChallenge, chapResponse:
		value, name, ok := counted(x.data)
		if !ok {
			return "malformed, " + size(x.data)
		}
		return "name " + quoted(name) + ", value (" + size(value) + ", not shown)"
	case chapSuccess, chapFailure:
		return quoted(withoutProofs(x.data))
	}
	return size(x.data)
}

// withoutProofs blots out what MS-CHAPv2 puts into its messages: the authenticator's
// answer and the next challenge (RFC 2759 sections 5 and 6).
func withoutProofs(b []byte) []byte {
	words := strings.Split(string(b), " ")
	for i, w := range words {
		if len(w) > 2 && (w[:2] == "S=" || w[:2] == "C=") {
			words[i] = w[:2] + "(not shown)"
		}
	}
	return []byte(strings.Join(words, " "))
}

func optionsText(p Protocol, b []byte) string {
	var all []string
	for len(b) > 0 {
		o, rest, ok := nextOption(b)
		if !ok {
			all = append(all, "malformed option, "+size(b))
			break
		}
		b = rest
		all = append(all, optionText(p, o))
	}
	return strings.Join(all, ", ")
}

func optionText(p Protocol, o option) string {
	text := ""
	switch p {
	case ProtoLCP:
		text = lcpOptionText(o)
	case ProtoIPCP:
		text = ipcpOptionText(o)
	case ProtoIPV6CP:
		if o.kind == optInterfaceID && len(o.data) == 8 {
			text = "interface identifier " + hex.EncodeToString(o.data)
		}
	}
	if text == "" {
		text = "option " + strconv.Itoa(int(o.kind)) + " (" + size(o.data) + ")"
	}
	return text
}

// lcpOptionText is "" for an option that is unknown or malformed.
func lcpOptionText(o option) string {
	switch n := len(o.data); {
	case o.kind == optMRU && n == 2:
		return "MRU " + strconv.Itoa(int(binary.BigEndian.Uint16(o.data)))
	case o.kind == optACCM && n == 4:
		return "ACCM 0x" + hex.EncodeToString(o.data)
	case o.kind == optAuth && n >= 2:
		return "authentication " + authText(o.data)
	case o.kind == optMagic && n == 4:
		return "magic 0x" + hex.EncodeToString(o.data)
	case o.kind == optPFC && n == 0:
		return "PFC"
	case o.kind == optACFC && n == 0:
		return "ACFC"
	case o.kind == 17 && n == 2: // RFC 1990 section 5.1
		return "MRRU " + strconv.Itoa(int(binary.BigEndian.Uint16(o.data)))
	}
	return ""
}

func authText(data []byte) string {
	p := Protocol(binary.BigEndian.Uint16(data))
	if p == ProtoCHAP && len(data) == 3 {
		switch data[2] {
		case algorithmMD5:
			return "CHAP MD5"
		case algorithmMSCHAPv2:
			return "MS-CHAPv2"
		}
		return "CHAP algorithm " + strconv.Itoa(int(data[2]))
	}
	return p.String()
}

// ipcpOptionText is "" for an option that is unknown or malformed.
func ipcpOptionText(o option) string {
	names := map[uint8]string{optIPAddress: "address", optPrimaryDNS: "DNS", optPrimaryNBNS: "NBNS",
		optSecondaryDNS: "second DNS", optSecondaryNBNS: "second NBNS"}
	if n := names[o.kind]; n != "" && len(o.data) == 4 {
		return n + " " + netip.AddrFrom4([4]byte(o.data)).String()
	}
	if o.kind == 2 && len(o.data) >= 2 {
		return "compression 0x" + hex.EncodeToString(o.data[:2])
	}
	return ""
}
