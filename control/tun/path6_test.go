package tun

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

var gateway6 = netip.MustParseAddr("2001:db8::1")

// record6 is the usual session with IPv6.
func record6() session.Record {
	r := record()
	r.Prefixes6 = []netip.Prefix{
		netip.MustParsePrefix("2001:db8:d000::/56"), netip.MustParsePrefix("2001:db8:64:7::/64"), netip.MustParsePrefix("2001:db8:1::77/128"),
	}
	return r
}

func newPath6(t testing.TB) (*Path, *memory) {
	p, m := newPath(t)
	p.ipv6, p.address6, p.icmp6 = true, gateway6, m
	install(p, record6())
	return p, m
}

// packet6 is an IPv6 packet with a payload of a protocol.
func packet6(src, dst string, next byte, payload []byte) []byte {
	b := []byte{0x60, 0, 0, 0, byte(len(payload) >> 8), byte(len(payload)), next, 64}
	b = append(b, netip.MustParseAddr(src).AsSlice()...)
	b = append(b, netip.MustParseAddr(dst).AsSlice()...)
	return append(b, payload...)
}

func TestUplink6(t *testing.T) {
	const server = "2001:db8:ffff::1"
	good := packet6("2001:db8:64:7::1", server, 17, make([]byte, 30))
	for _, c := range []struct {
		name    string
		ip      []byte
		handled bool
		reason  reason
	}{
		{"from the /64", good, true, upForwarded},
		{"from a delegated prefix", packet6("2001:db8:d000:99::1", server, 17, nil), true, upForwarded},
		{"from a single address", packet6("2001:db8:1::77", server, 17, nil), true, upForwarded},
		{"padded", append(bytes.Clone(good), 0, 0), true, upForwarded},
		{"from elsewhere", packet6("2001:db8:1::78", server, 17, nil), true, upSpoofedSource},
		{"from elsewhere to a group", packet6("2001:db8:1::78", "ff02::1", 17, nil), true, upSpoofedSource},
		{"from another's /64 in the delegated prefix", packet6("2001:db8:d000:5::1", server, 17, nil), true, upSpoofedSource},
		{"to itself", packet6("2001:db8:64:7::1", "2001:db8:d000:99::1", 17, nil), true, upHairpin},
		{"from nobody", packet6("::", server, 17, nil), true, upSpoofedSource},
		{"cut", good[:len(good)-1], true, upMalformed},
		{"duplicate address detection", packet6("::", "ff02::1:ff00:1", 58, nil), false, 0},
		{"router solicitation", packet6("fe80::1", "ff02::2", 58, make([]byte, 8)), false, 0},
		{"link-local to the world", packet6("fe80::1", server, 17, nil), false, 0},
		{"to the link", packet6("2001:db8:64:7::1", "fe80::1", 17, nil), false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, m := newPath6(t)
			other := record6()
			other.Ref, other.Slot, other.Address = session.Ref{TunnelID: 7, SessionID: 10, Serial: 2}, 4, netip.Addr{}
			other.Prefixes6, other.Routes = []netip.Prefix{netip.MustParsePrefix("2001:db8:d000:5::/64")}, nil
			install(p, other)
			u := p.NewUplink()
			if got := u.Packet(lns, lac, 0, data(c.ip)); got != c.handled {
				t.Fatalf("handled: %v, want %v", got, c.handled)
			}
			u.Flush()
			want, counters := map[reason]uint64{}, p.Counters(3)
			if c.handled {
				want[c.reason] = 1
			}
			onlyCounts(t, p, want)
			sent := c.handled && c.reason == upForwarded
			if sent != (len(m.written) == 1) || (c.handled && !sent) != (counters.UpDropped == 1) {
				t.Fatalf("%d written, counters %+v", len(m.written), counters)
			}
			if sent {
				n := uint64(len(m.written[0]))
				if n != uint64(40+int(binary.BigEndian.Uint16(c.ip[4:]))) || counters.UpBytes6 != n || counters.UpBytes != n || counters.UpPackets6 != 1 || counters.UpPackets != 1 {
					t.Errorf("%d bytes, counters %+v", n, counters)
				}
			}
		})
	}
}

