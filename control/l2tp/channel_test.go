package l2tp

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func channelConfig() *Config {
	return &Config{ReceiveWindow: 8, RetryInterval: time.Second, RetryCap: 8 * time.Second, MaxRetries: 5}
}

// number makes a message whose body is n.
func number(n uint32) []byte {
	b := binary.BigEndian.AppendUint32(appendControlHeader(nil, 1, 0, 0, 0), n)
	binary.BigEndian.PutUint16(b[offLength:], uint16(len(b)))
	return b
}

// port is one end of a channel in the model: what it was asked to send and what it
// has delivered, as plain lists.
type port struct {
	ch        channel
	out       Out
	asked     []uint32
	delivered []uint32
}

func (p *port) receive(tb rapid.TB, now time.Time, b []byte) {
	h, body, err := ParseHeader(b)
	if err != nil {
		tb.Fatalf("%x: %v", b, err)
	}
	p.ch.acknowledge(now, h.Nr)
	if len(body) == 0 {
		return
	}
	if p.ch.accept(h, body) != deliver {
		return
	}
	p.delivered = append(p.delivered, binary.BigEndian.Uint32(body))
	for {
		m, ok := p.ch.release()
		if !ok {
			return
		}
		p.delivered = append(p.delivered, binary.BigEndian.Uint32(m.body))
	}
}

// Two channels over a network that loses, repeats and reorders, with sequence
// numbers that wrap: what is delivered is a prefix of what was asked, always, and
// all of it once the network lets things through.
func TestChannelModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := &port{ch: newChannel(channelConfig())}, &port{ch: newChannel(channelConfig())}
		start := rapid.Uint16().Draw(rt, "start")
		if rapid.Bool().Draw(rt, "wrap") {
			start = 0xFFF8
		}
		a.ch.una, b.ch.nr = start, start
		a.ch.setPeerWindow(uint16(rapid.IntRange(1, 12).Draw(rt, "window")))
		b.ch.setPeerWindow(uint16(rapid.IntRange(1, 12).Draw(rt, "window")))
		ends := [2]*port{a, b}
		now, next := epoch, uint32(0)
		var net [2][][]byte // toward each end

		flush := func(i int) {
			p := ends[i]
			p.ch.transmit(now, &p.out)
			if p.ch.ackDue {
				p.ch.sendZLB(1, &p.out)
			}
			for _, m := range p.out.Send {
				net[1-i] = append(net[1-i], append([]byte(nil), m...))
			}
			p.out.Reset()
			if p.ch.next > int(p.ch.window) || p.ch.next > int(p.ch.cwnd) || p.ch.sent > len(p.ch.queue) || p.ch.cwnd < 1 ||
				p.ch.cwnd > p.ch.window {
				rt.Fatalf("next %d sent %d queue %d cwnd %d window %d", p.ch.next, p.ch.sent, len(p.ch.queue), p.ch.cwnd, p.ch.window)
			}
			if len(p.ch.held) > int(p.ch.rxWindow) {
				rt.Fatalf("%d messages held", len(p.ch.held))
			}
		}
		check := func() {
			for i, p := range ends {
				if q := ends[1-i]; len(p.delivered) > len(q.asked) || !slices.Equal(p.delivered, q.asked[:len(p.delivered)]) {
					rt.Fatalf("delivered %v of %v", p.delivered, q.asked)
				}
			}
		}
		arrive := func(i, k int) {
			m := net[i][k]
			net[i] = slices.Delete(net[i], k, k+1)
			ends[i].receive(rt, now, m)
			flush(i)
			check()
		}
		timer := func() {
			for i, p := range ends {
				now = now.Add(time.Millisecond)
				if p.ch.timedOut(now) && !p.ch.retransmit(now, &p.out) {
					p.ch.retries = 0 // the model's network is never down for good
					p.ch.retransmit(now, &p.out)
				}
				flush(i)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"send": func(rt *rapid.T) {
				i := rapid.IntRange(0, 1).Draw(rt, "end")
				for range rapid.IntRange(1, 5).Draw(rt, "n") {
					next++
					ends[i].asked = append(ends[i].asked, next)
					ends[i].ch.enqueue(number(next), HELLO)
				}
				flush(i)
			},
			"arrive": func(rt *rapid.T) {
				i := rapid.IntRange(0, 1).Draw(rt, "end")
				if len(net[i]) == 0 {
					rt.Skip()
				}
				arrive(i, rapid.IntRange(0, len(net[i])-1).Draw(rt, "which"))
			},
			"repeat": func(rt *rapid.T) {
				i := rapid.IntRange(0, 1).Draw(rt, "end")
				if len(net[i]) == 0 {
					rt.Skip()
				}
				net[i] = append(net[i], net[i][rapid.IntRange(0, len(net[i])-1).Draw(rt, "which")])
			},
			"lose": func(rt *rapid.T) {
				i := rapid.IntRange(0, 1).Draw(rt, "end")
				if len(net[i]) == 0 {
					rt.Skip()
				}
				net[i] = net[i][1:]
			},
			"wait": func(*rapid.T) {
				now = now.Add(9 * time.Second)
				timer()
			},
		})
		// The network recovers.
		for range 10_000 {
			if a.ch.idle() && b.ch.idle() && len(net[0])+len(net[1]) == 0 {
				break
			}
			if len(net[0])+len(net[1]) == 0 {
				now = now.Add(9 * time.Second)
				timer()
			}
			for i := range net {
				for len(net[i]) > 0 {
					arrive(i, 0)
				}
			}
		}
		if len(a.delivered) != len(b.asked) || len(b.delivered) != len(a.asked) {
			rt.Fatalf("delivered %d of %d and %d of %d", len(a.delivered), len(b.asked), len(b.delivered), len(a.asked))
		}
		if a.ch.una != start+uint16(len(a.asked)) {
			rt.Fatalf("Ns is %d after %d messages from %d", a.ch.una, len(a.asked), start)
		}
	})
}

