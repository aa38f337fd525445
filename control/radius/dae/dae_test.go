package dae

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc3576"
	"layeh.com/radius/rfc4372"

	"github.com/lnsd/lnsd/control/session"
)

func TestIdentification(t *testing.T) {
	prefix := append(radius.Attribute{0, 64}, netip.MustParseAddr("2001:db8:1::").AsSlice()...)
	for name, c := range map[string]struct {
		attrs []radius.AVP
		want  session.Selector
	}{
		"user":         {[]radius.AVP{alice}, session.Selector{User: "alice"}},
		"account":      {[]radius.AVP{text(rfc2866.AcctSessionID_Type, "0a")}, session.Selector{AcctSessionID: "0a"}},
		"address":      {[]radius.AVP{address(rfc2865.FramedIPAddress_Type, "10.0.0.9")}, session.Selector{Address: netip.MustParseAddr("10.0.0.9")}},
		"port":         {[]radius.AVP{integer(rfc2865.NASPort_Type, 77)}, session.Selector{NASPort: 77}},
		"calling":      {[]radius.AVP{text(rfc2865.CallingStationID_Type, "123")}, session.Selector{Calling: "123"}},
		"called":       {[]radius.AVP{text(rfc2865.CalledStationID_Type, "456")}, session.Selector{Called: "456"}},
		"chargeable":   {[]radius.AVP{text(rfc4372.ChargeableUserIdentity_Type, "c1")}, session.Selector{CUI: "c1"}},
		"interface":    {[]radius.AVP{{Type: rfc3162.FramedInterfaceID_Type, Attribute: radius.Attribute{1, 2, 3, 4, 5, 6, 7, 8}}}, session.Selector{InterfaceID: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}}},
		"prefix":       {[]radius.AVP{{Type: rfc3162.FramedIPv6Prefix_Type, Attribute: prefix}}, session.Selector{Prefix6: netip.MustParsePrefix("2001:db8:1::/64")}},
		"short prefix": {[]radius.AVP{{Type: rfc3162.FramedIPv6Prefix_Type, Attribute: prefix[:10]}}, session.Selector{Prefix6: netip.MustParsePrefix("2001:db8:1::/64")}},
		"port name": {[]radius.AVP{text(rfc2869.NASPortID_Type, "LNS rtr-0#lip-192.0.2.1#rip-192.0.2.2#ltid-5#rtid-6#lsid-7#rsid-8#9")},
			session.Selector{TunnelID: 5, PeerTunnelID: 6, SessionID: 7, PeerSessionID: 8}},
		"all together": {[]radius.AVP{alice, text(rfc2866.AcctSessionID_Type, "0a"), address(rfc2865.FramedIPAddress_Type, "10.0.0.9"),
			text(rfc2865.NASIdentifier_Type, "lns1"), address(rfc2865.NASIPAddress_Type, "192.0.2.1")},
			session.Selector{User: "alice", AcctSessionID: "0a", Address: netip.MustParseAddr("10.0.0.9")}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			p := r.exchange(encode(t, r.packet(radius.CodeDisconnectRequest, c.attrs...)), soon)
			if p == nil || p.Code != radius.CodeDisconnectACK {
				t.Fatalf("answer %+v", p)
			}
			got := r.sessions.taken()
			if len(got) != 1 || !got[0].end || got[0].x != c.want {
				t.Errorf("ordered %+v, want %+v", got, c.want)
			}
		})
	}
}

