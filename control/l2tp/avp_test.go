package l2tp

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// Every AVP as it goes over the wire, with the paragraph that says so. The value of
// each is read back through message.
var avpGolden = []struct {
	id  avpID
	hex string // header and value
	get func(m *message) any
	val any
}{
	// 4.4.1
	{avpMessageType, "8008 0000 0000 0006", func(m *message) any { return m.typ }, HELLO},
	{avpRandomVector, "8008 0000 0024 abcd", func(m *message) any { return m.text(avpRandomVector) }, "\xab\xcd"},
	// 4.4.2
	{avpResultCode, "8008 0000 0001 0003", func(m *message) any { return m.result() }, Result{Code: 3}},
	{avpResultCode, "800a 0000 0001 0002 0004", func(m *message) any { return m.result() }, Result{Code: 2, Error: 4}},
	{avpResultCode, "800c 0000 0001 0002 0006 6869", func(m *message) any { return m.result() }, Result{Code: 2, Error: 6, Message: "hi"}},
	// 4.4.3
	{avpProtocolVersion, "8008 0000 0002 0100", func(m *message) any { return m.uint16(avpProtocolVersion) }, uint16(0x100)},
	{avpFramingCaps, "800a 0000 0003 00000003", func(m *message) any { return m.peerInfo().FramingCaps }, uint32(3)},
	{avpBearerCaps, "800a 0000 0004 00000002", func(m *message) any { return m.peerInfo().BearerCaps }, uint32(2)},
	{avpTieBreaker, "000e 0000 0005 0102030405060708", func(m *message) any { return m.peerInfo().TieBreaker }, [8]byte{1, 2, 3, 4, 5, 6, 7, 8}},
	{avpFirmware, "0008 0000 0006 0690", func(m *message) any { return m.peerInfo().Firmware }, uint16(0x690)},
	{avpHostName, "8009 0000 0007 6c6163", func(m *message) any { return m.peerInfo().HostName }, "lac"},
	{avpVendorName, "0008 0000 0008 6d65", func(m *message) any { return m.peerInfo().VendorName }, "me"},
	{avpAssignedTunnelID, "8008 0000 0009 1234", func(m *message) any { return m.uint16(avpAssignedTunnelID) }, uint16(0x1234)},
	{avpReceiveWindow, "8008 0000 000a 0010", func(m *message) any { return m.peerInfo().ReceiveWindow }, uint16(16)},
	{avpChallenge, "8007 0000 000b 5a", func(m *message) any { return m.text(avpChallenge) }, "Z"},
	{avpChallengeResponse, "8016 0000 000d 000102030405060708090a0b0c0d0e0f",
		func(m *message) any { return len(m.values[avpChallengeResponse]) }, 16},
	// 4.4.4
	{avpQ931Cause, "800b 0000 000c 0010 45 6869", func(m *message) any { return m.uint16(avpQ931Cause) }, uint16(16)},
	{avpAssignedSessionID, "8008 0000 000e 0a0b", func(m *message) any { return m.uint16(avpAssignedSessionID) }, uint16(0xa0b)},
	{avpCallSerial, "800a 0000 000f 00000007", func(m *message) any { return request(m).Serial }, uint32(7)},
	{avpMinimumBPS, "800a 0000 0010 00002580", func(m *message) any { return request(m).MinBPS }, uint32(9600)},
	{avpMaximumBPS, "800a 0000 0011 0000fa00", func(m *message) any { return request(m).MaxBPS }, uint32(64000)},
	{avpBearerType, "800a 0000 0012 00000001", func(m *message) any { return request(m).BearerType }, BearerDigital},
	{avpFramingType, "800a 0000 0013 00000002", func(m *message) any { return request(m).FramingType }, FramingAsync},
	{avpCalledNumber, "8009 0000 0015 343030", func(m *message) any { return request(m).CalledNumber }, "400"},
	{avpCallingNumber, "8008 0000 0016 3535", func(m *message) any { return request(m).CallingNumber }, "55"},
	{avpSubAddress, "8007 0000 0017 39", func(m *message) any { return request(m).SubAddress }, "9"},
	{avpTxConnectSpeed, "800a 0000 0018 02faf080", func(m *message) any { return connected(m).RxSpeed }, uint32(50_000_000)},
	{avpRxConnectSpeed, "000a 0000 0026 00989680", func(m *message) any { return connected(m).RxSpeed }, uint32(10_000_000)},
	{avpPhysicalChannel, "000a 0000 0019 00000003", func(m *message) any { return request(m).PhysicalChannel }, uint32(3)},
	{avpPrivateGroup, "0009 0000 0025 726564", func(m *message) any { return connected(m).PrivateGroup }, "red"},
	{avpSequencingRequired, "8006 0000 0027", func(m *message) any { return connected(m).SequencingRequired }, true},
	// 4.4.5
	{avpInitialReceivedLCP, "000a 0000 001a 010405d4", func(m *message) any { return connected(m).Proxy.InitialReceived }, []byte{1, 4, 5, 0xd4}},
	{avpLastSentLCP, "000a 0000 001b 0304c023", func(m *message) any { return connected(m).Proxy.LastSent }, []byte{3, 4, 0xc0, 0x23}},
	{avpLastReceivedLCP, "000a 0000 001c 010405dc", func(m *message) any { return connected(m).Proxy.LastReceived }, []byte{1, 4, 5, 0xdc}},
	{avpProxyAuthType, "0008 0000 001d 0002", func(m *message) any { return connected(m).Proxy.AuthType }, uint16(2)},
	{avpProxyAuthName, "0008 0000 001e 7531", func(m *message) any { return connected(m).Proxy.AuthName }, "u1"},
	{avpProxyAuthChallenge, "0007 0000 001f 77", func(m *message) any { return connected(m).Proxy.AuthChallenge }, []byte{0x77}},
	{avpProxyAuthID, "0008 0000 0020 0009", func(m *message) any { return connected(m).Proxy.AuthID }, uint8(9)},
	{avpProxyAuthResponse, "0007 0000 0021 78", func(m *message) any { return connected(m).Proxy.AuthResponse }, []byte{0x78}},
	// 4.4.6
	{avpCallErrors, "8020 0000 0022 0000 00000001 00000002 00000003 00000004 00000005 00000006",
		func(m *message) any { return m.callErrors() }, CallErrors{1, 2, 3, 4, 5, 6}},
	{avpACCM, "8010 0000 0023 0000 000a0000 ffffffff", func(m *message) any { return m.accm() }, ACCM{0xa0000, 0xffffffff}},
	// RFC 3145 2
	{avpPPPDisconnectCause, "000e 0000 002e 0010 c023 01 626164", func(m *message) any {
		m.values[avpResultCode] = []byte{0, 3}
		return m.result().Disconnect
	}, DisconnectCause{true, 16, 0xc023, 1, "bad"}},
	// RFC 5515
	{avpConnectSpeedUpdate, "0012 0000 0061 0000 0007 00001000 00002000", func(m *message) any { return m.has(avpConnectSpeedUpdate) }, true},
	{avpConnectSpeedEnable, "0006 0000 0062", func(m *message) any { return m.has(avpConnectSpeedEnable) }, true},
	{avpAgentCircuitID, "0009 0de9 0001 6f6c74", func(m *message) any { return request(m).Line.CircuitID }, "olt"},
	{avpAgentRemoteID, "0008 0de9 0002 7231", func(m *message) any { return request(m).Line.RemoteID }, "r1"},
	{avpActualUp, "000e 0de9 0081 0000000000989680", func(m *message) any { return request(m).Line.ActualUp }, uint32(10_000)},
	{avpActualUp, "000a 0de9 0081 00002710", func(m *message) any { return request(m).Line.ActualUp }, uint32(10_000)},
	{avpActualDown, "000e 0de9 0082 ffffffffffffffff", func(m *message) any { return request(m).Line.ActualDown }, uint32(1<<32 - 1)},
	{avpMinimumUp, "000e 0de9 0083 0000000000989681", func(m *message) any { return request(m).Line.Values[2] }, uint32(10_000_001)},
	{avpMinimumUp, "000e 0de9 0083 0000000100000000", func(m *message) any { return request(m).Line.Values[2] }, uint32(1<<32 - 1)},
	{avpMinimumDown, "000a 0de9 0084 00002710", func(m *message) any { return request(m).Line.Values[3] }, uint32(10_000_000)},
	{avpActualDelayDown, "000a 0de9 008e 00000010", func(m *message) any { return request(m).Line.Values[13] }, uint32(16)},
	{avpLoopEncapsulation, "0009 0de9 0090 010203", func(m *message) any { return m.text(avpLoopEncapsulation) }, "\x01\x02\x03"},
	{avpIWF, "0006 0de9 00fe", func(m *message) any { return m.has(avpIWF) }, true},
}