// RFC 2661 section 5.8: the intervals double up to the cap, the Ns stays and the Nr
// is current; after the last one the peer is lost.
func TestRetransmitSchedule(t *testing.T) {
	for _, c := range []struct {
		name       string
		cap        time.Duration
		retries    int
		want       string // seconds
		lost, full time.Duration
	}{
		{"cap 8 s", 8 * time.Second, 5, "[1 3 7 15 23]", 31 * time.Second, 23 * time.Second},
		{"cap too low counts as 8 s", time.Second, 5, "[1 3 7 15 23]", 31 * time.Second, 23 * time.Second},
		{"cap 60 s", time.Minute, 5, "[1 3 7 15 31]", 63 * time.Second, 31 * time.Second},
		{"two tries", 8 * time.Second, 2, "[1 3]", 7 * time.Second, 3 * time.Second},
		{"defaults", 0, 0, "[1 3 7 15 23]", 31 * time.Second, 23 * time.Second},
	} {
		cfg := &Config{RetryCap: c.cap, MaxRetries: c.retries}
		ch, out := newChannel(cfg), Out{}
		ch.enqueue(number(1), HELLO)
		ch.transmit(epoch, &out)
		var at []int
		var now time.Time
		for i := 0; ; i++ {
			now = ch.deadline
			ch.nr = uint16(i) // something was received meanwhile
			out.Reset()
			if ch.timedOut(now.Add(-time.Nanosecond)) || !ch.timedOut(now) {
				t.Fatalf("%s: not due at its deadline", c.name)
			}
			if !ch.retransmit(now, &out) {
				break
			}
			if b := out.Send[0]; nsOf(b) != 0 || nrOf(b) != uint16(i) {
				t.Errorf("%s: Ns %d Nr %d, want 0 and %d", c.name, nsOf(b), nrOf(b), i)
			}
			at = append(at, int(now.Sub(epoch).Seconds()))
		}
		if got := fmt.Sprint(at); got != c.want || now.Sub(epoch) != c.lost || ch.cycle() != c.full {
			t.Errorf("%s: sent again at %s, lost at %v, cycle %v", c.name, got, now.Sub(epoch), ch.cycle())
		}
	}
}

// Appendix A: slow start from 1 up to ssthresh, then 1/cwnd for each ack, never more
// than the peer's window; half into ssthresh and back to 1 on a retransmission.
func TestSlowStart(t *testing.T) {
	ch, out := newChannel(channelConfig()), Out{}
	ch.setPeerWindow(8)
	for i := range 100 {
		ch.enqueue(number(uint32(i)), HELLO)
	}
	var got []uint16
	ack := func() {
		out.Reset()
		ch.acknowledge(epoch, ch.una+1)
		ch.transmit(epoch, &out)
		got = append(got, ch.cwnd)
	}
	ch.transmit(epoch, &out)
	if len(out.Send) != 1 {
		t.Fatalf("%d messages at first", len(out.Send))
	}
	for range 9 {
		ack()
	}
	if s := fmt.Sprint(got); s != "[2 3 4 5 6 7 8 8 8]" {
		t.Errorf("cwnd grew as %s", s)
	}
	got = nil
	out.Reset()
	ch.retransmit(ch.deadline, &out)
	if ch.ssthresh != 4 || ch.cwnd != 1 || len(out.Send) != 1 || nsOf(out.Send[0]) != ch.una {
		t.Errorf("after a timeout: ssthresh %d, cwnd %d, %d messages", ch.ssthresh, ch.cwnd, len(out.Send))
	}
	for range 20 {
		ack()
	}
	if s := fmt.Sprint(got); s != "[2 3 4 4 4 4 5 5 5 5 5 6 6 6 6 6 6 7 7 7]" {
		t.Errorf("cwnd grew as %s", s)
	}
}

