package dae

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/zap"
	"layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/lnsd/lnsd/control/radius/policy"
	"github.com/lnsd/lnsd/control/session"
)

// FuzzRequest gives the server authentic requests of any content: they never break
// it, each is answered, and no order goes out that names nobody or changes nothing.
func FuzzRequest(f *testing.F) {
	seed := func(attrs ...radius.AVP) {
		p := &radius.Packet{Code: radius.CodeCoARequest, Secret: []byte(testSecret)}
		for _, a := range attrs {
			p.Add(a.Type, a.Attribute)
		}
		f.Add(true, encode(f, p)[20:])
		f.Add(false, encode(f, p)[20:])
	}
	seed(alice, integer(rfc2865.SessionTimeout_Type, 600), text(rfc2865.ProxyState_Type, "p"))
	seed(alice, vendor(9, 1, "intercept=192.0.2.9:4000,throttle=64"), text(rfc2865.FilterID_Type, "a.in"))
	seed(address(rfc2865.FramedIPAddress_Type, "10.0.0.1"), vendor(14988, 8, "64k/128k"))
	seed(text(rfc2865.UserName_Type, ""), integer(rfc2865.NASPort_Type, 0))
	table, err := policy.New(policy.Config{Presets: policy.Presets()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, coa bool, attrs []byte) {
		attrs = attrs[:min(len(attrs), radius.MaxPacketLength-20)]
		b := make([]byte, 20, 20+len(attrs))
		b[0] = byte(radius.CodeDisconnectRequest)
		if coa {
			b[0] = byte(radius.CodeCoARequest)
		}
		b = append(b, attrs...)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		p, err := radius.Parse(b, []byte(testSecret))
		if err != nil {
			return
		}
		sessions := &fakeSessions{}
		s, err := newServer(Config{Policy: table, Sessions: sessions, Log: zap.NewNop(), NASIdentifier: "lns1"})
		if err != nil {
			t.Fatal(err)
		}
		c := &client{Client: Client{Name: "f", Secret: []byte(testSecret), Intercept: true}}
		signed, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if p, err = c.verify(signed, time.Unix(1_800_000_000, 0), time.Hour, false); err != nil {
			return
		}
		reply := s.answer(&request{Packet: p, client: c, source: netip.MustParseAddrPort("192.0.2.5:1"), cause: session.CauseAdminReset})
		if reply == nil || !radius.IsAuthenticResponse(reply, signed, []byte(testSecret)) {
			// Only what does not fit beside the echoed attributes has no answer.
			if len(signed) < radius.MaxPacketLength-40 {
				t.Fatalf("no good answer: %x", reply)
			}
			return
		}
		ack := radius.Code(reply[0]) == radius.CodeCoAACK || radius.Code(reply[0]) == radius.CodeDisconnectACK
		if ack != (len(sessions.orders) == 1) {
			t.Fatalf("answer %v after %d orders", radius.Code(reply[0]), len(sessions.orders))
		}
		for _, o := range sessions.orders {
			if o.x.Empty() || !o.end && o.change.Empty() {
				t.Fatalf("ordered %+v", o)
			}
		}
	})
}