func request(m *message) (p CallParams)   { p.fillRequest(m); return p }
func connected(m *message) (p CallParams) { p.fillConnected(m); return p }

func TestAVPGolden(t *testing.T) {
	for _, c := range avpGolden {
		spec := &avpTable[c.id]
		t.Run(spec.name, func(t *testing.T) {
			raw := unhex(t, c.hex)
			a, rest, ok := nextAVP(raw)
			if !ok || len(rest) != 0 || a.vendor != spec.vendor || a.typ != spec.typ {
				t.Fatalf("%+v %x %v", a, rest, ok)
			}
			if id, ok := lookupAVP(a.vendor, a.typ); !ok || id != c.id {
				t.Fatalf("looked up as %d", id)
			}
			// The builder writes the same octets: vendor, type, M bit and length.
			w := builder{}
			w.bytes(c.id, a.value)
			if !bytes.Equal(w.b, raw) {
				t.Errorf("built %x, want %x", w.b, raw)
			}
			var m message
			if c.id == avpMessageType {
				m.decode(raw, nil)
			} else {
				m.decode(append(unhex(t, "8008 0000 0000 0006"), raw...), nil)
			}
			if m.fault.reaction != reactNone {
				t.Fatalf("fault: %+v", m.fault)
			}
			if got := c.get(&m); !reflect.DeepEqual(got, c.val) {
				t.Errorf("value %#v, want %#v", got, c.val)
			}
		})
	}
}