// A refusal never reaches the sessions, unless they are who refuses.
func TestErrorCauses(t *testing.T) {
	const coa, disconnect = radius.CodeCoARequest, radius.CodeDisconnectRequest
	timeout := integer(rfc2865.SessionTimeout_Type, 600)
	authorize := integer(rfc2865.ServiceType_Type, authorizeOnly)
	state := text(rfc2865.State_Type, "s")
	for name, c := range map[string]struct {
		code    radius.Code
		attrs   []radius.AVP
		err     error // of the sessions, which are asked if it is set
		want    uint32
		several bool
	}{
		"attribute that can't be changed":    {code: coa, attrs: []radius.AVP{alice, integer(rfc2865.FramedMTU_Type, 1400)}, want: 401},
		"one that can and one that can't":    {code: coa, attrs: []radius.AVP{alice, timeout, integer(rfc2865.FramedMTU_Type, 1400)}, want: 401},
		"unknown vendor":                     {code: coa, attrs: []radius.AVP{alice, vendor(65000, 1, "x")}, want: 401},
		"disconnect with an authorization":   {code: disconnect, attrs: []radius.AVP{alice, timeout}, want: 401},
		"disconnect with service type":       {code: disconnect, attrs: []radius.AVP{alice, integer(rfc2865.ServiceType_Type, 2)}, want: 401},
		"disconnect with state":              {code: disconnect, attrs: []radius.AVP{alice, state}, want: 401},
		"disconnect with a vendor attribute": {code: disconnect, attrs: []radius.AVP{alice, vendor(9, 1, "x=y")}, want: 401},
		"multi session id":                   {code: disconnect, attrs: []radius.AVP{text(rfc2866.AcctMultiSessionID_Type, "m")}, want: 401},
		"error cause in a request":           {code: coa, attrs: []radius.AVP{alice, timeout, integer(rfc3576.ErrorCause_Type, 200)}, want: 401},
		"message that can't be shown":        {code: coa, attrs: []radius.AVP{alice, timeout, text(rfc2865.ReplyMessage_Type, "hi")}, want: 401},
		"nobody named":                       {code: disconnect, attrs: nil, want: 402},
		"only the server named":              {code: coa, attrs: []radius.AVP{timeout, text(rfc2865.NASIdentifier_Type, "lns1")}, want: 402},
		"nothing to change":                  {code: coa, attrs: []radius.AVP{alice}, want: 402},
		"authorize only without state":       {code: coa, attrs: []radius.AVP{alice, authorize}, want: 402},
		"other server by name":               {code: coa, attrs: []radius.AVP{alice, timeout, text(rfc2865.NASIdentifier_Type, "lns2")}, want: 403},
		"other server by address":            {code: disconnect, attrs: []radius.AVP{alice, address(rfc2865.NASIPAddress_Type, "192.0.2.2")}, want: 403},
		"other server by IPv6 address":       {code: disconnect, attrs: []radius.AVP{alice, address(rfc3162.NASIPv6Address_Type, "2001:db8::1")}, want: 403},
		"two users":                          {code: disconnect, attrs: []radius.AVP{alice, text(rfc2865.UserName_Type, "bob")}, want: 404},
		"two states":                         {code: coa, attrs: []radius.AVP{alice, timeout, state, state}, want: 404},
		"address of three bytes":             {code: disconnect, attrs: []radius.AVP{text(rfc2865.FramedIPAddress_Type, "abc")}, want: 404},
		"empty name":                         {code: disconnect, attrs: []radius.AVP{text(rfc2865.UserName_Type, "")}, want: 404},
		"prefix too short":                   {code: disconnect, attrs: []radius.AVP{text(rfc3162.FramedIPv6Prefix_Type, "\x00\x40ab")}, want: 404},
		"authorize only":                     {code: coa, attrs: []radius.AVP{alice, authorize, state}, want: 405},
		"authorize only and more":            {code: coa, attrs: []radius.AVP{alice, authorize, state, timeout}, want: 401},
		"service type login":                 {code: coa, attrs: []radius.AVP{alice, timeout, integer(rfc2865.ServiceType_Type, 1)}, want: 405},
		"timeout of two bytes":               {code: coa, attrs: []radius.AVP{alice, text(rfc2865.SessionTimeout_Type, "ab")}, want: 407},
		"no terminate cause":                 {code: disconnect, attrs: []radius.AVP{alice, integer(rfc2866.AcctTerminateCause_Type, 99)}, want: 407},
		"interception":                       {code: coa, attrs: []radius.AVP{alice, vendor(9, 1, "intercept=192.0.2.9:4000")}, want: 501},
		"port of nobody":                     {code: disconnect, attrs: []radius.AVP{integer(rfc2865.NASPort_Type, 0)}, want: 503},
		"port name of nobody":                {code: coa, attrs: []radius.AVP{timeout, text(rfc2869.NASPortID_Type, "eth0")}, want: 503},
		"no interface id":                    {code: disconnect, attrs: []radius.AVP{{Type: rfc3162.FramedInterfaceID_Type, Attribute: make(radius.Attribute, 8)}}, want: 503},

		"no such session":         {code: coa, attrs: []radius.AVP{alice, timeout}, err: session.ErrNoSession, want: 503},
		"session ends":            {code: coa, attrs: []radius.AVP{alice, timeout}, err: session.ErrNotUp, want: 503},
		"disconnect of nobody":    {code: disconnect, attrs: []radius.AVP{alice}, err: session.ErrNoSession, want: 503},
		"several":                 {code: disconnect, attrs: []radius.AVP{alice}, err: session.ErrSeveral, want: 508},
		"value that can't be":     {code: coa, attrs: []radius.AVP{alice, timeout}, err: &session.InvalidChange{}, want: 407},
		"no such filter":          {code: coa, attrs: []radius.AVP{alice, timeout}, err: fmt.Errorf("%w: x", session.ErrNoService), want: 407},
		"busy":                    {code: coa, attrs: []radius.AVP{alice, timeout}, err: session.ErrBusy, want: 506},
		"forwarding path refuses": {code: coa, attrs: []radius.AVP{alice, timeout}, err: errors.New("map is full"), want: 506},
		"no answer in time":       {code: coa, attrs: []radius.AVP{alice, timeout}, err: context.DeadlineExceeded, want: 506},
		"not removable":           {code: disconnect, attrs: []radius.AVP{alice}, err: context.DeadlineExceeded, want: 504},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.sessions.say(c.err)
			p := r.exchange(encode(t, r.packet(c.code, c.attrs...)), soon)
			nak := map[radius.Code]radius.Code{coa: radius.CodeCoANAK, disconnect: radius.CodeDisconnectNAK}[c.code]
			if p == nil || p.Code != nak || causeOf(p) != c.want {
				t.Fatalf("answer %+v, want %v with cause %d", p, nak, c.want)
			}
			if asked := len(r.sessions.taken()) > 0; asked != (c.err != nil) {
				t.Errorf("sessions were asked: %v", asked)
			}
		})
	}
}

