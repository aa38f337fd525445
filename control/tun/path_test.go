package tun

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	lns     = netip.MustParseAddrPort("192.0.2.1:1701")
	lac     = netip.MustParseAddrPort("192.0.2.2:40000")
	gateway = netip.MustParseAddr("10.64.0.1")
)

// memory is a device, a sender and an ICMP socket that keep what they are given.
type memory struct {
	written [][]byte
	headers [][offloadLen]byte
	sent    [][]byte
	to      []netip.AddrPort
	tos     []byte // that Reserve was given
	icmp    [][]byte
	flushes int
}

func (m *memory) write(j *joiner) int {
	for _, f := range j.frames {
		var b []byte
		for at := f.first; at != none; at = j.pieces[at].next {
			b = append(b, j.pieces[at].b...)
		}
		if f.inFront {
			f.header = [offloadLen]byte(b)
			b = b[offloadLen:]
		}
		m.written = append(m.written, b)
		m.headers = append(m.headers, f.header)
	}
	return 0
}
func (m *memory) Reserve(_, peer netip.AddrPort, tos byte, n int) []byte {
	b := make([]byte, n)
	m.tos = append(m.tos, tos)
	m.sent = append(m.sent, b)
	m.to = append(m.to, peer)
	return b
}
func (m *memory) Send(local, peer netip.AddrPort, b []byte) {
	copy(m.Reserve(local, peer, 0, len(b)), b)
}
func (m *memory) Flush()              { m.flushes++ }
func (m *memory) send(p []byte) error { m.icmp = append(m.icmp, bytes.Clone(p)); return nil }

// newPath returns a path without a kernel under it.
func newPath(t testing.TB) (*Path, *memory) {
	t.Helper()
	m := &memory{}
	p := &Path{
		log: zap.NewNop(), forward6: func() {}, address: number(gateway), offload: true, icmp: m, table: newTable(16, nil),
		newWriter: func() frameWriter { return m },
	}
	p.routes = newRoutes(nil, func(target, bool) error { return nil }, &p.counts, p.log)
	t.Cleanup(p.routes.close)
	p.down = []*downlink{newDownlink(p, m, rate.NewLimiter(100, 100))}
	p.down[0].now = time.Now()
	return p, m
}

func record() session.Record {
	return session.Record{
		Ref:          session.Ref{TunnelID: 7, SessionID: 9, Serial: 1},
		Slot:         3,
		Local:        lns,
		Peer:         lac,
		PeerTunnelID: 70, PeerSessionID: 90,
		Address: netip.MustParseAddr("10.64.0.7"),
		Routes:  []netip.Prefix{netip.MustParsePrefix("172.16.5.0/24"), netip.MustParsePrefix("172.16.0.0/16")},
		MTU:     1460, ClampMSS: 1420,
		Framing: session.Framing{Length: true, AddressControl: true},
	}
}

func install(p *Path, records ...session.Record) {
	for _, r := range records {
		p.Apply([]session.ProgramOp{{Record: r}})
	}
}

func count(t testing.TB, p *Path, r reason) uint64 {
	t.Helper()
	for _, c := range p.Counts() {
		if c.Name == reasonNames[r] {
			return c.Value
		}
	}
	t.Fatalf("no counter for reason %d", r)
	return 0
}

// onlyCounts checks the packet counters: those given, and no other.
func onlyCounts(t *testing.T, p *Path, want map[reason]uint64) {
	t.Helper()
	for r := reason(0); r < reasons; r++ {
		if got := count(t, p, r); got != want[r] {
			t.Errorf("%s = %d, want %d", reasonNames[r], got, want[r])
		}
	}
}

func data(ip []byte) []byte {
	return l2tp.AppendDataIP(nil, l2tp.Framing{AddressControl: true}, 7, 9, 0, ip)
}

func TestEveryReasonHasAName(t *testing.T) {
	seen := map[string]bool{}
	for r, name := range reasonNames {
		if name == "" || seen[name] {
			t.Errorf("reason %d: name %q", r, name)
		}
		seen[name] = true
	}
}

