package tun

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// sink takes packets and forgets them.
type sink struct{}

var room = make([]byte, maxPacket+20)

func (sink) write(*joiner) int                                 { return 0 }
func (sink) Reserve(_, _ netip.AddrPort, _ byte, n int) []byte { return room[:n] }
func (sink) Flush()                                            {}
func (sink) send([]byte) error                                 { return nil }

func sinkPath(t testing.TB) *Path {
	p, _ := newPath(t)
	p.icmp, p.newWriter = sink{}, func() frameWriter { return sink{} }
	p.down = []*downlink{newDownlink(p, sink{}, rate.NewLimiter(1_000_000, 1_000_000))}
	p.down[0].now = time.Now()
	install(p, record())
	return p
}

// ring hands out copies of datagrams, each in memory of its own for as long as an
// Uplink uses it.
type ring struct {
	slots [uplinkBatch][2048]byte
	at    int
}

func (r *ring) copy(b []byte) []byte {
	r.at = (r.at + 1) % len(r.slots)
	return r.slots[r.at][:copy(r.slots[r.at][:], b)]
}

func TestNoAllocationPerPacket(t *testing.T) {
	p := sinkPath(t)
	u := p.NewUplink()
	up := data(udpPacket("10.64.0.7", "198.51.100.2", 0, 1000))
	next, fresh := data(segment(1, nil)), &ring{}
	for name, f := range map[string]func(){
		"uplink":     func() { u.Packet(lns, lac, 0, fresh.copy(up)) },
		"downlink":   func(b []byte) func() { return func() { p.down[0].packet(b) } }(udpPacket("198.51.100.2", "10.64.0.7", flagDF, 1000)),
		"fragmented": func(b []byte) func() { return func() { p.down[0].packet(b) } }(udpPacket("198.51.100.2", "10.64.0.7", 0, 1472)),
		"joined": func(b []byte) func() {
			return func() { u.Packet(lns, lac, 0, fresh.copy(b)); u.Packet(lns, lac, 0, fresh.copy(next)) }
		}(data(segment(0, nil))),
		"uncut":   func(b []byte) func() { return func() { p.down[0].frame(b) } }(uncut(tcpPacket("198.51.100.2", "10.64.0.7", 1, tcpFlagACK, nil, counting(60000)), 1000)),
		"too big": func(b []byte) func() { return func() { p.down[0].packet(b) } }(udpPacket("198.51.100.2", "10.64.0.7", flagDF, 1472)),
	} {
		if n := testing.AllocsPerRun(500, f); n != 0 {
			t.Errorf("%s: %v allocations per packet, want 0", name, n)
		}
	}
	if got := count(t, p, upForwarded); got < 3*500/uplinkBatch*uplinkBatch {
		t.Errorf("only %d packets went up", got)
	}
}

func BenchmarkUplink(b *testing.B) {
	p := sinkPath(b)
	u := p.NewUplink()
	d := data(udpPacket("10.64.0.7", "198.51.100.2", 0, 1372))
	b.SetBytes(1400)
	b.ReportAllocs()
	fresh := &ring{}
	for b.Loop() {
		u.Packet(lns, lac, 0, fresh.copy(d))
	}
}

func BenchmarkDownlink(b *testing.B) {
	p := sinkPath(b)
	in := udpPacket("198.51.100.2", "10.64.0.7", flagDF, 1372)
	b.SetBytes(1400)
	b.ReportAllocs()
	for b.Loop() {
		p.down[0].packet(in)
	}
}

func BenchmarkDownlinkUncut(b *testing.B) {
	p := sinkPath(b)
	in := uncut(tcpPacket("198.51.100.2", "10.64.0.7", 1, tcpFlagACK, timestamps, counting(44*1408)), 1408)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		p.down[0].frame(in)
	}
}

func BenchmarkUplinkJoined(b *testing.B) {
	p := sinkPath(b)
	u := p.NewUplink()
	fresh := make([][]byte, 44)
	for i := range fresh {
		fresh[i] = data(tcpPacket("10.64.0.7", "198.51.100.2", uint32(1408*i), tcpFlagACK, timestamps, counting(1408)))
	}
	b.SetBytes(44 * 1408)
	b.ReportAllocs()
	copies := &ring{}
	for b.Loop() {
		u.Packet(lns, lac, 0, copies.copy(fresh[0])) // which joining changes
		for _, d := range fresh[1:] {
			u.Packet(lns, lac, 0, d)
		}
		u.Flush()
	}
}