func TestChangeIsHandedOver(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Clients[0].Intercept = true })
	p := r.exchange(encode(t, r.packet(radius.CodeCoARequest, alice,
		integer(rfc2865.SessionTimeout_Type, 600), integer(rfc2865.IdleTimeout_Type, 60),
		integer(rfc2869.AcctInterimInterval_Type, 300), text(rfc2865.Class_Type, "gold"),
		vendor(14122, 8, "\x00\x98\x96\x80"), vendor(9, 1, "intercept=192.0.2.9:4000"),
		integer(rfc2865.ServiceType_Type, 2), text(rfc2865.State_Type, "st"),
		text(rfc2865.ProxyState_Type, "one"), text(rfc2865.ProxyState_Type, "two"))), soon)
	if p == nil || p.Code != radius.CodeCoAACK || causeOf(p) != 0 {
		t.Fatalf("answer %+v", p)
	}
	var echoed []string
	for _, a := range p.Attributes {
		if a.Type == rfc2865.ProxyState_Type || a.Type == rfc2865.State_Type {
			echoed = append(echoed, string(a.Attribute))
		}
	}
	if fmt.Sprint(echoed) != "[st one two]" {
		t.Errorf("echoed %v", echoed)
	}
	got := r.sessions.taken()
	if len(got) != 1 || got[0].end || !got[0].o.Several || got[0].o.By != "radius client test 127.0.0.1" {
		t.Fatalf("ordered %+v", got)
	}
	c := got[0].change
	if *c.SessionTimeout != 10*time.Minute || *c.IdleTimeout != time.Minute || *c.InterimInterval != 5*time.Minute ||
		c.Down.Bits != 10_000_000 || c.Up != nil || len(c.Class) != 1 || string(c.Class[0]) != "gold" ||
		*c.Intercept != netip.MustParseAddrPort("192.0.2.9:4000") {
		t.Errorf("change %+v", c)
	}
}