func TestUplink(t *testing.T) {
	good := udpPacket("10.64.0.7", "198.51.100.2", 0, 30)
	big := syn(tcpFlagSYN, 2, 4, 0x05, 0xB4)
	copy(big[12:16], []byte{10, 64, 0, 7})
	setHeaderChecksum(big)
	other := netip.MustParseAddrPort("192.0.2.3:40000")
	for _, c := range []struct {
		name        string
		local, peer netip.AddrPort
		b           []byte
		handled     bool
		reason      reason
		drop        bool
	}{
		{"subscriber's packet", lns, lac, data(good), true, upForwarded, false},
		{"from a routed prefix", lns, lac, data(udpPacket("172.16.9.1", "198.51.100.2", 0, 30)), true, upForwarded, false},
		{"a fragment", lns, lac, data(udpPacket("10.64.0.7", "198.51.100.2", flagMF|100, 32)), true, upForwarded, false},
		{"padding behind the packet", lns, lac, data(append(bytes.Clone(good), 0, 0)), true, upForwarded, false},
		{"SYN", lns, lac, data(big), true, upForwarded, false},
		{"somebody else's address", lns, lac, data(udpPacket("10.64.0.8", "198.51.100.2", 0, 30)), true, upSpoofedSource, true},
		{"other peer address", lns, other, data(good), true, upSpoofedPeer, true},
		{"other peer port", lns, netip.AddrPortFrom(lac.Addr(), 1701), data(good), true, upSpoofedPeer, true},
		{"other local address", other, lac, data(good), true, upSpoofedPeer, true},
		{"IPv6", lns, lac, data(append([]byte{0x60}, make([]byte, 39)...)), true, upNotIPv4, true},
		{"cut inner packet", lns, lac, data(good[:len(good)-1]), true, upMalformed, true},
		{"unknown session", lns, lac, l2tp.AppendDataIP(nil, l2tp.Framing{}, 7, 10, 0, good), false, 0, false},
		{"LCP", lns, lac, l2tp.AppendData(nil, l2tp.Framing{}, 7, 9, 0, 0xC021, []byte{9, 1, 0, 4}), false, 0, false},
		{"LCP from elsewhere", lns, other, l2tp.AppendData(nil, l2tp.Framing{}, 7, 9, 0, 0xC021, []byte{9, 1, 0, 4}), false, 0, false},
		{"control message", lns, lac, []byte{0xC8, 2, 0, 12, 0, 7, 0, 0, 0, 0, 0, 0}, false, 0, false},
		{"rubbish", lns, lac, []byte{1, 2, 3}, false, 0, false},
		{"empty", lns, lac, nil, false, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, m := newPath(t)
			install(p, record())
			u := p.NewUplink()
			if got := u.Packet(c.local, c.peer, 0, c.b); got != c.handled {
				t.Fatalf("handled: %v, want %v", got, c.handled)
			}
			u.Flush()
			want, counters := map[reason]uint64{}, p.Counters(3)
			if c.handled {
				want[c.reason] = 1
			}
			onlyCounts(t, p, want)
			if c.drop != (counters.UpDropped == 1) {
				t.Errorf("dropped: %d", counters.UpDropped)
			}
			if c.handled && c.reason == upForwarded {
				if len(m.written) != 1 {
					t.Fatalf("%d packets written", len(m.written))
				}
				got := m.written[0]
				if counters.UpPackets != 1 || counters.UpBytes != uint64(totalLen(got)) || len(got) != totalLen(got) || counters.LastSeen.IsZero() {
					t.Errorf("counters %+v for a packet of %d bytes", counters, len(got))
				}
			} else if len(m.written) != 0 || counters.UpPackets != 0 || !counters.LastSeen.IsZero() {
				t.Errorf("%d packets written, counters %+v", len(m.written), counters)
			}
		})
	}
}

func TestUplinkClampsMSS(t *testing.T) {
	p, m := newPath(t)
	install(p, record())
	s := syn(tcpFlagSYN, 2, 4, 0x05, 0xB4)
	copy(s[12:16], []byte{10, 64, 0, 7})
	u := p.NewUplink()
	u.Packet(lns, lac, 0, data(s))
	u.Flush()
	if got := mssOf(m.written[0], 2); got != 1420 {
		t.Errorf("MSS %d, want 1420", got)
	}
}

// Subscribers that are kept apart reach everybody but each other.
func TestUplinkIsolates(t *testing.T) {
	for _, c := range []struct {
		isolate bool
		to      string
		want    reason
	}{
		{false, "10.64.0.8", upForwarded},
		{true, "10.64.0.8", upHairpin},
		{true, "10.64.0.9", upForwarded},
		{true, "172.20.0.1", upHairpin}, // behind the other
		{true, "198.51.100.2", upForwarded},
	} {
		p, m := newPath(t)
		p.isolate = c.isolate
		other := record()
		other.SessionID, other.Slot, other.Address = 10, 4, netip.MustParseAddr("10.64.0.8")
		other.Routes = []netip.Prefix{netip.MustParsePrefix("172.20.0.0/16")}
		install(p, record(), other)
		u := p.NewUplink()
		if !u.Packet(lns, lac, 0, data(udpPacket("10.64.0.7", c.to, 0, 30))) {
			t.Fatalf("%+v: not handled", c)
		}
		u.Flush()
		onlyCounts(t, p, map[reason]uint64{c.want: 1})
		if d := p.Counters(3).UpDropped; (d == 1) != (c.want == upHairpin) || (len(m.written) == 1) == (d == 1) {
			t.Errorf("%+v: %d dropped, %d written", c, d, len(m.written))
		}
	}
}

