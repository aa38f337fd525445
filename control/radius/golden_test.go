package radius

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/lnsd/lnsd/control/session"
)

var update = flag.Bool("update", false, "rewrite the golden packets")

// testCall is a call with everything known of it.
func testCall() session.CallInfo {
	return session.CallInfo{
		AcctSessionID: "5F3A0001", CalledNumber: "0800123", CallingNumber: "5551234", CallSerial: 4711,
		TxSpeed: 100_000_000, RxSpeed: 20_000_000,
		LAC: netip.MustParseAddrPort("203.0.113.9:1701"), LNS: netip.MustParseAddrPort("198.51.100.1:1701"),
		LACName: "lac.example.net", LNSName: "lns1.example.net",
		PeerTunnelID: 77, PeerSessionID: 88,
	}
}

// testLine is an access line with something in each kind of field.
func testLine() *session.AccessLine {
	return &session.AccessLine{
		CircuitID: "olt1 eth 1/1:100", RemoteID: "home 7",
		Values: [14]uint32{20_000_000, 1<<32 - 1, 12: 8}, Loop: "\x02\x01\x00", Interworking: true,
	}
}

var testRef = session.Ref{TunnelID: 0x1234, SessionID: 0x5678, Serial: 9}

// testRequests encodes with a Request Authenticator of 00 01 .. 0f.
func testRequests(cfg *Config) *requests {
	return &requests{cfg: cfg, attrs: newAttributes(), random: func(b []byte) {
		for i := range b {
			b[i] = byte(i)
		}
	}}
}

// dump writes a packet as one line for the header and one for each attribute.
func dump(b []byte) string {
	var s strings.Builder
	fmt.Fprintf(&s, "code %d id %d length %d authenticator %x\n", b[0], b[1], int(b[2])<<8|int(b[3]), b[4:20])
	for b = b[20:]; len(b) > 0; b = b[b[1]:] {
		v := b[2:b[1]]
		fmt.Fprintf(&s, "%3d %3d %x", b[0], b[1], v)
		if text := string(v); strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0 {
			fmt.Fprintf(&s, "  %q", text)
		}
		s.WriteByte('\n')
	}
	return s.String()
}

// checkGolden compares a packet with the file of that name.
func checkGolden(t *testing.T, name string, b []byte) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(dump(b)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := dump(b); got != string(want) {
		t.Errorf("%s:\ngot\n%swant\n%s", name, got, want)
	}
}

func TestGoldenAccessRequest(t *testing.T) {
	challenge := []byte("0123456789abcdef")
	response := bytes.Repeat([]byte{0xaa}, 16)
	ms := append(append(bytes.Repeat([]byte{1}, 16), make([]byte, 8)...), append(bytes.Repeat([]byte{2}, 24), 4)...)
	v6 := testCall()
	v6.LAC, v6.LNS = netip.MustParseAddrPort("[2001:db8::9]:1701"), netip.MustParseAddrPort("[2001:db8::1]:1701")
	v6.PhysicalChannel, v6.RxSpeed, v6.LACName = 42, v6.TxSpeed, "\x01odd"
	line := testCall()
	line.Line = testLine()
	for _, c := range []struct {
		name string
		q    session.AuthRequest
	}{
		{"access-line", session.AuthRequest{Method: session.AuthPAP, Password: []byte("pw"), Call: line}},
		{"access-pap", session.AuthRequest{Method: session.AuthPAP, Password: []byte("a password of more than 16 bytes"), Call: testCall()}},
		{"access-pap-empty", session.AuthRequest{Method: session.AuthPAP}},
		{"access-chap", session.AuthRequest{Method: session.AuthCHAP, ID: 5, Challenge: challenge, Response: response, Call: v6}},
		{"access-mschapv2", session.AuthRequest{Method: session.AuthMSCHAPv2, ID: 6, Challenge: challenge, Response: ms, Call: testCall()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := testConfig(1).withDefaults()
			cfg.RequestCUI = c.name == "access-line"
			c.q.Ref, c.q.User = testRef, "alice@example.net"
			b, err := testRequests(&cfg).access(newServer(cfg.Servers[0], 1812), 17, &request{auth: &c.q})
			if err != nil {
				t.Fatal(err)
			}
			checkGolden(t, c.name, b)
			// RFC 3579 section 3.2, computed anew, and the attribute first.
			zeroed := bytes.Clone(b)
			clear(zeroed[22:38])
			if b[20] != 80 || b[21] != 18 || !bytes.Equal(hmacMD5(testSecret, zeroed), b[22:38]) {
				t.Error("no valid Message-Authenticator in front")
			}
			p, err := radius.Parse(b, []byte(testSecret))
			if err != nil {
				t.Fatal(err)
			}
			if c.q.Method == session.AuthPAP {
				if got := rfc2865.UserPassword_Get(p); string(got) != string(c.q.Password) {
					t.Errorf("password %q, want %q", got, c.q.Password)
				}
			}
		})
	}
}

