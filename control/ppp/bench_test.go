package ppp

import (
	"testing"
	"time"
)

// BenchmarkLink is a whole link from Start to IPv4Up, both ends.
func BenchmarkLink(b *testing.B) {
	for _, method := range []Auth{PAP, CHAPMD5, MSCHAPv2} {
		b.Run(method.String(), func(b *testing.B) {
			lns, client := lnsConfig(method), clientConfig(method)
			random := seeded(1)
			var w wire
			b.ReportAllocs()
			for b.Loop() {
				w.links[0], w.links[1] = NewLink(lns, random), NewLink(client, random)
				w.run(b)
			}
		})
	}
}

// wire is a pair without a log, for measuring.
type wire struct {
	links [2]*Link
	outs  [2]Out
	// buf holds the frames on their way to each end, which are cut from data.
	frames [2][][]byte
	data   []byte
	up     int
}

func (w *wire) run(b *testing.B) {
	now := epoch()
	w.up, w.data = 0, w.data[:0]
	for i := range w.links {
		w.links[i].Start(now, nil, &w.outs[i])
		w.flush(i, now)
	}
	for len(w.frames[0])+len(w.frames[1]) > 0 {
		for i := range w.links {
			frames := w.frames[i]
			w.frames[i] = nil
			for _, f := range frames {
				w.links[i].Receive(now, f, &w.outs[i])
				w.flush(i, now)
			}
		}
	}
	if w.up != 2 {
		b.Fatal("the link did not come up")
	}
}

func (w *wire) flush(i int, now time.Time) {
	out := &w.outs[i]
	for _, f := range out.Send {
		start := len(w.data)
		w.data = append(w.data, f...)
		w.frames[1-i] = append(w.frames[1-i], w.data[start:len(w.data):len(w.data)])
	}
	verdict := AuthVerdict{OK: true, IPv4: offered()}
	asked := false
	for _, ev := range out.Events {
		switch ev.Kind {
		case IPv4Up:
			w.up++
		case AuthRequested:
			asked = true
			if ev.Auth.Method == MSCHAPv2 {
				verdict.Message, _ = VerifyMSCHAPv2(ev.Auth.Name, ev.Auth.Challenge, ev.Auth.Response, "secret")
			}
		}
	}
	out.Reset()
	if asked {
		w.links[i].Authenticated(now, verdict, out)
		w.flush(i, now)
	}
}

func BenchmarkEcho(b *testing.B) {
	p := newPair(lnsConfig(PAP), clientConfig(PAP))
	p.start(nil)
	request := frameOf(ProtoLCP, echoRequest, 1, 1, 2, 3, 4, 0xAA)
	b.ReportAllocs()
	for b.Loop() {
		p.lns.link.Receive(p.now, request, &p.lns.out)
		p.lns.out.Reset()
	}
}

func BenchmarkParseFrame(b *testing.B) {
	frame := frameOf(ProtoLCP, echoRequest, 1, 1, 2, 3, 4)
	b.ReportAllocs()
	for b.Loop() {
		ParseFrame(frame)
	}
}