// A batch that is full is written without being asked for.
func TestUplinkBatch(t *testing.T) {
	p, m := newPath(t)
	install(p, record())
	u := p.NewUplink()
	for i := range uplinkBatch + 5 {
		u.Packet(lns, lac, 0, data(udpPacket("10.64.0.7", "198.51.100.2", 0, i)))
	}
	u.Flush()
	u.Flush()
	if len(m.written) != uplinkBatch+5 {
		t.Fatalf("%d packets written, want %d", len(m.written), uplinkBatch+5)
	}
	for i, w := range m.written {
		if len(w) != 28+i {
			t.Fatalf("packet %d has %d bytes", i, len(w))
		}
	}
}

func TestDownlink(t *testing.T) {
	for _, dst := range []string{"10.64.0.7", "172.16.5.1", "172.16.77.1"} {
		p, m := newPath(t)
		install(p, record())
		in := udpPacket("198.51.100.2", dst, flagDF, 1460-28)
		if r := p.down[0].packet(bytes.Clone(in)); r != downForwarded {
			t.Fatalf("%s: %s", dst, reasonNames[r])
		}
		want := l2tp.AppendDataIP(nil, l2tp.Framing{Length: true, AddressControl: true}, 70, 90, 0, in)
		if len(m.sent) != 1 || !bytes.Equal(m.sent[0], want) || m.to[0] != lac {
			t.Errorf("%s: sent %x to %v", dst, m.sent, m.to)
		}
		if c := p.Counters(3); c.DownPackets != 1 || c.DownBytes != 1460 || c.LastSeen.IsZero() || c.UpPackets != 0 {
			t.Errorf("%s: %+v", dst, c)
		}
	}
}

func TestDownlinkTooBig(t *testing.T) {
	t.Run("DF", func(t *testing.T) {
		p, m := newPath(t)
		install(p, record())
		in := udpPacket("198.51.100.2", "10.64.0.7", flagDF, 1461-28)
		if r := p.down[0].packet(in); r != downTooBig {
			t.Fatal(reasonNames[r])
		}
		want := appendUnreachable(nil, number(gateway), in, codeFragmentNeed, 1460)
		if len(m.icmp) != 1 || !bytes.Equal(m.icmp[0], want) {
			t.Errorf("ICMP %x, want %x", m.icmp, want)
		}
		if c := p.Counters(3); c.DownDropped != 1 || c.DownPackets != 0 || len(m.sent) != 0 {
			t.Errorf("%+v, %d sent", c, len(m.sent))
		}
	})
	t.Run("may be cut", func(t *testing.T) {
		p, m := newPath(t)
		install(p, record())
		in := udpPacket("198.51.100.2", "10.64.0.7", 0, 1472)
		if r := p.down[0].packet(in); r != downFragmented {
			t.Fatal(reasonNames[r])
		}
		if len(m.sent) != 2 || len(m.icmp) != 0 {
			t.Fatalf("%d fragments, %d ICMP", len(m.sent), len(m.icmp))
		}
		var pieces [][]byte
		for _, b := range m.sent {
			_, frame, err := l2tp.ParseHeader(b)
			if err != nil {
				t.Fatal(err)
			}
			ip, _ := l2tp.DataIP(frame)
			pieces = append(pieces, ip)
		}
		if !bytes.Equal(join(t, pieces, 1460), in[20:]) {
			t.Error("payload differs")
		}
		if c := p.Counters(3); c.DownPackets != 2 || c.DownBytes != uint64(len(pieces[0])+len(pieces[1])) {
			t.Errorf("%+v", c)
		}
	})
}

func TestUnreachable(t *testing.T) {
	p, m := newPath(t)
	in := udpPacket("198.51.100.2", "10.64.0.9", flagDF, 100)
	for range 150 {
		if r := p.down[0].packet(in); r != downNoSession {
			t.Fatal(reasonNames[r])
		}
	}
	if want := appendUnreachable(nil, number(gateway), in, codeHost, 0); !bytes.Equal(m.icmp[0], want) {
		t.Errorf("ICMP %x, want %x", m.icmp[0], want)
	}
	// The rate is 100 a second and the clock stands still.
	onlyCounts(t, p, map[reason]uint64{icmpSent: 100, icmpSuppressed: 50})
	p.down[0].now = p.down[0].now.Add(50 * time.Millisecond)
	for range 10 {
		p.down[0].packet(in)
	}
	if got := count(t, p, icmpSent); got != 105 {
		t.Errorf("%d sent after 50 ms, want 105", got)
	}
}