// The table is the specification: what it holds agrees with itself and with the
// never-hidden list of RFC 2661 section 4.4.
func TestAVPTable(t *testing.T) {
	never := map[avpID]bool{avpMessageType: true, avpResultCode: true, avpProtocolVersion: true, avpTieBreaker: true,
		avpHostName: true, avpReceiveWindow: true, avpQ931Cause: true, avpRandomVector: true, avpSequencingRequired: true}
	clear := map[avpID]bool{avpTieBreaker: true, avpFirmware: true, avpVendorName: true, avpRxConnectSpeed: true,
		avpPhysicalChannel: true, avpPrivateGroup: true, avpInitialReceivedLCP: true, avpLastSentLCP: true,
		avpLastReceivedLCP: true, avpProxyAuthType: true, avpProxyAuthName: true, avpProxyAuthChallenge: true,
		avpProxyAuthID: true, avpProxyAuthResponse: true}
	names := map[string]bool{}
	for id := range avpCount {
		s := &avpTable[id]
		if s.kind == kindUnknown {
			if s.name != "" {
				t.Errorf("%s has no kind", s.name)
			}
			continue
		}
		if names[s.name] || s.name == "" || s.section == "" {
			t.Errorf("%d: name %q, section %q", id, s.name, s.section)
		}
		names[s.name] = true
		if got, ok := lookupAVP(s.vendor, s.typ); !ok || got != id {
			t.Errorf("%s is looked up as %d", s.name, got)
		}
		if (s.hide == hideNever) != never[id] {
			t.Errorf("%s: hide rule %d", s.name, s.hide)
		}
		base := s.vendor == 0 && id <= avpSequencingRequired
		if (s.m == mClear) != (clear[id] || !base) {
			t.Errorf("%s: M rule %d", s.name, s.m)
		}
		if strings.HasPrefix(s.section, "4.4") != base {
			t.Errorf("%s: section %s", s.name, s.section)
		}
	}
	for _, x := range [][2]uint16{{0, 20}, {0, 40}, {0, 45}, {0, 47}, {0, 96}, {0, 99}, {9, 1}, {vendorADSL, 3}, {1, 97}} {
		if id, ok := lookupAVP(x[0], x[1]); ok || AVPName(x[0], x[1]) != "" {
			t.Errorf("vendor %d type %d is known as %d", x[0], x[1], id)
		}
	}
	if AVPName(0, 7) != "Host Name" || AVPName(vendorADSL, 1) != "Agent Circuit ID" {
		t.Error("names")
	}
}

