package radius

import (
	"bytes"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"github.com/lnsd/lnsd/control/radius/policy"
	"github.com/lnsd/lnsd/control/session"
)

// decodeTest decodes an answer with the given code and attributes.
func decodeTest(cfg Config, q *session.AuthRequest, code radius.Code, attrs ...radius.AVP) (*session.AuthResult, []string) {
	return decodeReply(testTable(cfg), q, respond(make([]byte, headerLen), code, testSecret, unsigned, attrs...))
}

func testTable(cfg Config) *policy.Table {
	t, err := policy.New(cfg.Policy)
	if err != nil {
		panic(err)
	}
	return t
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func TestAcceptProfile(t *testing.T) {
	class := func(s string) radius.AVP { return textAVP(rfc2865.Class_Type, s) }
	route := func(s string) radius.AVP { return textAVP(rfc2865.FramedRoute_Type, s) }
	address := avp(rfc2865.FramedIPAddress_Type, 10, 0, 0, 7)
	for _, c := range []struct {
		name  string
		attrs []radius.AVP
		want  session.Profile
	}{
		{"nothing", nil, session.Profile{}},
		{"address", []radius.AVP{address}, session.Profile{Address: ip("10.0.0.7")}},
		{"NAS assigns", []radius.AVP{avp(rfc2865.FramedIPAddress_Type, 255, 255, 255, 254)}, session.Profile{}},
		{"netmask of a host", []radius.AVP{address, avp(rfc2865.FramedIPNetmask_Type, 255, 255, 255, 255)}, session.Profile{Address: ip("10.0.0.7")}},
		{"netmask of a network", []radius.AVP{avp(rfc2865.FramedIPNetmask_Type, 255, 255, 255, 248), address},
			session.Profile{Address: ip("10.0.0.7"), Routes: prefixes("10.0.0.0/29")}},
		{"netmask without address", []radius.AVP{avp(rfc2865.FramedIPNetmask_Type, 255, 255, 255, 0)}, session.Profile{}},
		{"routes", []radius.AVP{route("192.168.7.0/24 0.0.0.0 1"), address, route("172.16.0.0/12 10.0.0.7 1 2"), route("10.5.0.0/16")},
			session.Profile{Address: ip("10.0.0.7"), Routes: prefixes("192.168.7.0/24", "172.16.0.0/12", "10.5.0.0/16")}},
		{"route by another gateway", []radius.AVP{address, route("192.168.7.0/24 10.0.0.8 1")}, session.Profile{Address: ip("10.0.0.7")}},
		{"route nonsense", []radius.AVP{address, route("to grandmother's house")}, session.Profile{Address: ip("10.0.0.7")}},
		{"pool", []radius.AVP{textAVP(rfc2869.FramedPool_Type, "gold")}, session.Profile{Pool: "gold"}},
		{"pool with a NUL", []radius.AVP{textAVP(rfc2869.FramedPool_Type, "gold\x00")}, session.Profile{Pool: "gold"}},
		{"Microsoft name servers", []radius.AVP{vsa(311, 29, 9, 9, 9, 9), vsa(311, 28, 8, 8, 8, 8), vsa(311, 30, 1, 1, 1, 1), vsa(311, 31, 2, 2, 2, 2)},
			session.Profile{DNS: [2]netip.Addr{ip("8.8.8.8"), ip("9.9.9.9")}, NBNS: [2]netip.Addr{ip("1.1.1.1"), ip("2.2.2.2")}}},
		{"Ascend name servers", []radius.AVP{vsa(529, 135, 8, 8, 8, 8), vsa(529, 136, 9, 9, 9, 9)},
			session.Profile{DNS: [2]netip.Addr{ip("8.8.8.8"), ip("9.9.9.9")}}},
		{"several in one VSA", []radius.AVP{avp(26, 0, 0, 1, 55, 28, 6, 8, 8, 8, 8, 29, 6, 9, 9, 9, 9)},
			session.Profile{DNS: [2]netip.Addr{ip("8.8.8.8"), ip("9.9.9.9")}}},
		{"no name server", []radius.AVP{vsa(311, 28, 0, 0, 0, 0)}, session.Profile{}},
		{"timeouts", []radius.AVP{intAVP(rfc2865.SessionTimeout_Type, 3600), intAVP(rfc2865.IdleTimeout_Type, 600)},
			session.Profile{SessionTimeout: time.Hour, IdleTimeout: 10 * time.Minute}},
		{"longest timeout", []radius.AVP{intAVP(rfc2865.SessionTimeout_Type, 1<<32-1)}, session.Profile{SessionTimeout: (1<<32 - 1) * time.Second}},
		{"no idle limit", []radius.AVP{intAVP(rfc2865.IdleTimeout_Type, 0)}, session.Profile{}},
		{"interim", []radius.AVP{intAVP(rfc2869.AcctInterimInterval_Type, 900)}, session.Profile{InterimInterval: 15 * time.Minute}},
		{"shortest interim", []radius.AVP{intAVP(rfc2869.AcctInterimInterval_Type, 60)}, session.Profile{InterimInterval: time.Minute}},
		{"too short interim", []radius.AVP{intAVP(rfc2869.AcctInterimInterval_Type, 59)}, session.Profile{}},
		{"too long interim", []radius.AVP{intAVP(rfc2869.AcctInterimInterval_Type, 1<<31)}, session.Profile{InterimInterval: 24 * time.Hour}},
		{"classes in order", []radius.AVP{class("b"), class("a"), class("b"), class("\x00"), class("")},
			session.Profile{Class: [][]byte{[]byte("b"), []byte("a"), []byte("b"), {0}}}},
		{"user name", []radius.AVP{textAVP(rfc2865.UserName_Type, "alice-1")}, session.Profile{User: "alice-1"}},
		{"service we provide", []radius.AVP{intAVP(rfc2865.ServiceType_Type, 2), intAVP(rfc2865.FramedProtocol_Type, 1)}, session.Profile{}},
		{"unknown and unsupported", []radius.AVP{avp(200, 1), vsa(9, 1, 'x'), textAVP(rfc2865.FilterID_Type, "f"), avp(26, 0, 0)}, session.Profile{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _ := decodeTest(testConfig(1), &session.AuthRequest{Ref: testRef, Method: session.AuthPAP}, radius.CodeAccessAccept, c.attrs...)
			r.Profile.Origins = nil // of no interest here
			if r.Ref != testRef || r.Verdict != session.Accept || !reflect.DeepEqual(r.Profile, c.want) {
				t.Errorf("got %+v\nwant %+v", r, c.want)
			}
		})
	}
}

// An attribute that limits the session and cannot be understood refuses it.
func TestAcceptRefused(t *testing.T) {
	for _, c := range []struct {
		name, cause string
		attr        radius.AVP
	}{
		{"address of 3 bytes", "attribute 8 has 3 bytes", avp(8, 10, 0, 0)},
		{"address of 5 bytes", "attribute 8 has 5 bytes", avp(8, 10, 0, 0, 1, 2)},
		{"empty address", "attribute 8 has 0 bytes", avp(8)},
		{"user chooses", "leaves the choice to the user", avp(8, 255, 255, 255, 255)},
		{"address 0.0.0.0", "attribute 8 is the unusable address", avp(8, 0, 0, 0, 0)},
		{"multicast address", "attribute 8 is the unusable address", avp(8, 224, 0, 0, 1)},
		{"loopback address", "attribute 8 is the unusable address", avp(8, 127, 0, 0, 1)},
		{"netmask of 3 bytes", "attribute 9 has 3 bytes", avp(9, 255, 255, 255)},
		{"timeout of 3 bytes", "attribute 27 has 3 bytes", avp(27, 0, 0, 1)},
		{"timeout of 8 bytes", "attribute 27 has 8 bytes", avp(27, 0, 0, 0, 0, 0, 0, 0, 1)},
		{"no time left", "attribute 27 is 0: no time left", intAVP(27, 0)},
		{"idle timeout of 2 bytes", "attribute 28 has 2 bytes", avp(28, 0, 1)},
		{"interim of 5 bytes", "attribute 85 has 5 bytes", avp(85, 0, 0, 0, 0, 1)},
		{"DNS of 16 bytes", "attribute 26.311.28 has 16 bytes", vsa(311, 28, make([]byte, 16)...)},
		{"service of 1 byte", "attribute 6 has 1 bytes", avp(6, 2)},
		{"Login service", "attribute 6 asks for 1", intAVP(6, 1)},
		{"SLIP", "attribute 7 asks for 2", intAVP(7, 2)},
		{"short MS-CHAP2-Success", "malformed MS-CHAP2-Success", vsa(311, 26, []byte("\x01S=12")...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _ := decodeTest(testConfig(1), &session.AuthRequest{Ref: testRef, Method: session.AuthPAP}, radius.CodeAccessAccept, c.attr)
			if r.Ref != testRef || r.Verdict != session.Reject || !strings.Contains(r.Cause, c.cause) {
				t.Errorf("got %+v, want a reject for %q", r, c.cause)
			}
			if !reflect.DeepEqual(r.Profile, session.Profile{}) {
				t.Errorf("a reject with profile %+v", r.Profile)
			}
		})
	}
	for _, mask := range [][]byte{{0, 0, 0, 0}, {255, 0, 255, 0}, {127, 255, 255, 255}} {
		r, _ := decodeTest(testConfig(1), &session.AuthRequest{}, radius.CodeAccessAccept, avp(8, 10, 0, 0, 1), avp(9, mask...))
		if r.Verdict != session.Reject {
			t.Errorf("netmask %v was taken", mask)
		}
	}
}

func TestZeroSessionTimeoutUnlimited(t *testing.T) {
	cfg := testConfig(1)
	cfg.Policy.ZeroTimeoutRejects = false
	r, _ := decodeTest(cfg, &session.AuthRequest{}, radius.CodeAccessAccept, intAVP(27, 0))
	if r.Verdict != session.Accept || r.Profile.SessionTimeout != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestStrictPolicy(t *testing.T) {
	cfg := testConfig(1)
	cfg.Policy.Strict = true
	for name, c := range map[string]struct {
		attr radius.AVP
		want session.Verdict
	}{
		"Filter-Id":        {textAVP(rfc2865.FilterID_Type, "nobody"), session.Reject},
		"NAS-Filter-Rule":  {textAVP(92, "deny all"), session.Reject},
		"Tunnel-Type":      {intAVP(64, 3), session.Reject},
		"Ascend filter":    {vsa(529, 242, 1), session.Reject},
		"MPPE required":    {vsa(311, 7, 0, 0, 0, 2), session.Reject},
		"MPPE allowed":     {vsa(311, 7, 0, 0, 0, 1), session.Accept},
		"unknown":          {avp(200, 1), session.Accept},
		"Framed-MTU":       {intAVP(12, 1400), session.Accept},
		"vendor attribute": {vsa(9, 1, 'x'), session.Accept},
	} {
		if r, _ := decodeTest(cfg, &session.AuthRequest{}, radius.CodeAccessAccept, c.attr); r.Verdict != c.want {
			t.Errorf("%s: %+v, want verdict %d", name, r, c.want)
		}
	}
}

// What had no effect is named, and nothing else.
func TestIgnoredAttributes(t *testing.T) {
	_, ignored := decodeTest(testConfig(1), &session.AuthRequest{}, radius.CodeAccessAccept,
		intAVP(27, 60), avp(200, 1), vsa(9, 1, 'x'), textAVP(rfc2865.FilterID_Type, "f"), intAVP(85, 10), textAVP(22, "0.0.0.0/0 0.0.0.0 1"), avp(24, 1))
	want := []string{"200", "26.9.1: no key=value", "11", "85: 10s is below 1m0s", "22: a default route cannot point to a subscriber"}
	if !reflect.DeepEqual(ignored, want) {
		t.Errorf("ignored %q, want %q", ignored, want)
	}
}

func TestReplyMessages(t *testing.T) {
	one, two := textAVP(rfc2865.ReplyMessage_Type, "You have "), textAVP(rfc2865.ReplyMessage_Type, "not paid.")
	for _, code := range []radius.Code{radius.CodeAccessAccept, radius.CodeAccessReject, radius.CodeAccessChallenge} {
		r, _ := decodeTest(testConfig(1), &session.AuthRequest{}, code, one, avp(200, 1), two)
		if r.Message != "You have not paid." {
			t.Errorf("%v: message %q", code, r.Message)
		}
		if (r.Verdict == session.Accept) != (code == radius.CodeAccessAccept) || r.Verdict == session.Unavailable {
			t.Errorf("%v: verdict %d", code, r.Verdict)
		}
		if (r.Cause == "") != (code == radius.CodeAccessAccept) {
			t.Errorf("%v: cause %q", code, r.Cause)
		}
	}
	// A reject may hold what would make an accept unusable.
	r, _ := decodeTest(testConfig(1), &session.AuthRequest{}, radius.CodeAccessReject, avp(8, 1), vsa(311, 28, 8, 8, 8, 8), vsa(311, 29, 1), one)
	if r.Verdict != session.Reject || r.Message != "You have " || r.Cause != "rejected by the server" ||
		!reflect.DeepEqual(r.Profile, session.Profile{}) {
		t.Errorf("got %+v", r)
	}
}

func TestMSCHAPv2Answers(t *testing.T) {
	q := &session.AuthRequest{Method: session.AuthMSCHAPv2}
	const text = "S=407A5589115FD0D6209F510FE9C04566932CDA56"
	r, ignored := decodeTest(testConfig(1), q, radius.CodeAccessAccept, vsa(311, 26, []byte("\x07"+text+" M=hello")...),
		vsa(311, 16, 1, 2), vsa(311, 17, 3, 4), vsa(311, 8, 0, 0, 0, 6))
	if r.Verdict != session.Accept || r.MSCHAPSuccess != text || len(ignored) != 0 {
		t.Errorf("got %+v, ignored %v", r, ignored)
	}
	if r, _ := decodeTest(testConfig(1), q, radius.CodeAccessAccept); r.Verdict != session.Reject || r.Cause == "" {
		t.Errorf("an accept that the client will refuse was taken: %+v", r)
	}
	r, _ = decodeTest(testConfig(1), q, radius.CodeAccessReject, vsa(311, 2, []byte("\x07E=691 R=1 C=00 V=3 M=no")...), textAVP(18, "no"))
	if r.Verdict != session.Reject || r.Message != "E=691 R=0 C=00 V=3 M=no" {
		t.Errorf("got %+v", r)
	}
}

func FuzzDecodeReply(f *testing.F) {
	for _, attrs := range [][]radius.AVP{
		{avp(8, 10, 0, 0, 7), intAVP(27, 60), textAVP(22, "10.0.0.0/8 0.0.0.0 1")},
		{vsa(311, 26, []byte("\x01S=407A5589115FD0D6209F510FE9C04566932CDA56")...), vsa(311, 28, 8, 8, 8, 8)},
		{avp(26, 0, 0, 1, 55, 28, 6, 8, 8, 8, 8, 29, 255), textAVP(18, "hello")},
	} {
		f.Add(uint8(2), uint8(3), respond(make([]byte, 20), radius.CodeAccessAccept, "", unsigned, attrs...)[20:])
	}
	f.Fuzz(func(t *testing.T, code, method uint8, attrs []byte) {
		if len(attrs) > radius.MaxPacketLength-headerLen {
			return
		}
		b := append(make([]byte, headerLen), attrs...)
		b[0], b[2], b[3] = code, byte(len(b)>>8), byte(len(b))
		before := bytes.Clone(b)
		r, _ := decodeReply(testTable(testConfig(1)), &session.AuthRequest{Ref: testRef, Method: session.AuthMethod(method)}, b)
		switch {
		case !bytes.Equal(b, before):
			t.Fatal("the packet was changed")
		case r.Ref != testRef:
			t.Fatal("the answer is for another session")
		case r.Verdict == session.Accept && radius.Code(code) != radius.CodeAccessAccept:
			t.Fatalf("code %d accepted", code)
		case r.Verdict == session.Reject && r.Cause == "":
			t.Fatal("a reject without a cause")
		case r.Verdict != session.Accept && r.Verdict != session.Reject:
			t.Fatalf("verdict %d", r.Verdict)
		}
		checkProfile(t, r)
	})
}

// checkProfile holds what every profile must, whatever the server sent.
func checkProfile(t *testing.T, r *session.AuthResult) {
	t.Helper()
	p := &r.Profile
	if p.Address.IsValid() && (!p.Address.Is4() || p.Address.IsMulticast() || p.Address.IsLoopback()) {
		t.Fatalf("address %v", p.Address)
	}
	for _, route := range p.Routes {
		if !route.IsValid() || !route.Addr().Is4() || route.Bits() == 0 || route != route.Masked() {
			t.Fatalf("route %v", route)
		}
	}
	if p.InterimInterval != 0 && p.InterimInterval < time.Minute || p.SessionTimeout < 0 || p.IdleTimeout < 0 {
		t.Fatalf("times %v %v %v", p.InterimInterval, p.SessionTimeout, p.IdleTimeout)
	}
	if r.MSCHAPSuccess != "" && len(r.MSCHAPSuccess) != 42 {
		t.Fatalf("MS-CHAPv2 success %q", r.MSCHAPSuccess)
	}
}
