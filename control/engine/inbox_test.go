package engine

import (
	"net/netip"
	"testing"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

var (
	testLocal = netip.MustParseAddrPort("192.0.2.1:1701")
	testPeer  = netip.MustParseAddrPort("198.51.100.1:1701")
)

// message is a control message of which only the type matters here.
func message(tunnelID uint16, typ l2tp.MessageType) []byte {
	return []byte{0xC8, 0x02, 0, 20, byte(tunnelID >> 8), byte(tunnelID), 0, 0, 0, 0, 0, 0,
		0x80, 8, 0, 0, 0, 0, byte(typ >> 8), byte(typ)}
}

func zlb(tunnelID uint16) []byte {
	return []byte{0xC8, 0x02, 0, 12, byte(tunnelID >> 8), byte(tunnelID), 0, 0, 0, 0, 0, 0}
}

func frame(tunnelID, sessionID uint16) []byte {
	b := l2tp.AppendDataHeader(nil, tunnelID, sessionID, false, false, 0, 8)
	return append(b, 0xFF, 0x03, 0xC0, 0x21, 9, 1, 0, 4)
}

func TestShardsRoundUp(t *testing.T) {
	for shards, want := range map[int]int{0: 1, 1: 1, 2: 2, 3: 4, 8: 8, 1000: 256} {
		if got := NewInboxes(shards).Shards(); got != want {
			t.Errorf("%d shards for %d, want %d", got, shards, want)
		}
	}
}

// The low bits of the tunnel id name the shard.
func TestPacketFindsItsShard(t *testing.T) {
	in := NewInboxes(4)
	for id := uint16(1); id < 100; id++ {
		in.Packet(testLocal, testPeer, zlb(id))
		in.Packet(testLocal, testPeer, frame(id, 7))
		var b batch
		in.shards[id%4].swap(&b)
		if len(b.packets) != 2 || len(b.arena) != len(zlb(id))+len(frame(id, 7)) {
			t.Fatalf("id %d: %d packets, %d bytes", id, len(b.packets), len(b.arena))
		}
	}
}

// A flood of set-ups leaves room for frames, and both for control messages.
func TestFloodLeavesRoom(t *testing.T) {
	in := NewInboxes(1)
	x := &in.shards[0]
	fill := func(b []byte) (taken int) {
		before := len(x.in.packets)
		for range 2 * inboxPackets {
			in.Packet(testLocal, testPeer, b)
		}
		return len(x.in.packets) - before
	}
	if n := fill(message(0, l2tp.SCCRQ)); n != inboxPackets/2 {
		t.Errorf("%d SCCRQs taken", n)
	}
	if n := fill(message(1, l2tp.ICRQ)); n != 0 {
		t.Errorf("%d ICRQs taken behind them", n)
	}
	if n := fill(frame(1, 1)); n != inboxPackets/4 {
		t.Errorf("%d frames taken", n)
	}
	if n := fill(message(1, l2tp.HELLO)); n != inboxPackets/4 {
		t.Errorf("%d HELLOs taken", n)
	}
	for c, want := range [classes]uint64{
		classControl: 2*inboxPackets - inboxPackets/4,
		classFrame:   2*inboxPackets - inboxPackets/4,
		classSetup:   4*inboxPackets - inboxPackets/2,
	} {
		if got := x.refused[c].Load(); got != want {
			t.Errorf("class %d: %d refused, want %d", c, got, want)
		}
	}
}

func TestFloodOfBytesLeavesRoom(t *testing.T) {
	in := NewInboxes(1)
	big := append(message(1, l2tp.ICRQ), make([]byte, 60000)...)
	big[2], big[3] = byte(len(big)>>8), byte(len(big))
	for range 1000 {
		in.Packet(testLocal, testPeer, big)
	}
	before := len(in.shards[0].in.packets)
	in.Packet(testLocal, testPeer, message(1, l2tp.HELLO))
	if len(in.shards[0].in.packets) != before+1 {
		t.Error("no room for a HELLO")
	}
	if n := len(in.shards[0].in.arena); n > inboxBytes {
		t.Errorf("%d bytes held", n)
	}
}

// Answers are never refused.
func TestAnswersAreNotRefused(t *testing.T) {
	in := NewInboxes(2)
	for range 2 * inboxPackets {
		in.AuthDone(&session.AuthResult{Ref: session.Ref{TunnelID: 1}})
	}
	in.Programmed(make([]session.Programmed, 2*inboxPackets))
	if len(in.shards[1].in.auth) != 2*inboxPackets || len(in.shards[0].in.programmed) != 2*inboxPackets {
		t.Error("answers lost")
	}
}

func TestInboxDoesNotAllocate(t *testing.T) {
	in := NewInboxes(1)
	hello, echo := message(1, l2tp.HELLO), frame(1, 1)
	var b batch
	round := func() {
		for range 100 {
			in.Packet(testLocal, testPeer, hello)
			in.Packet(testLocal, testPeer, echo)
		}
		in.shards[0].swap(&b)
		b.reset()
	}
	round()
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations for 200 packets", n)
	}
}

func BenchmarkInbox(b *testing.B) {
	in := NewInboxes(4)
	hello := message(1, l2tp.HELLO)
	var x batch
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		in.Packet(testLocal, testPeer, hello)
		if i%64 == 63 {
			in.shards[1].swap(&x)
			x.reset()
		}
	}
}
