package l2tp

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// bench drives one tunnel by hand: it plays the peer.
type bench struct {
	tb     testing.TB
	t      *Tunnel
	now    time.Time
	out    Out
	ns     uint16 // of the next message from the peer
	ackAll bool   // the peer acknowledges whatever was sent
}

const (
	benchID     = 0x1111 // the tunnel's id
	benchPeerID = 0x2222
)

func newBench(tb testing.TB, cfg *Config) *bench {
	return &bench{tb: tb, t: NewTunnel(cfg, benchID, testRandom(3)), now: epoch, ackAll: true}
}

// body is the AVPs of a well-formed message of type typ from the peer, whose
// session id is 0x77.
func body(typ MessageType, add ...func(*builder)) []byte {
	w := newBuilder(nil, typ, 0, 0, hider{})
	switch typ {
	case SCCRQ, SCCRP:
		w.uint16(avpProtocolVersion, l2tpVersion)
		w.text(avpHostName, "peer")
		w.uint32(avpFramingCaps, 3)
		w.uint32(avpBearerCaps, 3)
		w.uint16(avpAssignedTunnelID, benchPeerID)
	case StopCCN:
		w.uint16(avpAssignedTunnelID, benchPeerID)
		w.result(&Result{Code: StopClear})
	case ICRQ:
		w.icrq(0x77, &CallParams{Serial: 1})
	case OCRQ:
		w.ocrq(0x77, &CallParams{Serial: 1, CalledNumber: "1"})
	case ICRP, OCRP:
		w.uint16(avpAssignedSessionID, 0x77)
	case ICCN, OCCN:
		w.connected(&CallParams{TxSpeed: 1, FramingType: 1})
	case CDN:
		w.result(&Result{Code: CDNLostCarrier})
		w.uint16(avpAssignedSessionID, 0x77)
	case WEN:
		w.callErrors(CallErrors{CRC: 1})
	case SLI:
		w.accm(ACCM{Send: 1})
	}
	for _, f := range add {
		f(&w)
	}
	return w.b[controlHeaderLen:]
}

// unknownBody is a message whose type is not known.
func unknownBody(typ uint16, mandatory bool) []byte {
	b := body(MessageType(typ))
	if !mandatory {
		b[0] &^= 0x80
	}
	return b
}

// acked is the Nr that acknowledges all that was sent.
func (b *bench) acked() uint16 {
	if !b.ackAll {
		return 0
	}
	return b.t.ch.una + uint16(b.t.ch.sent)
}

// recv gives the tunnel the peer's next message and returns what came of it.
func (b *bench) recv(session uint16, body []byte) string {
	b.out.Reset()
	h := Header{Flags: FlagControl | FlagLength | FlagSequence | version, TunnelID: benchID, SessionID: session,
		Length: uint16(controlHeaderLen + len(body)), Ns: b.ns, Nr: b.acked()}
	b.ns++
	b.t.Receive(b.now, h, body, &b.out)
	return b.effects()
}

// effects is what is in out, in short.
func (b *bench) effects() string {
	var parts []string
	for _, m := range b.out.Send {
		_, body, err := ParseHeader(m)
		if err != nil {
			b.tb.Fatal(err)
		}
		typ, _ := PeekType(body)
		s := typ.String()
		if typ == CDN || typ == StopCCN {
			var d message
			d.decode(body, b.t.cfg.Secret)
			r := d.result()
			s = fmt.Sprintf("%s(%d,%d)", s, r.Code, r.Error)
		}
		parts = append(parts, s)
	}
	for _, e := range b.out.Events {
		parts = append(parts, strings.Fields(describeEvent(e))[0])
	}
	for _, d := range b.out.Discarded {
		parts = append(parts, d.Reason.String())
	}
	return strings.Join(parts, " ")
}

var allMessages = []MessageType{SCCRQ, SCCRP, SCCCN, StopCCN, HELLO, OCRQ, OCRP, OCCN, ICRQ, ICRP, ICCN, CDN, WEN, SLI, CSUN, CSURQ}

// inTunnelState returns a tunnel in the given state.
func inTunnelState(tb testing.TB, cfg *Config, s TunnelState) *bench {
	b := newBench(tb, cfg)
	switch s {
	case WaitCtlReply:
		b.t.Open(b.now, &b.out)
	case WaitCtlConn:
		b.recv(0, body(SCCRQ))
	case Established:
		b.recv(0, body(SCCRQ))
		b.recv(0, body(SCCCN))
	case Closing:
		b.recv(0, body(SCCRQ))
		b.recv(0, body(SCCCN))
		b.recv(0, body(StopCCN))
	}
	if b.t.State() != s {
		tb.Fatalf("state is %v, not %v", b.t.State(), s)
	}
	return b
}

