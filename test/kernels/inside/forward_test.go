package inside

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/ipv4"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/maps"
	"github.com/lnsd/lnsd/test/netlab"
)

// wait is how long a packet may take; emulated machines are slow.
const wait = 10 * time.Second

// subscriberPort is the port that the subscriber talks from.
const subscriberPort = 1111

// TestForward sends packets both ways through every kind of device, in both
// modes, with every combination of tags on the two sides. Each must arrive
// whole, and by the program alone.
func TestForward(t *testing.T) {
	n := newNetwork(t)
	for _, d := range []struct {
		name   string
		wiring *wiring
	}{{"virtio", &n.virtio}, {"veth", &n.veth}} {
		for _, c := range []struct {
			mode maps.Mode
			cpus []int // to spread over
		}{{maps.Native, nil}, {maps.Native, []int{0, 1}}, {maps.Generic, nil}, {maps.Generic, []int{1}}} {
			t.Run(fmt.Sprintf("%s-%v-spread=%v", d.name, c.mode, c.cpus), func(t *testing.T) {
				m := n.open(t, maps.Config{Sessions: 100, Routes: 1, Generic: c.mode == maps.Generic})
				if err := m.Spread(c.cpus); err != nil {
					t.Fatal(err)
				}
				n.serve(t, m, d.wiring, c.mode)
				slot := uint32(0)
				for _, lac := range d.wiring.legs.lac {
					for _, core := range d.wiring.legs.core {
						slot++
						s := scenario{n: n, m: m, slot: slot, lac: lac, core: core}
						t.Run(lac.name+"-"+core.name, s.run)
					}
				}
			})
		}
	}
}

// serve attaches the program to both sides and tells it of all interfaces.
func (n *network) serve(t *testing.T, m *maps.Maps, w *wiring, mode maps.Mode) {
	t.Helper()
	for _, device := range []int{w.lacSide, w.coreSide} {
		at, err := n.attach(m, device)
		if err != nil {
			t.Fatal(err)
		}
		if at.Mode != mode {
			t.Fatalf("device %d: %v mode, want %v (%v)", device, at.Mode, mode, at.WhyGeneric)
		}
	}
	add := func(device int, legs []leg) {
		for _, l := range legs {
			if err := m.AddPort(maps.Port{Ifindex: l.ifindex, Device: device, VLANs: l.tags, MAC: l.mac}); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(w.lacSide, w.legs.lac)
	add(w.coreSide, w.legs.core)
	for _, l := range w.legs.lac {
		if err := m.AddLocal(netip.AddrPortFrom(l.lns, 1701)); err != nil {
			t.Fatal(err)
		}
	}
}

// scenario is one subscriber behind one leg, who talks to the router of another.
type scenario struct {
	n         *network
	m         *maps.Maps
	slot      uint32
	lac, core leg

	policy     maps.Policy
	framing    l2tp.Framing
	subscriber netip.AddrPort
	server     netip.AddrPort
	tunnel     *net.UDPConn     // of the LAC
	remote     *net.UDPConn     // of the core
	withTTL    *ipv4.PacketConn // the same, with the TTL of what it receives
}

func (s scenario) run(t *testing.T) {
	s.choose()
	if err := s.m.Install(maps.Session{Slot: s.slot, Policy: s.policy}); err != nil {
		t.Fatal(err)
	}
	s.route(t)
	s.tunnel = listen(t, s.n.lab.LAC, netip.AddrPortFrom(s.lac.far, 1701))
	s.remote = listen(t, s.n.lab.Core, s.server)
	s.withTTL = ipv4.NewPacketConn(s.remote)
	if err := s.withTTL.SetControlMessage(ipv4.FlagTTL, true); err != nil {
		t.Fatal(err)
	}
	before := s.tallies(t)
	packets, bytes := uint64(0), uint64(0)
	for _, size := range []int{0, 1, 64, 1000, s.largest() - 28} {
		payload := pattern(size)
		if err := s.up(payload); err != nil {
			t.Fatalf("up, %d bytes: %v", size, err)
		}
		if err := s.down(payload); err != nil {
			t.Fatalf("down, %d bytes: %v", size, err)
		}
		packets, bytes = packets+1, bytes+uint64(size+28)
	}
	s.checkCounters(t, before, packets, bytes)
}

// choose gives the session its ids, addresses and framing; sessions differ in
// all that the program writes.
func (s *scenario) choose() {
	s.framing = l2tp.Framing{Length: s.slot%2 == 0, AddressControl: s.slot%3 == 0, ShortProtocol: s.slot%5 == 0}
	s.subscriber = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 80, 0, byte(s.slot)}), subscriberPort)
	s.server = netip.AddrPortFrom(s.core.far, 5000)
	s.policy = maps.Policy{
		TunnelId: 1000 + uint16(s.slot), SessionId: 2000 + uint16(s.slot),
		PeerTunnelId: 3000 + uint16(s.slot), PeerSessionId: 4000 + uint16(s.slot),
		Local: s.lac.lns.As4(), LocalPort: 1701, Peer: s.lac.far.As4(), PeerPort: 1701,
		Address: s.subscriber.Addr().As4(), Mtu: uint16(s.lac.mtu - s.overhead()),
		Flags: maps.FlagUDPChecksum,
	}
	if s.framing.Length {
		s.policy.Flags |= maps.FlagLength
	}
	if s.framing.AddressControl {
		s.policy.Flags |= maps.FlagAddressControl
	}
	if s.framing.ShortProtocol {
		s.policy.Flags |= maps.FlagPFC
	}
}

