package dataplane

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// routeMessage announces a route to a prefix; the default route has no destination.
func routeMessage(kind uint16, prefix netip.Prefix) *syscall.NetlinkMessage {
	msg := nl.NewRtMsg()
	msg.Dst_len = uint8(prefix.Bits())
	data := msg.Serialize()
	if prefix.Bits() > 0 {
		data = append(data, nl.NewRtAttr(unix.RTA_DST, prefix.Addr().AsSlice()).Serialize()...)
	}
	return &syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: kind}, Data: data}
}

func TestConcerns(t *testing.T) {
	cfg := Config{LACs: []netip.Addr{netip.MustParseAddr("198.51.100.7")}}
	for _, c := range []struct {
		name string
		m    *syscall.NetlinkMessage
		want bool
	}{
		{"link", &syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: unix.RTM_NEWLINK}}, true},
		{"address", &syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: unix.RTM_DELADDR}}, true},
		{"default route", routeMessage(unix.RTM_NEWROUTE, netip.MustParsePrefix("0.0.0.0/0")), true},
		{"default route lost", routeMessage(unix.RTM_DELROUTE, netip.MustParsePrefix("0.0.0.0/0")), true},
		{"route to a LAC", routeMessage(unix.RTM_NEWROUTE, netip.MustParsePrefix("198.51.100.0/24")), true},
		{"route to others", routeMessage(unix.RTM_NEWROUTE, netip.MustParsePrefix("203.0.113.0/24")), false},
		{"route of a subscriber", routeMessage(unix.RTM_DELROUTE, netip.MustParsePrefix("10.64.0.1/32")), false},
		{"cut off", &syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: unix.RTM_NEWROUTE}, Data: []byte{2}}, true},
	} {
		if got := cfg.concerns(c.m); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
