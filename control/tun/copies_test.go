package tun

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/lnsd/lnsd/control/session"
)

// notebook keeps what was copied.
type notebook struct{ intercepted, captured []session.PacketCopy }

func keep(list *[]session.PacketCopy, c *session.PacketCopy) {
	k := *c
	k.Packet = slices.Clone(c.Packet)
	*list = append(*list, k)
}

func (n *notebook) Intercepted(c *session.PacketCopy) { keep(&n.intercepted, c) }
func (n *notebook) Captured(c *session.PacketCopy)    { keep(&n.captured, c) }

// What is sent on is copied for an interception, both ways; what is dropped only for
// a capture, with the reason. Nobody else's packets are copied.
func TestCopies(t *testing.T) {
	p, _ := newPath(t)
	n := &notebook{}
	p.copies = n
	r := record()
	install(p, r)
	up := udpPacket("10.64.0.7", "198.51.100.2", 0, 40)
	forged := udpPacket("10.99.0.7", "198.51.100.2", 0, 40)
	down := udpPacket("198.51.100.2", "10.64.0.7", 0, 50)
	long := udpPacket("198.51.100.2", "10.64.0.7", flagDF, 3000)
	cut := udpPacket("198.51.100.2", "10.64.0.7", 0, 1500)
	all := func() {
		u := p.NewUplink()
		for _, b := range [][]byte{up, forged} {
			u.Packet(lns, lac, 0, data(b))
		}
		u.Flush()
		for _, b := range [][]byte{down, long, cut} {
			p.down[0].packet(bytes.Clone(b))
		}
	}
	all()
	if len(n.intercepted)+len(n.captured) > 0 {
		t.Fatalf("copies of a session that nobody looks at: %+v", n)
	}
	r.Services = &session.Services{Intercept: netip.MustParseAddrPort("192.0.2.1:9")}
	install(p, r)
	p.Capture(r.Slot, true)
	all()
	// What is too long for the session is cut, and both pieces are sent.
	if got := n.intercepted; len(got) != 4 || !bytes.Equal(got[0].Packet, up) || !got[0].Up || !bytes.Equal(got[1].Packet, down) || got[1].Up ||
		got[2].Length+got[3].Length != len(cut)+20 {
		t.Errorf("intercepted %+v", got)
	}
	var reasons []string
	for _, c := range n.captured {
		if c.Slot != r.Slot || c.TunnelID != r.TunnelID || c.SessionID != r.SessionID || !c.Slow {
			t.Errorf("whose is it: %+v", c)
		}
		reasons = append(reasons, c.Reason)
	}
	if want := []string{"", "slow_up_spoofed_source", "", "slow_down_too_big", "", ""}; !slices.Equal(reasons, want) {
		t.Errorf("captured %q, want %q", reasons, want)
	}
	r.Services = nil
	install(p, r)
	p.Capture(r.Slot, false)
	*n = notebook{}
	all()
	if len(n.intercepted)+len(n.captured) > 0 {
		t.Errorf("copies after the end: %+v", n)
	}
}

// A capture is of a slot: it waits for a session, and stays when its record changes.
func TestCaptureOfSlot(t *testing.T) {
	p, _ := newPath(t)
	n := &notebook{}
	p.copies = n
	r := record()
	p.Capture(r.Slot, true)
	install(p, r)
	install(p, r)
	p.down[0].packet(udpPacket("198.51.100.2", "10.64.0.7", 0, 50))
	if len(n.captured) != 1 {
		t.Errorf("%d captured", len(n.captured))
	}
}