// overhead is the number of bytes before an inner packet, from the outer IPv4
// header on.
func (s *scenario) overhead() int { return 20 + 8 + s.framing.Overhead(l2tp.ProtocolIPv4) }

// largest is the largest inner packet that both legs carry.
func (s *scenario) largest() int { return min(s.lac.mtu-s.overhead(), s.core.mtu) }

// route sends the subscriber's packets to the LNS, for the length of the test.
func (s *scenario) route(t *testing.T) {
	t.Helper()
	prefix := netip.PrefixFrom(s.subscriber.Addr(), 32)
	if err := s.n.lab.Core.AddRoute(prefix, s.core.lns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := s.n.lab.Core.Do(func() error {
			return netlink.RouteDel(&netlink.Route{
				Dst: &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(32, 32)}, Gw: s.core.lns.AsSlice(),
			})
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// up sends payload from the subscriber and checks what the core receives.
func (s *scenario) up(payload []byte) error {
	inner := ipv4UDP(s.subscriber, s.server, 64, payload)
	message := l2tp.AppendDataIP(nil, s.framing, s.policy.TunnelId, s.policy.SessionId, 0, inner)
	if _, err := s.tunnel.WriteToUDPAddrPort(message, netip.AddrPortFrom(s.lac.lns, 1701)); err != nil {
		return err
	}
	b := make([]byte, 2000)
	if err := s.remote.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	size, control, from, err := s.withTTL.ReadFrom(b)
	if err != nil {
		return s.why(err)
	}
	if got := from.(*net.UDPAddr).AddrPort(); got != s.subscriber {
		return fmt.Errorf("from %v, want %v", got, s.subscriber)
	}
	if control == nil || control.TTL != 63 {
		return fmt.Errorf("TTL %v, want 63", control)
	}
	if !bytes.Equal(b[:size], payload) {
		return fmt.Errorf("payload % x, want % x", b[:size], payload)
	}
	return nil
}

// down sends payload from the core and checks what the LAC receives.
func (s *scenario) down(payload []byte) error {
	if _, err := s.remote.WriteToUDPAddrPort(payload, s.subscriber); err != nil {
		return err
	}
	b := make([]byte, 2000)
	if err := s.tunnel.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	size, from, err := s.tunnel.ReadFromUDPAddrPort(b)
	if err != nil {
		return s.why(err)
	}
	if want := netip.AddrPortFrom(s.lac.lns, 1701); from != want {
		return fmt.Errorf("from %v, want %v", from, want)
	}
	return checkInner(b[:size], s.policy.PeerTunnelId, s.policy.PeerSessionId, s.server, s.subscriber, payload)
}

// why adds what the program has counted to an error of waiting.
func (s *scenario) why(err error) error {
	tallies, countErr := s.m.Reasons()
	if countErr != nil {
		return fmt.Errorf("%w (%w)", err, countErr)
	}
	var counted []string
	for _, t := range tallies {
		if t.Packets > 0 {
			counted = append(counted, fmt.Sprintf("%s %d", t.Name, t.Packets))
		}
	}
	return fmt.Errorf("%w; counted since the program was loaded: %s", err, strings.Join(counted, ", "))
}

// tallies returns the reason counters by name.
func (s *scenario) tallies(t *testing.T) map[string]uint64 {
	t.Helper()
	list, err := s.m.Reasons()
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]uint64)
	for _, tally := range list {
		byName[tally.Name] = tally.Packets
	}
	return byName
}

// checkCounters makes sure that the program sent every packet itself, and
// nothing else of what it is for.
func (s *scenario) checkCounters(t *testing.T, before map[string]uint64, packets, bytes uint64) {
	t.Helper()
	for name, count := range s.tallies(t) {
		moved, want := count-before[name], uint64(0)
		switch {
		case name == "sent_up", name == "sent_down":
			want = packets
		case strings.HasPrefix(name, "pass_"):
			continue // ARP, IPv6 and whatever else a kernel says of itself
		}
		if moved != want {
			t.Errorf("%s: %d packets, want %d", name, moved, want)
		}
	}
	usage := s.m.Usage(s.slot)
	for name, f := range map[string]maps.Flow{"up": usage.Up, "down": usage.Down} {
		if f.Packets != packets || f.Bytes != bytes || f.Dropped() != 0 {
			t.Errorf("%s: counted %+v, want %d packets of %d bytes", name, f, packets, bytes)
		}
	}
}

// listen opens a socket in a namespace for the length of the test.
func listen(t *testing.T, ns *netlab.Namespace, at netip.AddrPort) (conn *net.UDPConn) {
	t.Helper()
	err := ns.Do(func() (err error) {
		conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// pattern is a payload in which a shifted or missing byte shows.
func pattern(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + i/256)
	}
	return b
}