// Subscribers that are kept apart reach everybody but each other in IPv6 too.
func TestUplink6Isolates(t *testing.T) {
	for _, c := range []struct {
		isolate bool
		to      string
		want    reason
	}{
		{false, "2001:db8:d000:5::1", upForwarded},
		{true, "2001:db8:d000:5::1", upHairpin},
		{true, "2001:db8:d001::1", upHairpin},
		{true, "2001:db8:ffff::1", upForwarded},
	} {
		p, m := newPath6(t)
		p.isolate = c.isolate
		other := record6()
		other.Ref, other.Slot, other.Address = session.Ref{TunnelID: 7, SessionID: 10, Serial: 2}, 4, netip.Addr{}
		other.Prefixes6, other.Routes = []netip.Prefix{netip.MustParsePrefix("2001:db8:d000:5::/64"), netip.MustParsePrefix("2001:db8:d001::/48")}, nil
		install(p, other)
		u := p.NewUplink()
		if !u.Packet(lns, lac, 0, data(packet6("2001:db8:64:7::1", c.to, 17, make([]byte, 30)))) {
			t.Fatalf("%+v: not handled", c)
		}
		u.Flush()
		onlyCounts(t, p, map[reason]uint64{c.want: 1})
		if (len(m.written) == 1) != (c.want == upForwarded) {
			t.Errorf("%+v: %d written", c, len(m.written))
		}
	}
}

// The kernel leaves checksums to us where the device takes offloads.
func TestDownlink6CompletesChecksums(t *testing.T) {
	for name, c := range map[string]struct {
		next byte
		at   int
		n    int
	}{"TCP": {protoTCP, 16, 60}, "UDP": {protoUDP, udpChecksumAt, 60}} {
		p, m := newPath6(t)
		p.offload = true
		in := packet6("2001:db8:ffff::1", "2001:db8:64:7::9", c.next, make([]byte, c.n))
		payload := in[ipv6Header:]
		payload[12] = 5 << 4 // TCP's data offset
		pseudo := fold(uint32(onesSum(in[8:40])) + uint32(c.n) + uint32(c.next))
		binary.BigEndian.PutUint16(payload[c.at:], pseudo)
		b := make([]byte, offloadLen+len(in))
		o := offload{flags: offloadNeedsChecksum, checksumStart: ipv6Header, checksumAt: uint16(c.at)}
		o.put((*[offloadLen]byte)(b))
		copy(b[offloadLen:], in)
		p.down[0].frame(b)
		onlyCounts(t, p, map[reason]uint64{downForwarded: 1})
		if len(m.sent) != 1 {
			t.Fatalf("%s: %d sent", name, len(m.sent))
		}
		out := m.sent[0][len(m.sent[0])-c.n:]
		if sum := fold(uint32(pseudo) + uint32(onesSum(out))); sum != 0xFFFF {
			t.Errorf("%s: checksum is wrong: sum %#x", name, sum)
		}
	}
}

func TestDownlink6(t *testing.T) {
	for _, dst := range []string{"2001:db8:64:7::9", "2001:db8:d000:1::1", "2001:db8:1::77"} {
		p, m := newPath6(t)
		in := packet6("2001:db8:ffff::1", dst, 17, make([]byte, 1420))
		if r := p.down[0].packet(bytes.Clone(in)); r != downForwarded {
			t.Fatalf("%s: %s", dst, reasonNames[r])
		}
		want := l2tp.AppendDataIP(nil, l2tp.Framing{Length: true, AddressControl: true}, 70, 90, 0, in)
		if len(m.sent) != 1 || !bytes.Equal(m.sent[0], want) {
			t.Errorf("%s: sent %x", dst, m.sent)
		}
		if c := p.Counters(3); c.DownPackets6 != 1 || c.DownBytes6 != 1460 || c.DownPackets != 1 || c.DownBytes != 1460 || c.UpPackets6 != 0 {
			t.Errorf("%s: %+v", dst, c)
		}
	}
}

