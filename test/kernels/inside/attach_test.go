package inside

import (
	"fmt"
	"testing"

	"github.com/lnsd/lnsd/maps"
)

// sizes are those of a trial, of a small access router, of all ids that one
// tunnel has, and the largest.
var sizes = []struct{ sessions, routes uint32 }{
	{1, 0},
	{1000, 100},
	{65535, 65535},
	{maps.MaxSessions, maps.MaxSessions},
}

// TestAttach loads the program with maps of every size and attaches it to every
// kind of device, in native and in generic mode. A VLAN interface has no native
// mode; the daemon attaches to the device below instead, but would be told.
func TestAttach(t *testing.T) {
	n := newNetwork(t)
	vlan := n.virtio.legs.lac[tagged].ifindex
	devices := []struct {
		name    string
		ifindex int
		native  bool
	}{
		{"virtio", n.virtio.lacSide, true},
		{"veth", n.veth.lacSide, true},
		{"vlan", vlan, false},
	}
	for _, size := range sizes {
		for _, generic := range []bool{false, true} {
			cfg := maps.Config{Sessions: size.sessions, Routes: size.routes, Generic: generic}
			t.Run(fmt.Sprintf("sessions=%d,generic=%v", size.sessions, generic), func(t *testing.T) {
				m := n.open(t, cfg)
				for _, d := range devices {
					want := maps.Generic
					if d.native && !generic {
						want = maps.Native
					}
					at, err := n.attach(m, d.ifindex)
					if err != nil {
						t.Errorf("%s: %v", d.name, err)
					} else if at.Mode != want {
						t.Errorf("%s: %v mode, want %v (%v)", d.name, at.Mode, want, at.WhyGeneric)
					}
				}
			})
		}
	}
}