func TestDisconnectIsHandedOver(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Several = false })
	p := r.exchange(encode(t, r.packet(radius.CodeDisconnectRequest, alice, text(rfc2865.Class_Type, "c"),
		text(rfc2865.ReplyMessage_Type, "good"), text(rfc2865.ReplyMessage_Type, "bye"))), soon)
	if p == nil || p.Code != radius.CodeDisconnectACK {
		t.Fatalf("answer %+v", p)
	}
	if v, _ := p.Lookup(rfc2866.AcctTerminateCause_Type); binary.BigEndian.Uint32(v) != 6 {
		t.Errorf("Acct-Terminate-Cause %v, want Admin-Reset", v)
	}
	got := r.sessions.taken()
	if len(got) != 1 || !got[0].end || got[0].o.Several || got[0].o.Message != "goodbye" ||
		got[0].o.Cause != session.CauseAdminReset || len(got[0].o.Class) != 1 {
		t.Fatalf("ordered %+v", got)
	}
}

func (r *rig) count(name string) uint64 {
	for _, c := range r.s.Counts() {
		if c.Name == name {
			return c.Value
		}
	}
	r.t.Fatalf("no counter %s", name)
	return 0
}

// await waits for a counter: what is discarded has no answer to wait for.
func (r *rig) await(name string, want uint64) {
	r.t.Helper()
	for end := time.Now().Add(soon); r.count(name) < want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%s is %d, want %d", name, r.count(name), want)
		}
	}
}

// A repetition is answered as the first was, and not carried out again; while that is
// going on it is not answered.
func TestRepetition(t *testing.T) {
	r := newRig(t, nil)
	hold := make(chan struct{})
	r.sessions.mu.Lock()
	r.sessions.hold = hold
	r.sessions.mu.Unlock()
	b := encode(t, r.packet(radius.CodeDisconnectRequest, alice))
	if p := r.exchange(b, silence); p != nil {
		t.Fatal("answered before it is done")
	}
	if _, err := r.conn.Write(b); err != nil {
		t.Fatal(err)
	}
	r.await("dae_duplicates", 1)
	close(hold)
	first := r.read(b, soon)
	if first == nil {
		t.Fatal("no answer")
	}
	// The sessions would say now that there is none of the kind.
	r.sessions.say(session.ErrNoSession)
	again := r.exchange(b, soon)
	if again == nil || again.Code != radius.CodeDisconnectACK || again.Authenticator != first.Authenticator {
		t.Errorf("repetition answered with %+v", again)
	}
	if n := len(r.sessions.taken()); n != 1 || r.count("dae_duplicates") != 2 || r.count("dae_disconnect_requests") != 1 {
		t.Errorf("%d orders, %d duplicates", n, r.count("dae_duplicates"))
	}
	// The same identifier with other contents is another request.
	r.id--
	if p := r.exchange(encode(t, r.packet(radius.CodeDisconnectRequest, text(rfc2865.UserName_Type, "bob"))), soon); p == nil || p.Code != radius.CodeDisconnectNAK {
		t.Errorf("another request answered with %+v", p)
	}
}