// Section 7.1: what a wrong value costs, by its M bit.
func TestMalformedAVPs(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		code      uint16 // error code with M set
	}{
		{"short uint32", "0008 0000 000f 0001", ErrorLength},
		{"long uint16", "000a 0000 0002 01000000", ErrorLength},
		{"empty Host Name", "0006 0000 0007", ErrorLength},
		{"Assigned Tunnel ID 0", "0008 0000 0009 0000", ErrorValue},
		{"window 0", "0008 0000 000a 0000", ErrorValue},
		{"Result Code of 3", "0009 0000 0001 0001 00", ErrorValue},
		{"Proxy Authen ID above 255", "0008 0000 0020 0100", ErrorValue},
		{"Sequencing Required with a value", "0007 0000 0027 00", ErrorLength},
		{"Rx Connect Speed of 2 (the example of 7.1)", "0008 0000 0026 0001", ErrorLength},
		{"rate of 6", "000c 0de9 0081 000000000001", ErrorValue},
		{"hidden without a Random Vector", "400c 0000 000f 000102030405", ErrorValue},
		{"hidden though it never is", "400c 0000 0007 000102030405", ErrorValue},
		{"unknown attribute", "0006 0000 0063", ErrorUnknownAVP},
		{"unknown vendor", "0006 0009 0001", ErrorUnknownAVP},
		{"reserved bit", "0408 0000 000e 0001", ErrorUnknownAVP},
		{"length below 6", "0005 0000 0007", ErrorLength},
		{"length beyond the message", "0009 0000 0007 6162", ErrorLength},
		{"five octets", "0006 0000 00", ErrorLength},
	} {
		for _, mandatory := range []bool{false, true} {
			raw := unhex(t, c.hex)
			if mandatory {
				raw[0] |= 0x80
			}
			var m message
			m.decode(append(body(HELLO), raw...), []byte("secret"))
			want := fault{}
			if mandatory {
				want = fault{reactClear, c.code, m.fault.text}
			}
			if m.fault != want {
				t.Errorf("%s, M %v: %+v, want error %d", c.name, mandatory, m.fault, c.code)
			}
		}
	}
}

// Section 4.4.2: the message of error 8 names the offending attribute.
func TestUnknownMandatoryIsNamed(t *testing.T) {
	var m message
	m.decode(append(body(ICRQ), unhex(t, "8006 0009 0063")...), nil)
	if want := "unknown mandatory AVP: vendor 9 attribute 99"; m.fault.text != want {
		t.Errorf("%q", m.fault.text)
	}
}

func TestFirstOfRepeatedAVPsCounts(t *testing.T) {
	var m message
	m.decode(append(body(SCCRQ), unhex(t, "8008 0000 0009 7777")...), nil)
	if m.uint16(avpAssignedTunnelID) != benchPeerID || m.fault.reaction != reactNone {
		t.Errorf("%#x, %+v", m.uint16(avpAssignedTunnelID), m.fault)
	}
	// But an unknown one may repeat.
	m = message{}
	m.decode(append(body(HELLO), unhex(t, "0006 0009 0001 0006 0009 0001")...), nil)
	if m.fault.reaction != reactNone {
		t.Errorf("%+v", m.fault)
	}
}

// Section 6: a message without one of its required AVPs.
func TestRequiredAVPs(t *testing.T) {
	for _, typ := range allMessages {
		full := body(typ)
		var m message
		if m.decode(full, nil); m.fault.reaction != reactNone {
			t.Errorf("%s: %+v", typ, m.fault)
		}
		for _, id := range messageTable[typ].required {
			var without []byte
			for rest := full; len(rest) > 0; {
				a, next, _ := nextAVP(rest)
				if got, _ := lookupAVP(a.vendor, a.typ); got != id {
					without = append(without, rest[:len(rest)-len(next)]...)
				}
				rest = next
			}
			m = message{}
			m.decode(without, nil)
			if want := "missing AVP: " + avpTable[id].name; m.fault.text != want || m.fault.reaction != reactClear {
				t.Errorf("%s: %+v, want %q", typ, m.fault, want)
			}
		}
	}
	// The section each message is in is the one of its required AVPs.
	if messageTable[OCRQ].section != "6.9" || len(messageTable[OCRQ].required) != 7 {
		t.Error("OCRQ")
	}
}

