package dataplane

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/lnsd/lnsd/maps"
)

var (
	mac1 = []byte{2, 0, 0, 0, 0, 1}
	mac2 = []byte{2, 0, 0, 0, 0, 2}
	tag1 = maps.VLAN{Protocol: 0x8100, ID: 100}
	tag2 = maps.VLAN{Protocol: 0x88A8, ID: 200}
)

// server has two cards, VLANs on the second, and a TUN device.
func server() *host {
	return &host{
		interfaces: []netif{
			{index: 1, name: "lo", mac: make([]byte, 6), loopback: true},
			{index: 2, name: "eth0", mac: mac1},
			{index: 3, name: "eth1", mac: mac2},
			{index: 4, name: "eth1.200", mac: mac2, parent: 3, tag: tag2},
			{index: 5, name: "eth1.200.100", mac: mac2, parent: 4, tag: tag1, vrf: 10},
			{index: 6, name: "sub0"},
			{index: 7, name: "deep", mac: mac2, parent: 5, tag: tag1},
		},
		addresses: []ifAddr{
			{1, netip.MustParseAddr("127.0.0.1")},
			{2, netip.MustParseAddr("192.0.2.1")},
			{4, netip.MustParseAddr("198.51.100.1")},
			{6, netip.MustParseAddr("10.64.0.1")},
		},
	}
}

func locals(s ...string) []netip.AddrPort {
	var out []netip.AddrPort
	for _, v := range s {
		out = append(out, netip.MustParseAddrPort(v))
	}
	return out
}

func TestPlan(t *testing.T) {
	none := func(name, reason string) []Mode { return []Mode{{name, "none", reason}} }
	for _, c := range []struct {
		name    string
		cfg     Config
		routed  []int
		devices []string
		ports   []maps.Port
		unfit   []Mode
	}{
		{
			name: "the interface of the bind address", cfg: Config{Locals: locals("192.0.2.1:1701")},
			devices: []string{"eth0"},
			ports:   []maps.Port{{Ifindex: 2, Device: 2, MAC: [6]byte(mac1)}},
		},
		{
			name: "a VLAN interface, with those on top of it", cfg: Config{Locals: locals("198.51.100.1:1701")},
			devices: []string{"eth1"},
			ports: []maps.Port{
				{Ifindex: 4, Device: 3, MAC: [6]byte(mac2), VLANs: []maps.VLAN{tag2}},
				{Ifindex: 5, Device: 3, MAC: [6]byte(mac2), VLANs: []maps.VLAN{tag2, tag1}, VRF: 10},
			},
		},
		{
			name: "default routes", cfg: Config{Locals: locals("0.0.0.0:1701")}, routed: []int{2, 1, 99},
			devices: []string{"eth0"},
			ports:   []maps.Port{{Ifindex: 2, Device: 2, MAC: [6]byte(mac1)}},
		},
		{name: "loopback is not chosen", cfg: Config{Locals: locals("127.0.0.1:1701")}},
		{name: "nor our TUN device", cfg: Config{Locals: locals("10.64.0.1:1701"), Ignore: []string{"sub0"}}},
		{
			name: "names win over routes", cfg: Config{Interfaces: []string{"eth0", "eth9"}, Locals: locals("198.51.100.1:1701")},
			routed: []int{3}, devices: []string{"eth0"},
			ports: []maps.Port{{Ifindex: 2, Device: 2, MAC: [6]byte(mac1)}},
			unfit: none("eth9", "no such interface"),
		},
		{
			name: "not Ethernet", cfg: Config{Interfaces: []string{"sub0"}},
			unfit: none("sub0", "not an Ethernet interface"),
		},
		{name: "three tags", cfg: Config{Interfaces: []string{"deep"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := server()
			h.routed = c.routed
			p := c.cfg.plan(h)
			var devices []string
			for _, d := range p.devices {
				devices = append(devices, d.name)
			}
			if !reflect.DeepEqual(devices, c.devices) {
				t.Errorf("devices %v, want %v", devices, c.devices)
			}
			if !reflect.DeepEqual(p.ports, c.ports) {
				t.Errorf("ports %+v, want %+v", p.ports, c.ports)
			}
			if !reflect.DeepEqual(p.unfit, c.unfit) {
				t.Errorf("unfit %v, want %v", p.unfit, c.unfit)
			}
		})
	}
}

func TestPlanLocals(t *testing.T) {
	cfg := Config{Locals: locals("0.0.0.0:1701", "192.0.2.1:1701", "192.0.2.1:1702")}
	want := locals("10.64.0.1:1701", "127.0.0.1:1701", "192.0.2.1:1701", "192.0.2.1:1702", "198.51.100.1:1701")
	if got := cfg.plan(server()).locals; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
