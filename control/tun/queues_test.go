package tun_test

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
)

// With several queues every packet arrives, and a subscriber's arrive in order.
func TestQueuesKeepOrder(t *testing.T) {
	r := newQueuesRig(t, true, 3)
	c := r.core()
	subscribers := []netip.Addr{subscriber, neighbour}
	// The neighbours are resolved first: what waits for that may be overtaken.
	if _, err := c.WriteToUDPAddrPort(pattern(10), netip.AddrPortFrom(subscriber, 5000)); err != nil {
		t.Fatal(err)
	}
	r.down(1, isUDP)
	const packets = 200
	for i := range packets {
		for _, a := range subscribers {
			// Each packet is of another connection: not these are kept together,
			// but the subscriber's.
			b := binary.BigEndian.AppendUint32(nil, uint32(i))
			if _, err := c.WriteToUDPAddrPort(b, netip.AddrPortFrom(a, uint16(5000+i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	next := map[uint16]uint32{} // by session id
	for range packets * len(subscribers) {
		select {
		case b := <-r.fromLNS:
			h, frame, err := l2tp.ParseHeader(b)
			if err != nil {
				t.Fatal(err)
			}
			ip, _ := l2tp.DataIP(frame)
			if got := binary.BigEndian.Uint32(ip[28:]); got != next[h.SessionID] {
				t.Fatalf("session %d: packet %d came when %d was due", h.SessionID, got, next[h.SessionID])
			}
			next[h.SessionID]++
		case <-time.After(wait):
			t.Fatalf("only %v came", next)
		}
	}
	if out, err := r.lab.LNS.Output(t.Context(), "ip", "-d", "link", "show", r.path.Name()); err != nil || !strings.Contains(out, "multi_queue") {
		t.Errorf("%v: %s", err, out)
	}
}
