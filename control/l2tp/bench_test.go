package l2tp

import (
	"runtime"
	"testing"
	"time"
)

var dataMessage = AppendDataIP(nil, Framing{Length: true, AddressControl: true}, 1, 2, 0, append([]byte{0x45}, make([]byte, 99)...))

// controlDatagram wraps a body for a tunnel that expects ns.
func controlDatagram(sid, ns, nr uint16, body []byte) []byte {
	b := append(appendControlHeader(nil, benchID, sid, ns, nr), body...)
	w := builder{b: b}
	return w.finish()
}

func allocs(t *testing.T, name string, want float64, f func()) {
	t.Helper()
	if got := testing.AllocsPerRun(200, f); got > want {
		t.Errorf("%s: %v allocations, want %v", name, got, want)
	}
}

// What every packet and every message pays.
func TestAllocations(t *testing.T) {
	icrq := controlDatagram(0, 0, 0, body(ICRQ))
	allocs(t, "data header", 0, func() { ParseHeader(dataMessage) })
	allocs(t, "PPP", 0, func() { DataIP(dataMessage[8:]) })
	buf := make([]byte, 0, 2000)
	allocs(t, "encapsulation", 0, func() { AppendDataIP(buf, Framing{Length: true}, 1, 2, 3, dataMessage[12:]) })
	allocs(t, "bad header", 0, func() { ParseHeader(dataMessage[:5]) })
	allocs(t, "PeekSCCRQ", 0, func() { PeekSCCRQ(icrq[controlHeaderLen:]) })
	iccn := body(ICCN)
	allocs(t, "ICCN decode", 0, func() {
		var m message
		m.decode(iccn, nil)
		request(&m)
		connected(&m)
	})

	b := inTunnelState(t, testConfig(LNS), Established)
	hello := body(HELLO)
	allocs(t, "HELLO and its ZLB", 0, func() {
		b.out.Reset()
		h := Header{TunnelID: benchID, Ns: b.ns, Nr: b.acked()}
		b.ns++
		b.t.Receive(b.now, h, hello, &b.out)
	})
	allocs(t, "ZLB", 0, func() {
		b.out.Reset()
		b.t.Receive(b.now, Header{TunnelID: benchID, Ns: b.ns, Nr: b.acked()}, nil, &b.out)
	})
	allocs(t, "Heard, Timer, Deadline", 0, func() {
		b.out.Reset()
		b.t.Heard(b.now)
		b.t.Timer(b.now, &b.out)
		b.t.Deadline()
	})
}

// The heap that an established call and a tunnel hold once their owners have taken
// what they need.
func TestMemoryPerCall(t *testing.T) {
	const n = 20_000
	b := inTunnelState(t, testConfig(LNS), Established)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range uint16(n) {
		icrq := body(ICRQ)
		icrq[len(icrq)-12], icrq[len(icrq)-11] = byte((i+1)>>8), byte(i+1) // Assigned Session ID
		b.recv(0, icrq)
		c := b.out.Events[0].Call
		b.t.AcceptCall(b.now, c, i+1, &b.out)
		b.recv(i+1, body(ICCN))
		c.Params = nil
	}
	b.recv(0, nil)
	b.out = Out{}
	per := float64(heap()-before) / n
	if b.t.Calls() != n {
		t.Fatalf("%d calls", b.t.Calls())
	}
	t.Logf("%.0f bytes for each established call", per)
	if per > 150 {
		t.Errorf("%.0f bytes for each established call", per)
	}
	runtime.KeepAlive(b)
}

func BenchmarkParseHeader(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ParseHeader(dataMessage)
	}
}

func BenchmarkDataDecapsulation(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, frame, _ := ParseHeader(dataMessage)
		DataIP(frame)
	}
}

func BenchmarkDataEncapsulation(b *testing.B) {
	b.ReportAllocs()
	buf, ip := make([]byte, 0, 2000), dataMessage[12:]
	for b.Loop() {
		AppendDataIP(buf, Framing{Length: true, AddressControl: true}, 1, 2, 0, ip)
	}
}

func BenchmarkDecode(b *testing.B) {
	icrq := newBuilder(nil, ICRQ, 0, 0, hider{})
	icrq.icrq(7, &CallParams{Serial: 1, BearerType: 1, CalledNumber: "400", CallingNumber: "0551"})
	for name, m := range map[string][]byte{"HELLO": body(HELLO), "ICRQ": icrq.b[controlHeaderLen:], "ICCN": body(ICCN)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var d message
				d.decode(m, nil)
			}
		})
	}
}

// A HELLO from the datagram to the ZLB that answers it.
func BenchmarkReceiveHello(b *testing.B) {
	b.ReportAllocs()
	x := inTunnelState(b, testConfig(LNS), Established)
	d := controlDatagram(0, x.ns, x.acked(), body(HELLO))
	for b.Loop() {
		d[8], d[9] = byte(x.ns>>8), byte(x.ns)
		x.ns++
		x.out.Reset()
		h, body, _ := ParseHeader(d)
		x.t.Receive(x.now, h, body, &x.out)
	}
}

// A message through the channel: queued, sent, acknowledged.
func BenchmarkChannelStep(b *testing.B) {
	b.ReportAllocs()
	ch, out, m := newChannel(channelConfig()), Out{}, number(1)
	for b.Loop() {
		out.Reset()
		ch.enqueue(m, HELLO)
		ch.transmit(epoch, &out)
		ch.acknowledge(epoch, ch.una+1)
	}
}

// An incoming call from ICRQ to the acknowledgement of its ICCN, and its CDN, both
// ends counted.
func BenchmarkCallSetup(b *testing.B) {
	b.ReportAllocs()
	p := newPair(b, testConfig(LAC), testConfig(LNS), 1)
	p.do(p.lac, (*Tunnel).Open)
	p.run(time.Second)
	for b.Loop() {
		c, err := p.lac.t.PlaceCall(p.now, 7, &CallParams{Serial: 1}, &p.lac.out)
		if err != nil {
			b.Fatal(err)
		}
		p.settle(p.lac)
		p.run(100 * time.Millisecond)
		p.do(p.lac, func(t *Tunnel, now time.Time, out *Out) { t.HangUp(now, c, Result{Code: 1}, out) })
		p.run(100 * time.Millisecond)
		p.lac.events, p.lns.events, p.lns.calls = p.lac.events[:0], p.lns.events[:0], p.lns.calls[:0]
	}
}