func TestSilence(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	at := func(d time.Duration) radius.AVP {
		return integer(rfc2869.EventTimestamp_Type, uint32(now.Add(d).Unix()))
	}
	wrong := func(b []byte) []byte { b[10] ^= 1; return b }
	for name, c := range map[string]struct {
		adjust  func(*Config)
		make    func(r *rig) []byte
		counter string // "" for a request that is answered
	}{
		"stranger":            {func(c *Config) { c.Clients[0].Sources = prefixes("192.0.2.0/24") }, nil, "dae_strangers"},
		"wrong authenticator": {nil, func(r *rig) []byte { return wrong(encode(t, r.packet(radius.CodeDisconnectRequest, alice))) }, "dae_bad_authenticators"},
		"wrong secret":        {func(c *Config) { c.Clients[0].Secret = []byte("another") }, nil, "dae_bad_authenticators"},
		"nearer client": {func(c *Config) {
			c.Clients = append(c.Clients, Client{Name: "near", Sources: prefixes("127.0.0.1/32"), Secret: []byte("another")})
		}, nil, "dae_bad_authenticators"},
		"another code": {nil, func(r *rig) []byte { return encode(t, r.packet(radius.CodeAccountingRequest, alice)) }, "dae_unexpected_codes"},
		"answer":       {nil, func(r *rig) []byte { return encode(t, r.packet(radius.CodeDisconnectACK)) }, "dae_unexpected_codes"},
		"short":        {nil, func(*rig) []byte { return []byte{40, 1, 0, 20} }, "dae_malformed"},
		"cut": {nil, func(r *rig) []byte {
			b := encode(t, r.packet(radius.CodeDisconnectRequest, alice))
			return b[:len(b)-1]
		}, "dae_malformed"},
		"padded": {nil, func(r *rig) []byte { return append(encode(t, r.packet(radius.CodeDisconnectRequest, alice)), 0, 0) }, ""},
		"signed": {nil, func(r *rig) []byte { return encode(t, signed(t, r.packet(radius.CodeDisconnectRequest, alice))) }, ""},
		"wrongly signed": {nil, func(r *rig) []byte {
			return encode(t, r.packet(radius.CodeDisconnectRequest, alice, text(rfc2869.MessageAuthenticator_Type, "0123456789abcdef")))
		}, "dae_bad_message_authenticators"},
		"signed twice": {nil, func(r *rig) []byte {
			p := r.packet(radius.CodeDisconnectRequest, alice, radius.AVP{Type: rfc2869.MessageAuthenticator_Type, Attribute: make(radius.Attribute, 16)})
			return encode(t, signed(t, p))
		}, "dae_bad_message_authenticators"},
		"unsigned where it must be": {func(c *Config) { c.Clients[0].MessageAuthenticator = RequireAlways }, nil, "dae_without_message_authenticator"},
		"signed once": {nil, func(r *rig) []byte {
			if r.exchange(encode(t, signed(t, r.packet(radius.CodeDisconnectRequest, alice))), soon) == nil {
				t.Error("signed request not answered")
			}
			return encode(t, r.packet(radius.CodeDisconnectRequest, alice))
		}, "dae_without_message_authenticator"},
		"signed once, never asked for": {func(c *Config) { c.Clients[0].MessageAuthenticator = RequireNever }, func(r *rig) []byte {
			r.exchange(encode(t, signed(t, r.packet(radius.CodeDisconnectRequest, alice))), soon)
			return encode(t, r.packet(radius.CodeDisconnectRequest, alice))
		}, ""},
		"current": {nil, func(r *rig) []byte {
			return encode(t, r.packet(radius.CodeDisconnectRequest, alice, at(-299*time.Second)))
		}, ""},
		"old": {nil, func(r *rig) []byte {
			return encode(t, r.packet(radius.CodeDisconnectRequest, alice, at(-301*time.Second)))
		}, "dae_stale"},
		"ahead": {nil, func(r *rig) []byte {
			return encode(t, r.packet(radius.CodeDisconnectRequest, alice, at(301*time.Second)))
		}, "dae_stale"},
		"old for a smaller window": {func(c *Config) { c.Window = time.Minute }, func(r *rig) []byte {
			return encode(t, r.packet(radius.CodeDisconnectRequest, alice, at(-61*time.Second)))
		}, "dae_stale"},
		"no time where it is asked": {func(c *Config) { c.RequireTimestamp = true }, nil, "dae_stale"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(cfg *Config) {
				cfg.Now = func() time.Time { return now }
				if c.adjust != nil {
					c.adjust(cfg)
				}
			})
			var b []byte
			if c.make != nil {
				b = c.make(r)
			} else {
				b = encode(t, r.packet(radius.CodeDisconnectRequest, alice))
			}
			before := len(r.sessions.taken())
			if c.counter == "" {
				if p := r.exchange(b, soon); p == nil || p.Code != radius.CodeDisconnectACK {
					t.Fatalf("answer %+v", p)
				}
				return
			}
			if _, err := r.conn.Write(b); err != nil {
				t.Fatal(err)
			}
			r.await(c.counter, 1)
			if p := r.read(b, silence); p != nil {
				t.Errorf("answered with %v", p.Code)
			}
			if len(r.sessions.taken()) != before {
				t.Error("carried out")
			}
		})
	}
}