func TestGoldenAccountingRequest(t *testing.T) {
	rec := func(kind session.AcctKind) session.AcctRecord {
		return session.AcctRecord{
			Ref: testRef, Kind: kind, At: start, User: "alice@example.net", Method: session.AuthCHAP,
			Address: netip.MustParseAddr("10.0.0.7"),
			Routes:  []netip.Prefix{netip.MustParsePrefix("10.9.0.0/24"), netip.MustParsePrefix("10.8.0.1/32")},
			Class:   [][]byte{{1, 2, 3}, []byte("second")},
			Call:    testCall(),
		}
	}
	local := rec(session.AcctStart)
	local.Login, local.CUI, local.Local, local.Call.Line = "alice", []byte("contract-42"), true, testLine()
	stop := rec(session.AcctStop)
	stop.Duration, stop.Cause = 3661*time.Second+999*time.Millisecond, session.CauseLostCarrier
	stop.Counters = session.Counters{UpBytes: 3<<32 + 5, DownBytes: 7<<32 + 9, UpPackets: 1<<32 + 11, DownPackets: 13}
	interim := stop
	interim.Kind = session.AcctInterim
	linkStop := stop
	linkStop.Kind, linkStop.Counters.UpDropped, linkStop.Counters.DownDropped = session.AcctLinkStop, 5, 6
	link := func(r session.AcctRecord) session.AcctRecord {
		r.Tunnel = "5F3A0000"
		return r
	}
	tunnel := func(kind session.AcctKind, cause session.TerminateCause) session.AcctRecord {
		r := session.AcctRecord{
			Ref: session.Ref{TunnelID: testRef.TunnelID}, Kind: kind, At: start, User: "lac.example.net", Call: testCall(), Cause: cause,
		}
		if kind.Ends() {
			r.Counters, r.Duration = stop.Counters, stop.Duration
		}
		return r
	}
	dual := stop
	dual.IPv6 = &session.Network6{
		InterfaceID: [8]byte{2, 0, 0x5E, 7: 1},
		Prefixes:    []netip.Prefix{netip.MustParsePrefix("2001:db8:1::/64")},
		Addresses:   []netip.Addr{netip.MustParseAddr("2001:db8:1::99")},
		Delegated:   []netip.Prefix{netip.MustParsePrefix("2001:db8:100::/56"), netip.MustParsePrefix("2001:db8:200::1/44")},
		Routes:      []netip.Prefix{netip.MustParsePrefix("2001:db8:300::/48")},
	}
	dual.Counters.UpPackets6, dual.Counters.UpBytes6 = 3, 5<<32+1
	dual.Counters.DownPackets6, dual.Counters.DownBytes6 = 4, 6<<32+2
	for name, r := range map[string]session.AcctRecord{
		"acct-local": local, "acct-dual": dual,
		"acct-start": rec(session.AcctStart), "acct-interim": interim, "acct-stop": stop,
		"acct-tunnel-start":  tunnel(session.AcctTunnelStart, 0),
		"acct-tunnel-stop":   tunnel(session.AcctTunnelStop, session.CauseLostService),
		"acct-tunnel-reject": tunnel(session.AcctTunnelReject, session.CauseServiceUnavailable),
		"acct-link-start":    link(rec(session.AcctLinkStart)), "acct-link-stop": link(linkStop),
		"acct-on":  {Kind: acctOn, At: start, Call: session.CallInfo{AcctSessionID: "boot-1"}},
		"acct-off": {Kind: acctOff, At: start, Call: session.CallInfo{AcctSessionID: "boot-2"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(1).withDefaults()
			b, err := testRequests(&cfg).account(newServer(cfg.Servers[0], 1813), 18, &request{acct: &r, first: start.Add(1500 * time.Millisecond)})
			if err != nil {
				t.Fatal(err)
			}
			checkGolden(t, name, b)
			if !radius.IsAuthenticRequest(b, []byte(testSecret)) {
				t.Error("wrong Request Authenticator")
			}
			again, err := testRequests(&cfg).account(newServer(cfg.Servers[0], 1813), 18, &request{acct: &r, first: start.Add(1900 * time.Millisecond)})
			if err != nil || !bytes.Equal(again, b) {
				t.Error("the packet depends on more than the record")
			}
		})
	}
}