func TestAssignedSessionIDZero(t *testing.T) {
	for _, typ := range []MessageType{ICRQ, ICRP, OCRQ, OCRP, CDN} {
		b := bytes.Replace(body(typ), []byte{0, 14, 0, 0x77}, []byte{0, 14, 0, 0}, 1)
		var m message
		m.decode(b, nil)
		if faulty := m.fault.reaction != reactNone; faulty != (typ != CDN) {
			t.Errorf("%s: %+v", typ, m.fault)
		}
	}
}

func TestPeek(t *testing.T) {
	b := body(SCCRQ, func(w *builder) { w.bytes(avpTieBreaker, []byte("12345678")) })
	if name, id, ok := PeekSCCRQ(b); !ok || string(name) != "peer" || id != benchPeerID {
		t.Errorf("%q %#x %v", name, id, ok)
	}
	if tie, ok := PeekTieBreaker(b); !ok || string(tie[:]) != "12345678" {
		t.Errorf("%q %v", tie, ok)
	}
	if _, ok := PeekTieBreaker(body(SCCRQ)); ok {
		t.Error("a tie breaker where there is none")
	}
	if id, ok := PeekStopCCN(body(StopCCN)); !ok || id != benchPeerID {
		t.Errorf("%#x %v", id, ok)
	}
	hidden := newBuilder(nil, SCCRQ, 0, 0, hider{[]byte("s"), testRandom(1)})
	hidden.text(avpHostName, "peer")
	hidden.uint16(avpAssignedTunnelID, 7)
	if name, id, ok := PeekSCCRQ(hidden.b[controlHeaderLen:]); !ok || string(name) != "peer" || id != 0 {
		t.Errorf("hidden id: %q %#x %v", name, id, ok)
	}
	host := unhex(t, "8009 0000 0007 6c6163")
	tid := unhex(t, "8008 0000 0009 0001")
	for name, b := range map[string][]byte{
		"empty":               nil,
		"another message":     body(SCCRP),
		"no Host Name":        append(body(HELLO)[:6:6], append([]byte{0, 1}, tid...)...),
		"no id":               append(body(HELLO)[:6:6], append([]byte{0, 1}, host...)...),
		"cut off":             b[:len(b)-1],
		"id 0":                bytes.Replace(b, []byte{0x22, 0x22}, []byte{0, 0}, 1),
		"hidden Host Name":    bytes.Replace(b, []byte{0x80, 10, 0, 0, 0, 7}, []byte{0xc0, 10, 0, 0, 0, 7}, 1),
		"reserved bit in id":  bytes.Replace(b, []byte{0x80, 8, 0, 0, 0, 9}, []byte{0x84, 8, 0, 0, 0, 9}, 1),
		"type is not first":   append(host, b...),
		"Message Type hidden": append([]byte{0xc0}, b[1:]...),
	} {
		if _, _, ok := PeekSCCRQ(b); ok {
			t.Errorf("%s is a well-formed SCCRQ", name)
		}
	}
	if _, ok := PeekStopCCN(body(SCCRQ)); ok {
		t.Error("an SCCRQ is a StopCCN")
	}
	if _, ok := PeekStopCCN(unhex(t, "8008 0000 0000 0004")); ok {
		t.Error("a StopCCN without an id")
	}
	if typ, ok := PeekType(nil); !ok || typ != ZLB {
		t.Error("ZLB")
	}
}

func TestNames(t *testing.T) {
	got := fmt.Sprint(ICRQ, ZLB, MessageType(5), MessageType(300), Established, TunnelState(9), Duplicate, DiscardReason(99),
		StopText(4), CDNText(8), ErrorText(8), ErrorText(77), StopText(0))
	want := "ICRQ ZLB 5 300 established unknown duplicate unknown" +
		"not authorizedbusyunknown mandatory AVP770"
	if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("%q", got)
	}
}

func TestAttributesAreCounted(t *testing.T) {
	var m message
	// One of a vendor that is known, one of another, a known one twice, one too short.
	b := append(body(HELLO), unhex(t, "0007 0de9 0001 41 0007 0009 0063 00 0007 0000 0007 41 0007 0000 0007 42 0007 0000 0009 01")...)
	m.decode(b, nil)
	if m.vendor != 2 || m.ignored != 3 {
		t.Errorf("%d of vendors, %d ignored; want 2, 3", m.vendor, m.ignored)
	}
}
