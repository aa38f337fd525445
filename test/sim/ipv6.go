package sim

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/dhcp6"
	"github.com/lnsd/lnsd/control/ip6"
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/nd"
	"github.com/lnsd/lnsd/control/pool"
	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/session"
)

// Config6 is the LNS's IPv6 configuration, with Pools6.
func Config6() *session.Config6 {
	return &session.Config6{
		Pool: "default", PDPool: "pd", DNS: []netip.Addr{netip.MustParseAddr("2001:db8::53")},
		RA:   &nd.Config{Interval: time.Minute, Lifetime: 10 * time.Minute, Valid: time.Hour, Preferred: time.Hour, Other: true, DNSLifetime: time.Hour},
		DHCP: &dhcp6.Config{DUID: []byte{0, 4, 1, 2, 3, 4}, Preferred: time.Hour, Valid: 2 * time.Hour},
	}
}

// Pools6 are pools of the given numbers of bits' worth of prefixes.
func (w *World) Pools6(bits int) []*pool.Prefixes {
	var out []*pool.Prefixes
	for _, c := range []pool.PrefixConfig{
		{Name: "default", Prefixes: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr("2001:db8:1::"), 64-bits)}, Length: 64},
		{Name: "pd", Prefixes: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr("2001:db8:2::"), 56-bits)}, Length: 56},
		{Name: "addresses", Prefixes: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr("2001:db8:3::"), 128-bits)}, Length: 128},
	} {
		p, err := pool.NewPrefixes(c)
		if err != nil {
			w.T.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// Client6 is ClientConfig with IPv6.
func Client6(user, password string) *ppp.Config {
	c := ClientConfig(user, password)
	c.IPv6CP = true
	return c
}

// DialDual places a call for a subscriber with both families.
func (t *Tunnel) DialDual(user, password string) *Client {
	return t.DialWith(Client6(user, password), &l2tp.CallParams{})
}

// linkPacket notes what a router advertisement says.
func (c *Client) linkPacket(frame []byte) {
	p, payload, ok := ppp.ParseFrame(frame)
	if !ok || p != ppp.ProtoIPv6 {
		return
	}
	h, m, ok := ip6.Parse(payload)
	if !ok || h.Next != ip6.ProtoICMPv6 || m[0] != 134 {
		return
	}
	for o := m[16:]; len(o) >= 8; o = o[int(o[1])*8:] {
		if o[0] == 3 {
			c.Prefix6 = netip.PrefixFrom(netip.AddrFrom16([16]byte(o[16:])), int(o[2]))
			c.Withdrawn = binary.BigEndian.Uint32(o[8:]) == 0
		}
	}
}

// Send sends a frame of the subscriber past its state machine.
func (c *Client) Send(p ppp.Protocol, packet ...byte) {
	if c.Down || c.Call == nil {
		return
	}
	b := l2tp.AppendDataHeader(nil, c.tun.T.PeerID(), c.Call.PeerID, false, false, 0, 2+len(packet))
	b = binary.BigEndian.AppendUint16(b, uint16(p))
	c.tun.lac.send(append(b, packet...))
}

// CloseNCP ends one network protocol, OpenNCP negotiates it anew.
func (c *Client) CloseNCP(p ppp.Protocol) { c.Send(p, 5, 200, 0, 4) }

// OpenNCP is described at CloseNCP.
func (c *Client) OpenNCP(p ppp.Protocol) {
	if p == ppp.ProtoIPCP {
		a := c.Address.As4()
		c.Send(p, append([]byte{1, 201, 0, 10, 3, 6}, a[:]...)...)
		return
	}
	c.Send(p, append([]byte{1, 201, 0, 14, 1, 10}, c.ID6[:]...)...)
}