// A window of n lets n messages out; ZLBs are not counted (section 5.8).
func TestWindowIsNotExceeded(t *testing.T) {
	for window := uint16(1); window <= 5; window++ {
		ch, out := newChannel(channelConfig()), Out{}
		ch.setPeerWindow(window)
		ch.cwnd = window
		for i := range 10 {
			ch.enqueue(number(uint32(i)), HELLO)
		}
		ch.transmit(epoch, &out)
		ch.transmit(epoch, &out)
		if len(out.Send) != int(window) {
			t.Errorf("window %d: %d messages", window, len(out.Send))
		}
		ch.sendZLB(1, &out)
		if got := nsOf(out.Send[len(out.Send)-1]); got != window {
			t.Errorf("window %d: the ZLB has Ns %d", window, got)
		}
		if s := ch.snapshot(); s.Unacked != int(window) || s.Queued != 10-int(window) || s.Ns != window {
			t.Errorf("%+v", s)
		}
	}
}

// Section 5.8: 32768 numbers up to the last received are duplicates; those ahead are
// kept within our window.
func TestAcceptBoundaries(t *testing.T) {
	for _, c := range []struct {
		nr, ns uint16
		want   verdict
	}{
		{16, 16, deliver}, {16, 15, duplicate}, {16, 0, duplicate}, {16, 65535, duplicate}, {16, 32784, duplicate},
		{16, 32783, tooFar}, {16, 17, hold}, {16, 23, hold}, {16, 24, tooFar},
		{0, 65535, duplicate}, {65535, 65535, deliver}, {65535, 0, hold}, {65535, 65534, duplicate}, {65535, 7, tooFar},
		{65535, 6, hold},
	} {
		ch := newChannel(channelConfig())
		ch.nr = c.nr
		if got := ch.accept(Header{Ns: c.ns}, nil); got != c.want {
			t.Errorf("Nr %d, Ns %d: %d, want %d", c.nr, c.ns, got, c.want)
		}
		if wantAck := c.want == deliver || c.want == duplicate; ch.ackDue != wantAck {
			t.Errorf("Nr %d, Ns %d: ack due %v", c.nr, c.ns, ch.ackDue)
		}
	}
}

// An Nr for what was never sent, or long ago, acknowledges nothing.
func TestBogusAcknowledgement(t *testing.T) {
	ch, out := newChannel(channelConfig()), Out{}
	ch.una = 100
	ch.enqueue(number(1), HELLO)
	ch.enqueue(number(2), HELLO)
	ch.transmit(epoch, &out) // one: cwnd is 1
	for _, nr := range []uint16{100, 99, 102, 103, 0, 40000} {
		ch.acknowledge(epoch, nr)
		if len(ch.queue) != 2 || ch.una != 100 {
			t.Fatalf("Nr %d was taken", nr)
		}
	}
	if ch.acknowledge(epoch, 101); len(ch.queue) != 1 || ch.una != 101 {
		t.Error("Nr 101 was not taken")
	}
}

// After a timeout an acknowledgement of later messages is still good: they need not
// go again.
func TestAckAfterGoingBack(t *testing.T) {
	ch, out := newChannel(channelConfig()), Out{}
	ch.setPeerWindow(4)
	ch.cwnd = 4
	for i := range 6 {
		ch.enqueue(number(uint32(i)), HELLO)
	}
	ch.transmit(epoch, &out)
	ch.retransmit(ch.deadline, &out)
	out.Reset()
	ch.acknowledge(epoch, 4)
	ch.transmit(epoch, &out)
	if len(out.Send) != 2 || nsOf(out.Send[0]) != 4 || ch.retries != 0 || ch.interval != time.Second {
		t.Errorf("%d sent, retries %d, interval %v", len(out.Send), ch.retries, ch.interval)
	}
	if s := ch.snapshot(); s.Retransmits != 1 {
		t.Errorf("%d retransmits", s.Retransmits)
	}
}

// A queue of thousands, as when many calls are placed at once, goes out in order and
// gives its memory back.
func TestLongQueue(t *testing.T) {
	ch, out := newChannel(channelConfig()), Out{}
	ch.setPeerWindow(64)
	const n = 70_000
	for i := range n {
		ch.enqueue(number(uint32(i)), HELLO)
	}
	want := uint32(0)
	for !ch.idle() {
		ch.transmit(epoch, &out)
		for _, b := range out.Send {
			if nsOf(b) != uint16(want) || binary.BigEndian.Uint32(b[controlHeaderLen:]) != want {
				t.Fatalf("message %d has Ns %d", want, nsOf(b))
			}
			want++
		}
		out.Reset()
		ch.acknowledge(epoch, uint16(want))
	}
	if want != n || cap(ch.queue) > 2*shortQueue {
		t.Errorf("%d messages, %d slots kept", want, cap(ch.queue))
	}
}
