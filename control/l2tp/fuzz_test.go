package l2tp

import (
	"bytes"
	"testing"
	"time"
)

// FuzzMessage decodes arbitrary AVPs; what was understood, written again, is
// understood the same.
func FuzzMessage(f *testing.F) {
	for _, typ := range allMessages {
		f.Add(body(typ), []byte("secret"))
	}
	h := newBuilder(nil, ICRQ, 0, 0, hider{[]byte("secret"), testRandom(1)})
	h.icrq(7, &CallParams{Serial: 9, CallingNumber: "55"})
	f.Add(h.b[controlHeaderLen:], []byte("secret"))
	f.Add(append(body(HELLO), 0x80, 5, 0, 0, 0, 0), []byte{})
	f.Add([]byte{0, 8, 0, 0, 0, 0, 1, 1}, []byte{})
	f.Fuzz(func(t *testing.T, b, secret []byte) {
		before := append([]byte(nil), b...)
		var m message
		m.decode(b, secret)
		if !bytes.Equal(before, b) {
			t.Fatal("decode wrote to its input")
		}
		PeekSCCRQ(b)
		PeekStopCCN(b)
		PeekTieBreaker(b)
		if typ, ok := PeekType(b); len(b) > 0 && ok != m.has(avpMessageType) || ok && typ != m.typ {
			t.Fatalf("peeked %v %v, decoded %v", typ, ok, m.typ)
		}
		if !m.has(avpMessageType) || m.fault.reaction != reactNone {
			return
		}
		// These read what decode has checked, so none may panic.
		m.result()
		m.peerInfo()
		request(&m)
		connected(&m)
		if m.has(avpCallErrors) {
			m.callErrors()
		}
		if m.has(avpACCM) {
			m.accm()
		}
		w := builder{}
		w.bytes(avpMessageType, m.values[avpMessageType])
		for id := avpMessageType + 1; id < avpCount; id++ {
			if m.has(id) {
				w.bytes(id, m.values[id])
			}
		}
		var again message
		again.decode(w.b, nil)
		if again.fault.reaction != reactNone || again.typ != m.typ {
			t.Fatalf("%x written again: %+v", w.b, again.fault)
		}
		for id := range avpCount {
			if m.has(id) != again.has(id) || !bytes.Equal(m.values[id], again.values[id]) {
				t.Fatalf("%s: %x became %x", avpTable[id].name, m.values[id], again.values[id])
			}
		}
	})
}

// fuzzStep is one thing that happens to a tunnel, taken from the fuzzer's octets.
func fuzzStep(b *bench, calls []*Call, op, arg byte, raw []byte) []*Call {
	switch op % 10 {
	case 0: // a well-formed message in order
		b.recv(uint16(arg>>4), body(allMessages[int(arg)%len(allMessages)]))
	case 1: // raw AVPs in order
		b.recv(uint16(arg), raw)
	case 2: // a well-formed message out of order
		ns := b.ns
		b.ns += uint16(int8(arg))
		b.recv(0, body(allMessages[int(arg)%len(allMessages)]))
		b.ns = ns
	case 3: // a type with raw AVPs behind it
		b.recv(uint16(arg>>4), append(body(allMessages[int(arg)%len(allMessages)]), raw...))
	case 4: // time passes
		b.now = b.now.Add(time.Duration(arg) * 200 * time.Millisecond)
		b.out.Reset()
		b.t.Timer(b.now, &b.out)
	case 5:
		b.out.Reset()
		if c, err := b.t.PlaceCall(b.now, uint16(arg), nil, &b.out); err == nil {
			calls = append(calls, c)
		}
	case 6:
		b.out.Reset()
		for _, c := range calls {
			b.t.AcceptCall(b.now, c, uint16(arg%16), &b.out)
		}
	case 7:
		b.out.Reset()
		if len(calls) > 0 {
			c := calls[int(arg)%len(calls)]
			b.t.ConnectCall(b.now, c, &CallParams{}, &b.out)
			b.t.SendSLI(b.now, c, ACCM{}, &b.out)
			b.t.SendWEN(b.now, c, CallErrors{}, &b.out)
			b.t.HangUp(b.now, c, Result{Code: 3}, &b.out)
		}
	case 8:
		b.out.Reset()
		b.t.Open(b.now, &b.out)
		b.ackAll = arg&1 != 0
	case 9:
		b.out.Reset()
		if arg < 8 {
			b.t.Close(b.now, Result{Code: StopClear}, &b.out)
		}
	}
	return calls
}

// FuzzTunnel lets anything happen to a tunnel, in any order, and holds it to what it
// promises its owner.
func FuzzTunnel(f *testing.F) {
	f.Add(false, []byte{0, 0, 0, 2, 0, 8, 6, 5, 0, 10}, []byte{})
	f.Add(true, []byte{8, 1, 0, 1, 5, 9, 0, 9, 0, 10, 4, 200, 7, 0, 9, 0}, []byte{0x80, 8, 0, 0, 0, 0, 0, 14})
	f.Add(true, []byte{8, 0, 4, 5, 4, 10, 4, 20, 4, 40, 4, 40, 4, 40}, []byte{})
	f.Add(false, []byte{0, 0, 0, 2, 2, 3, 2, 8, 3, 8, 1, 0}, []byte{0x84, 6, 0, 0, 0, 99})
	f.Fuzz(func(t *testing.T, lac bool, script, raw []byte) {
		role := LNS
		if lac {
			role = LAC
		}
		b := newBench(t, secretConfig(role))
		live := map[*Call]bool{}
		var calls []*Call
		closing, gone := 0, 0
		for ; len(script) >= 2; script = script[2:] {
			placed := len(calls)
			calls = fuzzStep(b, calls, script[0], script[1], raw)
			for _, c := range calls[placed:] {
				live[c] = true
			}
			for _, e := range b.out.Events {
				if gone > 0 {
					t.Fatalf("an event after TunnelGone: %+v", e)
				}
				switch e.Kind {
				case CallRequest:
					live[e.Call] = true
					calls = append(calls, e.Call)
				case CallDown:
					if !live[e.Call] {
						t.Fatal("CallDown of a call that is not live")
					}
					delete(live, e.Call)
				case TunnelClosing:
					if closing++; len(live) != 0 {
						t.Fatal("TunnelClosing before the calls are down")
					}
				case TunnelGone:
					gone++
				}
			}
			if closing > 1 || gone > 1 || gone > closing || b.t.Calls() != len(live) {
				t.Fatalf("closing %d, gone %d, %d calls, %d live", closing, gone, b.t.Calls(), len(live))
			}
			if len(b.out.Send) != len(b.out.Sent) {
				t.Fatal("Sent does not match Send")
			}
			for _, m := range b.out.Send {
				if _, _, err := ParseHeader(m); err != nil {
					t.Fatalf("sent %x: %v", m, err)
				}
			}
			if len(b.t.ch.held) > int(b.t.ch.rxWindow) || b.t.ch.next > int(b.t.ch.window) {
				t.Fatal("a window is exceeded")
			}
			if d := b.t.Deadline(); !d.IsZero() && !d.After(b.now) {
				b.out.Reset()
				if b.t.Timer(b.now, &b.out); len(b.out.Events) == 0 {
					if d := b.t.Deadline(); !d.IsZero() && !d.After(b.now) {
						t.Fatal("Timer leaves its deadline behind")
					}
				}
				for _, e := range b.out.Events {
					switch e.Kind {
					case CallDown:
						delete(live, e.Call)
					case TunnelClosing:
						closing++
					case TunnelGone:
						gone++
					}
				}
			}
		}
	})
}
