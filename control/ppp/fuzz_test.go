package ppp

import (
	"testing"
	"time"
)

// The corpora are in testdata/fuzz. A link under fuzzing must not panic, must keep
// the order of its events, must not answer one frame with a flood, and must come to
// an end once it is closed.

// fuzzPhase brings an LNS link and its client's successor into a phase: 0 establish,
// 1 authenticate, 2 owner asked, 3 network.
func fuzzPhase(cfg *Config, phase uint8) (*end, time.Time) {
	client := clientConfig(cfg.Auth...)
	client.IPv6CP = cfg.IPv6CP
	p := newPair(cfg, client)
	switch phase % 4 {
	case 0:
		p.lns.link.Start(p.now, nil, &p.lns.out)
		p.flush(p.lns, p.client)
	case 1:
		client.Auth = nil // never answers
		p.lns.link.Start(p.now, nil, &p.lns.out)
		p.lns.link.Receive(p.now, frameOf(ProtoLCP, configureAck, 1, p.lns.link.lcp.request(&p.lns.link.env, nil)...), &p.lns.out)
		p.lns.link.Receive(p.now, frameOf(ProtoLCP, configureRequest, 1), &p.lns.out)
		p.flush(p.lns, p.client)
	case 2:
		p.silent = true
		p.start(nil)
	default:
		p.start(nil)
	}
	return p.lns, p.now
}

// feed gives a link the frames of data, each led by its length, with one Timer call
// where the length is zero, then closes it.
func feed(t *testing.T, e *end, now time.Time, proto Protocol, data []byte) {
	l := e.link
	for len(data) > 0 {
		n := min(int(data[0]), len(data)-1)
		packet := data[1 : 1+n]
		data = data[1+n:]
		if n == 0 {
			if d := l.Deadline(); !d.IsZero() {
				now = d
				l.Timer(now, &e.out)
			}
		} else {
			frame := append([]byte{byte(proto >> 8), byte(proto)}, packet...)
			l.Receive(now, frame, &e.out)
			if len(e.out.Send) > 4 {
				t.Fatalf("one frame is answered with %d", len(e.out.Send))
			}
			total := 0
			for _, f := range e.out.Send {
				total += len(f)
			}
			if total > 1600+2*len(frame) {
				t.Fatalf("a frame of %d bytes is answered with %d bytes", len(frame), total)
			}
		}
		collect(t, e, now)
	}
	l.Close(now, "", &e.out)
	collect(t, e, now)
	for range 300 {
		d := l.Deadline()
		if d.IsZero() {
			break
		}
		now = d
		l.Timer(now, &e.out)
		collect(t, e, now)
	}
	if l.Phase() != "dead" {
		t.Fatalf("a closed link stays in phase %s", l.Phase())
	}
	checkEvents(t, e)
}

// collect answers the owner's part of the frames and checks what was sent.
func collect(t *testing.T, e *end, now time.Time) {
	for _, f := range e.out.Send {
		proto, payload, ok := ParseFrame(f)
		p, whole := parsePacket(payload)
		if !ok || !whole || len(p.whole) != len(payload) {
			t.Fatalf("sent a broken frame % x", f)
		}
		if proto != ProtoPAP && proto != ProtoCHAP && p.code >= configureRequest && p.code <= configureReject && !wellFormed(p.data) {
			t.Fatalf("sent broken options % x", f)
		}
	}
	asked := false
	for _, ev := range e.out.Events {
		e.events = append(e.events, ev)
		asked = asked || ev.Kind == AuthRequested
	}
	e.out.Reset()
	if asked {
		e.link.Authenticated(now, AuthVerdict{OK: true, IPv4: offered()}, &e.out)
		collect(t, e, now)
	}
}

func fuzzProtocol(f *testing.F, proto Protocol, auth ...Auth) {
	f.Fuzz(func(t *testing.T, phase uint8, data []byte) {
		if len(data) > 4096 {
			return
		}
		cfg := lnsConfig(auth...)
		cfg.IPv6CP, cfg.EchoInterval, cfg.EchoFailures = true, 10*time.Second, 3
		e, now := fuzzPhase(cfg, phase)
		feed(t, e, now, proto, data)
	})
}

func FuzzLCP(f *testing.F)      { fuzzProtocol(f, ProtoLCP, CHAPMD5, PAP) }
func FuzzPAP(f *testing.F)      { fuzzProtocol(f, ProtoPAP, PAP) }
func FuzzCHAP(f *testing.F)     { fuzzProtocol(f, ProtoCHAP, CHAPMD5) }
func FuzzMSCHAPv2(f *testing.F) { fuzzProtocol(f, ProtoCHAP, MSCHAPv2) }
func FuzzIPCP(f *testing.F)     { fuzzProtocol(f, ProtoIPCP, PAP) }
func FuzzIPV6CP(f *testing.F)   { fuzzProtocol(f, ProtoIPV6CP, PAP) }

// FuzzClient gives a client link whole frames from the start.
func FuzzClient(f *testing.F) {
	f.Fuzz(func(t *testing.T, method uint8, data []byte) {
		if len(data) > 4096 {
			return
		}
		cfg := clientConfig(PAP, CHAPMD5, MSCHAPv2)
		cfg.IPv6CP = true
		e := &end{name: "client", link: NewLink(cfg, seeded(uint64(method)))}
		e.link.Start(epoch(), nil, &e.out)
		if method%4 != 0 {
			e.link.Receive(epoch(), frameOf(ProtoLCP, configureAck, 1, e.link.lcp.request(&e.link.env, nil)...), &e.out)
			e.link.Receive(epoch(), frameOf(ProtoLCP, configureRequest, 1, appendAuth(nil, Auth(method%4))...), &e.out)
		}
		collect(t, e, epoch())
		protos := []Protocol{ProtoLCP, ProtoPAP, ProtoCHAP, ProtoIPCP, ProtoIPV6CP}
		feed(t, e, epoch(), protos[int(method>>2)%len(protos)], data)
	})
}

func FuzzParseFrame(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		p, payload, ok := ParseFrame(b)
		if !ok {
			if p != 0 || payload != nil {
				t.Fatal("a bad frame has a content")
			}
			return
		}
		if p&1 == 0 || p&0x100 != 0 || len(payload) >= len(b) {
			t.Fatalf("protocol %04x with %d of %d bytes", p, len(payload), len(b))
		}
		// Written out in full it reads the same.
		q, again, ok := ParseFrame(append([]byte{0xFF, 3, byte(p >> 8), byte(p)}, payload...))
		if !ok || q != p || string(again) != string(payload) {
			t.Fatalf("%04x reads back as %04x", p, q)
		}
	})
}

// FuzzProxy gives the LNS whatever a LAC may put into its AVPs.
func FuzzProxy(f *testing.F) {
	f.Fuzz(func(t *testing.T, policy, auth uint8, sent, received, challenge, response []byte) {
		cfg := lnsConfig(CHAPMD5, PAP, MSCHAPv2)
		cfg.Renegotiate = Renegotiate(policy % 3)
		e := &end{name: "lns", link: NewLink(cfg, seeded(1))}
		e.link.Start(epoch(), &Proxy{
			LastSent: sent, LastReceived: received, Auth: Auth(auth % 4), HasAuth: true,
			AuthChallenge: challenge, AuthResponse: response,
		}, &e.out)
		for _, ev := range e.out.Events {
			if ev.Kind == AuthRequested && !cfg.allows(ev.Auth.Method) {
				t.Fatalf("method %v was let in", ev.Auth.Method)
			}
		}
		collect(t, e, epoch())
		feed(t, e, epoch(), ProtoIPCP, nil)
	})
}
