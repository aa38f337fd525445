package ppp

import (
	"fmt"
	"testing"
	"time"
)

// solo is a link whose peer is the test itself.
type solo struct {
	t    *testing.T
	link *Link
	now  time.Time
	out  Out
	// request is the last LCP Configure-Request that the link sent.
	request packet
}

func newSolo(t *testing.T, cfg *Config) *solo {
	return &solo{t: t, link: NewLink(cfg, seeded(3)), now: epoch()}
}

// networked is an LNS link in the network phase, its peer a client of this package
// that is then replaced by the test.
func networked(t *testing.T, lns *Config) *solo {
	t.Helper()
	client := clientConfig(lns.Auth...)
	client.IPv6CP = lns.IPv6CP
	p := newPair(lns, client)
	p.start(nil)
	if p.lns.link.Phase() != "network" {
		t.Fatalf("not networked:\n%s", p.log.String())
	}
	return &solo{t: t, link: p.lns.link, now: p.now}
}

func (s *solo) start(proxy *Proxy) []string {
	s.link.Start(s.now, proxy, &s.out)
	return s.drain()
}

// drain describes and forgets what the link wants done.
func (s *solo) drain() []string {
	var lines []string
	for _, f := range s.out.Send {
		lines = append(lines, describe(f))
		if p, payload, _ := ParseFrame(f); p == ProtoLCP && payload[0] == configureRequest {
			s.request, _ = parsePacket(append([]byte(nil), payload...))
		}
	}
	for _, ev := range s.out.Events {
		lines = append(lines, ev.Kind.String()+eventDetail(&end{link: s.link}, ev))
	}
	s.out.Reset()
	return lines
}

// send gives the link one packet and returns what it does.
func (s *solo) send(p Protocol, code, id uint8, data ...byte) []string {
	s.link.Receive(s.now, frameOf(p, code, id, data...), &s.out)
	return s.drain()
}

func frameOf(p Protocol, code, id uint8, data ...byte) []byte {
	n := 4 + len(data)
	return append([]byte{0xFF, 3, byte(p >> 8), byte(p), code, id, byte(n >> 8), byte(n)}, data...)
}

// runTo lets time pass to at and serves the timer there.
func (s *solo) runTo(at time.Time) []string {
	s.t.Helper()
	if at.IsZero() {
		s.t.Fatal("no deadline")
	}
	s.now = at
	s.link.Timer(s.now, &s.out)
	return s.drain()
}

// open acknowledges the link's last Configure-Request and sends one of its own.
func (s *solo) open(options ...byte) []string {
	lines := s.send(ProtoLCP, configureAck, s.request.id, s.request.data...)
	return append(lines, s.send(ProtoLCP, configureRequest, 1, options...)...)
}

// expect compares what the link did with what it should have done.
func (s *solo) expect(got []string, want ...string) {
	s.t.Helper()
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		s.t.Errorf("\n got %q\nwant %q", got, want)
	}
}