// What cannot be put into an Access-Request is refused here.
func TestUnsendable(t *testing.T) {
	cfg := testConfig(1).withDefaults()
	for name, q := range map[string]session.AuthRequest{
		"no user":                {Method: session.AuthPAP},
		"long user":              {User: strings.Repeat("x", 254), Method: session.AuthPAP},
		"long password":          {User: "u", Method: session.AuthPAP, Password: make([]byte, 129)},
		"no credentials":         {User: "u"},
		"CHAP response length":   {User: "u", Method: session.AuthCHAP, Challenge: make([]byte, 16), Response: make([]byte, 15)},
		"no CHAP challenge":      {User: "u", Method: session.AuthCHAP, Response: make([]byte, 16)},
		"long CHAP challenge":    {User: "u", Method: session.AuthCHAP, Challenge: make([]byte, 254), Response: make([]byte, 16)},
		"MS-CHAPv2 response":     {User: "u", Method: session.AuthMSCHAPv2, Challenge: make([]byte, 16), Response: make([]byte, 48)},
		"MS-CHAPv2 challenge":    {User: "u", Method: session.AuthMSCHAPv2, Challenge: make([]byte, 8), Response: make([]byte, 49)},
		"a method of the future": {User: "u", Method: 99},
	} {
		b, err := testRequests(&cfg).access(newServer(cfg.Servers[0], 1812), 1, &request{auth: &q})
		if err == nil {
			t.Errorf("%s: encoded as %x", name, b)
		}
	}
}

// Text that is too long for an attribute is cut, so that the call still comes up.
func TestLongTexts(t *testing.T) {
	cfg := testConfig(1).withDefaults()
	call := testCall()
	call.LACName, call.CalledNumber = "\x01"+strings.Repeat("l", 300), strings.Repeat("1", 300)
	b, err := testRequests(&cfg).access(newServer(cfg.Servers[0], 1812), 1,
		&request{auth: &session.AuthRequest{User: strings.Repeat("u", 253), Method: session.AuthPAP, Call: call}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := radius.Parse(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Get(rfc2865.CalledStationID_Type); string(got) != call.CalledNumber[:253] {
		t.Errorf("Called-Station-Id of %d bytes", len(got))
	}
	if got := p.Get(90); len(got) != 253 || got[0] != 0 || got[1] != 1 {
		t.Errorf("Tunnel-Client-Auth-ID % x", got[:4])
	}
}

// Encoding allocates the packet and little else.
func TestEncodeAllocations(t *testing.T) {
	cfg := testConfig(1).withDefaults()
	q, s := testRequests(&cfg), newServer(cfg.Servers[0], 1812)
	r := &request{
		auth: &session.AuthRequest{User: "u", Method: session.AuthCHAP, Challenge: make([]byte, 16), Response: make([]byte, 16), Call: testCall()},
		acct: &session.AcctRecord{Kind: session.AcctStop, User: "u", Call: testCall()},
	}
	if n := testing.AllocsPerRun(100, func() { q.access(s, 1, r) }); n > 3 {
		t.Errorf("Access-Request: %v allocations, want at most 3", n)
	}
	if n := testing.AllocsPerRun(100, func() { q.account(s, 1, r) }); n > 3 {
		t.Errorf("Accounting-Request: %v allocations, want at most 3", n)
	}
}

// A record that waited says for how long; neither a clock that was set back nor a
// record without a time makes the number absurd.
func TestDelayTime(t *testing.T) {
	for _, c := range []struct {
		at, sent time.Time
		want     uint32
	}{
		{start, start, 0},
		{start, start.Add(90*time.Minute + 900*time.Millisecond), 5400},
		{start, start.Add(-time.Hour), 0},
		{time.Time{}, start, 0},
	} {
		if got := delay(c.at, c.sent); got != c.want {
			t.Errorf("from %v to %v: %d, not %d", c.at, c.sent, got, c.want)
		}
	}
}