// Every (state, message) pair of RFC 2661 section 7.2.1. The golden file is the
// table: state, message, what is sent, events and discard reason, new state.
func TestTunnelStates(t *testing.T) {
	var table strings.Builder
	for _, role := range []Role{LNS, LAC} {
		for s := Idle; s <= Closing; s++ {
			fmt.Fprintf(&table, "%s, %s\n", [...]string{LNS: "LNS", LAC: "LAC"}[role], s)
			row := func(name string, m []byte) {
				b := inTunnelState(t, testConfig(role), s)
				effects := b.recv(0, m)
				fmt.Fprintf(&table, "  %-10s %-42s -> %s\n", name, effects, b.t.State())
			}
			for _, m := range allMessages {
				row(m.String(), body(m))
			}
			row("ZLB", nil)
			row("99, M", unknownBody(99, true))
			row("99, no M", unknownBody(99, false))
			row("no type", []byte{0x80, 8, 0, 0, 0, 9, 0, 1})
		}
	}
	checkGolden(t, "tunnel-states.txt", table.String())
}

// machine is one of the four call state machines and how to reach its states.
type machine struct {
	name   string
	role   Role
	reach  func(b *bench) *Call
	states []callState
}

var machines = []machine{
	{"LAC incoming (7.4.1)", LAC, func(b *bench) *Call {
		c, _ := b.t.PlaceCall(b.now, 5, &CallParams{Serial: 1}, &b.out)
		return c
	}, []callState{callWaitReply, callEstablished}},
	{"LNS incoming (7.4.2)", LNS, func(b *bench) *Call {
		b.recv(0, body(ICRQ))
		return b.out.Events[0].Call
	}, []callState{callRequested, callWaitConnect, callEstablished}},
	{"LAC outgoing (7.5.1)", LAC, func(b *bench) *Call {
		b.recv(0, body(OCRQ))
		return b.out.Events[0].Call
	}, []callState{callRequested, callWaitCSAnswer, callEstablished}},
	{"LNS outgoing (7.5.2)", LNS, func(b *bench) *Call {
		c, _ := b.t.PlaceCall(b.now, 5, &CallParams{Serial: 1}, &b.out)
		return c
	}, []callState{callWaitReply, callWaitConnect, callEstablished}},
}

// inCallState returns a tunnel with one call in state s.
func (m *machine) inCallState(tb testing.TB, s callState) (*bench, *Call) {
	b := inTunnelState(tb, testConfig(m.role), Established)
	c := m.reach(b)
	if c.state != s {
		switch c.state {
		case callRequested:
			b.t.AcceptCall(b.now, c, 5, &b.out)
		case callWaitReply:
			b.recv(5, body(map[Role]MessageType{LAC: ICRP, LNS: OCRP}[m.role]))
		}
	}
	if c.state != s {
		switch c.state {
		case callWaitConnect:
			b.recv(5, body(map[bool]MessageType{true: ICCN, false: OCCN}[c.Incoming]))
		case callWaitCSAnswer:
			b.t.ConnectCall(b.now, c, &CallParams{}, &b.out)
		}
	}
	if c.state != s {
		tb.Fatalf("%s: state is %v, not %v", m.name, c.state, s)
	}
	return b, c
}

// Every (state, message) pair of RFC 2661 sections 7.4 and 7.5.
func TestCallStates(t *testing.T) {
	calls := []MessageType{OCRQ, OCRP, OCCN, ICRQ, ICRP, ICCN, CDN, WEN, SLI}
	var table strings.Builder
	for i := range machines {
		m := &machines[i]
		fmt.Fprintf(&table, "%s, no call\n", m.name)
		for _, typ := range calls {
			b := inTunnelState(t, testConfig(m.role), Established)
			fmt.Fprintf(&table, "  %-5s %s\n", typ, b.recv(9, body(typ)))
		}
		for _, s := range m.states {
			fmt.Fprintf(&table, "%s, %s\n", m.name, s)
			for _, typ := range calls {
				b, c := m.inCallState(t, s)
				session := c.LocalID // 0 while the owner decides
				effects := b.recv(session, body(typ))
				fmt.Fprintf(&table, "  %-5s %-36s -> %s\n", typ, effects, c.State())
				if live := b.t.Calls() == 1; live != (c.state != callDown) {
					t.Errorf("%s, %s, %s: %d calls", m.name, s, typ, b.t.Calls())
				}
				if b.t.State() != Established {
					t.Errorf("%s, %s, %s: a message about a call cost the tunnel", m.name, s, typ)
				}
			}
		}
	}
	checkGolden(t, "call-states.txt", table.String())
}