// A packet that is too big is never cut: its sender learns the MTU.
func TestDownlink6TooBig(t *testing.T) {
	p, m := newPath6(t)
	in := packet6("2001:db8:ffff::1", "2001:db8:64:7::9", 17, make([]byte, 1421))
	if r := p.down[0].packet(in); r != downTooBig {
		t.Fatal(reasonNames[r])
	}
	if len(m.sent) != 0 || len(m.icmp) != 1 || p.Counters(3).DownDropped != 1 {
		t.Fatalf("%d sent, %d ICMP, %+v", len(m.sent), len(m.icmp), p.Counters(3))
	}
	e := m.icmp[0]
	if got, ok := trimIPv6(e); !ok || len(got) != len(e) || len(e) != icmp6Max {
		t.Fatalf("%d bytes: %x", len(e), e[:60])
	}
	if source6(e) != gateway6 || destination6(e) != source6(in) || nextHeader(e) != 58 {
		t.Errorf("header %x", e[:40])
	}
	if e[40] != 2 || e[41] != 0 || binary.BigEndian.Uint32(e[44:]) != 1460 || !bytes.Equal(e[48:], in[:icmp6Max-48]) {
		t.Errorf("body %x", e[40:60])
	}
	pseudo := append(bytes.Clone(e[8:40]), 0, 0, byte((len(e)-40)>>8), byte(len(e)-40), 0, 0, 0, 58)
	if checksum(append(pseudo, e[40:]...)) != 0 {
		t.Error("wrong ICMPv6 checksum")
	}
}

func TestNobodyThere6(t *testing.T) {
	p, m := newPath6(t)
	ask := func(src, dst string, next byte, payload ...byte) []byte { return packet6(src, dst, next, payload) }
	for _, c := range []struct {
		name string
		ip   []byte
		told bool
	}{
		{"a packet", ask("2001:db8:ffff::1", "2001:db8:64:8::1", 17), true},
		{"an echo", ask("2001:db8:ffff::1", "2001:db8:64:8::1", 58, 128, 0), true},
		{"an error", ask("2001:db8:ffff::1", "2001:db8:64:8::1", 58, 1, 0), false},
		{"a redirect", ask("2001:db8:ffff::1", "2001:db8:64:8::1", 58, 137, 0), false},
		{"nothing to tell", ask("2001:db8:ffff::1", "2001:db8:64:8::1", 58), false},
		{"to a group", ask("2001:db8:ffff::1", "ff0e::1", 17), false},
		{"from nobody", ask("::", "2001:db8:64:8::1", 17), false},
		{"from a link", ask("fe80::1", "2001:db8:64:8::1", 17), false},
	} {
		before := len(m.icmp)
		if r := p.down[0].packet(c.ip); r != downNoSession {
			t.Errorf("%s: %s", c.name, reasonNames[r])
		}
		if told := len(m.icmp) > before; told != c.told {
			t.Errorf("%s: told %v, want %v", c.name, told, c.told)
		} else if told && (m.icmp[before][40] != 1 || m.icmp[before][41] != 3) {
			t.Errorf("%s: %x", c.name, m.icmp[before])
		}
	}
}

func TestMSS6(t *testing.T) {
	p, m := newPath6(t)
	segment := syn(tcpFlagSYN, 2, 4, 0x05, 0xB4)[20:]
	up := packet6("2001:db8:64:7::1", "2001:db8:ffff::1", 6, segment)
	u := p.NewUplink()
	u.Packet(lns, lac, 0, data(up))
	u.Flush()
	if got := binary.BigEndian.Uint16(m.written[0][40+22:]); got != 1400 {
		t.Errorf("MSS %d, want 1400", got)
	}
	fragment := packet6("2001:db8:64:7::1", "2001:db8:ffff::1", 44, segment)
	if clampMSS6(fragment, 1420) || clampMSS6(up, 20) || clampMSS6(up, 0) {
		t.Error("clamped what is to be left alone")
	}
}