// A request is forgotten only when its time stamp is no longer current.
func TestReplayWindow(t *testing.T) {
	r := newReplays(time.Minute)
	now := time.Unix(1_800_000_000, 0)
	k := requestKey{id: 1}
	if m, _ := r.meet(k, now); m != isNew {
		t.Fatal("not new")
	}
	r.answered(k, []byte{1})
	if m, b := r.meet(k, now.Add(2*time.Minute-1)); m != isAnswered || len(b) != 1 {
		t.Error("forgotten too early")
	}
	if m, _ := r.meet(k, now.Add(2*time.Minute)); m != isNew {
		t.Error("not forgotten")
	}
	for i := range maxRequests {
		r.meet(requestKey{id: byte(i), authenticator: [16]byte{byte(i >> 8), byte(i >> 16), 1}}, now.Add(2*time.Minute))
	}
	if m, _ := r.meet(requestKey{id: 99, code: 9}, now.Add(2*time.Minute)); m != isTooMuch || len(r.order) != len(r.known) {
		t.Errorf("full memory: %v, %d and %d", m, len(r.order), len(r.known))
	}
}

func TestReload(t *testing.T) {
	r := newRig(t, nil)
	if r.exchange(encode(t, signed(t, r.packet(radius.CodeDisconnectRequest, alice))), soon) == nil {
		t.Fatal("no answer")
	}
	same := Client{Name: "test", Sources: prefixes("127.0.0.1/32"), Secret: []byte(testSecret), Intercept: true}
	if err := r.s.Reload([]Client{same}); err != nil {
		t.Fatal(err)
	}
	v := r.s.Clients()
	if len(v) != 1 || !v[0].Signs || !v[0].Intercept || v[0].Requests != 1 {
		t.Errorf("clients %+v", v)
	}
	if err := r.s.Reload([]Client{{Name: "x", Sources: prefixes("127.0.0.1/32")}}); err == nil {
		t.Error("a client without a secret was taken")
	}
	if err := r.s.Reload(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.conn.Write(encode(t, r.packet(radius.CodeDisconnectRequest, alice))); err != nil {
		t.Fatal(err)
	}
	r.await("dae_strangers", 1)
}

// Behind several addresses the answer comes from the one that was asked.
func TestAnswerLeavesFromWhereItWasAsked(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", "[::]:0"} {
		t.Run(listen, func(t *testing.T) {
			r := newRig(t, func(c *Config) {
				c.Listen, c.NASAddress = netip.MustParseAddrPort(listen), netip.Addr{}
			})
			to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.77"), r.s.Addr().Port())
			conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			r.conn.Close()
			r.conn = conn // connected: an answer from elsewhere is not received
			p := r.exchange(encode(t, r.packet(radius.CodeDisconnectRequest, alice,
				address(rfc2865.NASIPAddress_Type, "127.0.0.77"))), soon)
			if p == nil || p.Code != radius.CodeDisconnectACK {
				t.Errorf("answer %+v", p)
			}
		})
	}
}