func TestDownlinkMalformed(t *testing.T) {
	p, _ := newPath(t)
	if r := p.down[0].packet([]byte{0x60, 0, 0, 0}); r != downNotIPv4 {
		t.Error(reasonNames[r])
	}
	for _, b := range [][]byte{nil, {0x45}, udpPacket("198.51.100.2", "10.64.0.9", 0, 9)[:30]} {
		if r := p.down[0].packet(b); r != downMalformed {
			t.Errorf("%x: %s", b, reasonNames[r])
		}
	}
}

// RFC 2661 section 5.4: data sequence numbers begin at 0, count every data
// message of the session, and what arrives late is dropped.
func TestDataSequenceNumbers(t *testing.T) {
	p, m := newPath(t)
	r := record()
	r.Framing.Sequence = true
	install(p, r)
	for i := range 3 {
		p.down[0].packet(udpPacket("198.51.100.2", "10.64.0.7", flagDF, 10))
		if i == 1 {
			install(p, r) // programming it anew must not start over
		}
		h, _, _ := l2tp.ParseHeader(m.sent[i])
		if h.Flags&l2tp.FlagSequence == 0 || int(h.Ns) != i {
			t.Errorf("message %d: flags %#x, Ns %d", i, h.Flags, h.Ns)
		}
	}
	u := p.NewUplink()
	ip := udpPacket("10.64.0.7", "198.51.100.2", 0, 10)
	for _, c := range []struct {
		ns   uint16
		late bool
	}{{0, false}, {1, false}, {1, true}, {0, true}, {5, false}, {4, true}, {32772, false}, {5, true},
		{65535, false}, {0, false}, {65535, true}, {1, false}} {
		before := count(t, p, upLate)
		u.Packet(lns, lac, 0, l2tp.AppendDataIP(nil, l2tp.Framing{Sequence: true}, 7, 9, c.ns, ip))
		if late := count(t, p, upLate) > before; late != c.late {
			t.Errorf("Ns %d: late %v, want %v", c.ns, late, c.late)
		}
	}
}

// PPP's own frames and the subscriber's packets share one sequence.
func TestOneSequenceForAllDataMessages(t *testing.T) {
	p, m := newPath(t)
	engine := p.Sequenced(m)
	framing := l2tp.Framing{Length: true, Sequence: true}
	echo := func(session, ns uint16) {
		b := l2tp.AppendData(nil, framing, 70, session, ns, 0xC021, []byte{9, 1, 0, 4})
		before := bytes.Clone(b)
		engine.Send(lns, lac, b)
		if !bytes.Equal(b, before) {
			t.Error("the caller's message was changed")
		}
	}
	echo(90, 3) // not installed yet: its own number stands
	r := record()
	r.Framing.Sequence, r.NextNs = true, 4
	install(p, r)
	p.down[0].packet(udpPacket("198.51.100.2", "10.64.0.7", flagDF, 10))
	echo(90, 4)
	p.down[0].packet(udpPacket("198.51.100.2", "10.64.0.7", flagDF, 10))
	echo(91, 77) // another session
	control := []byte{0xC8, 2, 0, 12, 0, 70, 0, 90, 0, 1, 0, 1}
	engine.Send(lns, lac, control)
	p.Apply([]session.ProgramOp{{Remove: true, Record: r}})
	echo(90, 5)
	var got []uint16
	for _, b := range m.sent {
		h, _, err := l2tp.ParseHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, h.Ns)
	}
	if want := []uint16{3, 4, 5, 6, 77, 1, 5}; !slices.Equal(got, want) {
		t.Errorf("Ns %v, want %v", got, want)
	}
	if len(p.table.byPeer) != 0 {
		t.Error("left over")
	}
}

// Whatever comes in, nothing panics, and what is passed on is sound.
func FuzzUplink(f *testing.F) {
	f.Add(data(udpPacket("10.64.0.7", "198.51.100.2", 0, 30)))
	f.Add(data(syn(tcpFlagSYN, 1, 2, 4, 0x05, 0xB4)))
	p, m := newPath(f)
	install(p, record())
	u := p.NewUplink()
	f.Fuzz(func(t *testing.T, b []byte) {
		m.written = m.written[:0]
		u.Packet(lns, lac, 0, bytes.Clone(b))
		u.Flush()
		for _, w := range m.written {
			if got, ok := trimIPv4(w); !ok || len(got) != len(w) {
				t.Fatalf("written: %x", w)
			}
			if !p.table.byID[key(7, 9)].sourceAllowed(source(w)) {
				t.Fatal("spoofed source passed")
			}
		}
	})
}