// Without IPv6 on the path, or in the session, it is another protocol.
func TestNoIPv6(t *testing.T) {
	p, _ := newPath(t)
	install(p, record())
	if r := p.down[0].packet(packet6("2001:db8:ffff::1", "2001:db8:64:7::1", 17, nil)); r != downNotIPv4 {
		t.Error(reasonNames[r])
	}
	if !p.NewUplink().Packet(lns, lac, 0, data(packet6("fe80::1", "ff02::2", 58, nil))) || count(t, p, upNotIPv4) != 1 {
		t.Error("not refused")
	}
}

// Prefixes come and go with their session, and nothing is left over.
func TestPrefixes6(t *testing.T) {
	p, _ := newPath6(t)
	find := func(a string) *entry { return p.table.byAddress6(netip.MustParseAddr(a)) }
	narrow := record6()
	narrow.Ref, narrow.Slot, narrow.Address, narrow.Routes = session.Ref{TunnelID: 7, SessionID: 10, Serial: 2}, 4, netip.Addr{}, nil
	narrow.Prefixes6 = []netip.Prefix{netip.MustParsePrefix("2001:db8:d000:10::/60"), {}, netip.MustParsePrefix("10.0.0.0/8")}
	install(p, narrow)
	for a, want := range map[string]uint16{"2001:db8:d000::1": 9, "2001:db8:d000:1f::1": 10, "2001:db8:d000:20::1": 9, "2001:db8:64:7::": 9} {
		if e := find(a); e == nil || e.ref.SessionID != want {
			t.Errorf("%s leads to %+v", a, e)
		}
	}
	p.Apply([]session.ProgramOp{{Remove: true, Record: narrow}})
	if e := find("2001:db8:d000:1f::1"); e == nil || e.ref.SessionID != 9 {
		t.Errorf("what was narrower still covers: %+v", e)
	}
	p.Apply([]session.ProgramOp{{Remove: true, Record: record6()}})
	if len(p.table.own)+len(p.table.other) != 0 || p.table.prefixes6.lengths != [129]int{} {
		t.Error("left over")
	}
}

func TestNoAllocationPerPacket6(t *testing.T) {
	p := sinkPath(t)
	p.ipv6, p.address6, p.icmp6 = true, gateway6, sink{}
	p.down[0].now = time.Now()
	install(p, record6())
	u := p.NewUplink()
	up := data(packet6("2001:db8:d000:1::1", "2001:db8:ffff::1", 17, make([]byte, 1000)))
	down := packet6("2001:db8:ffff::1", "2001:db8:d000:1::1", 17, make([]byte, 1000))
	big := packet6("2001:db8:ffff::1", "2001:db8:d000:1::1", 17, make([]byte, 1450))
	for name, f := range map[string]func(){
		"uplink":   func() { u.Packet(lns, lac, 0, up) },
		"downlink": func() { p.down[0].packet(down) },
		"too big":  func() { p.down[0].packet(big) },
	} {
		if n := testing.AllocsPerRun(500, f); n != 0 {
			t.Errorf("%s: %v allocations per packet, want 0", name, n)
		}
	}
}

// The outer code point follows the inner packets' where it is to be copied.
func TestOuterDSCP(t *testing.T) {
	p, m := newPath6(t)
	r := record6()
	r.Framing.DSCP.Copy = true
	install(p, r)
	v6 := packet6("2001:db8:ffff::1", "2001:db8:64:7::9", 17, nil)
	v6[0], v6[1] = 0x6B, 0xA0
	v4 := udpPacket("198.51.100.2", "10.64.0.7", 0, 1472) // is cut
	v4[1] = 0x49
	setHeaderChecksum(v4)
	p.down[0].packet(v6)
	p.down[0].packet(v4)
	r.Framing.DSCP = session.DSCP{Value: 10}
	install(p, r)
	p.down[0].packet(v6)
	if want := []byte{0xB8, 0x48, 0x48, 0x28}; !bytes.Equal(m.tos, want) {
		t.Errorf("TOS % x, want % x", m.tos, want)
	}
}
