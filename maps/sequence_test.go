package maps

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

// numbering is the state of the cases: the subscriber's session numbers its data,
// with these numbers next.
func numbering(send, expect uint32, change func(s *Session)) func(*world, *testing.T) {
	return func(w *world, t *testing.T) {
		replaceSession6(func(s *Session) {
			s.Policy.Flags |= FlagSequence | FlagNumbered
			if change != nil {
				change(s)
			}
		})(w, t)
		n := w.m.Sequence(7)
		n.Send.Store(send)
		n.Expect.Store(expect)
	}
}

// with is a data message with number ns in it.
func with(ns uint16, length bool, ppp, payload []byte) []byte {
	return fromPeer(l2tpData{sequence: true, ns: ns, length: length, offset: -1, ppp: ppp}.message(payload))
}

// judged are the numbers that a session which expects some takes, and what it
// expects then.
var judged = []struct {
	name         string
	expect, then uint32
	ns           uint16
	late         bool
}{
	{"the expected one", 5, 6, 5, false},
	{"the first", 0, 1, 0, false},
	{"one behind a gap", 5, 10, 9, false},
	{"the farthest ahead", 5, 5 + 0x8000, 5 + 0x7FFF, false},
	{"a copy of the last", 5, 5, 4, true},
	{"the oldest", 5, 5, 0x8005, true},
	{"the last of a round", 0xFFFF, 0x10000, 0xFFFF, false},
	{"the first of the next round", 0x10000, 0x10001, 0, false},
	{"one of the round before", 0x10002, 0x10002, 0xFFF0, true},
	{"the end of all rounds", 0xFFFFFFFF, 0, 0xFFFF, false},
}

func TestSequenceUp(t *testing.T) {
	w := newWorld(t)
	for _, c := range judged {
		for _, length := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s length %v", c.name, length), func(t *testing.T) {
				w.enter(t)
				w.install(t, subscriberSession())
				inner := fromSubscriber(20)
				run := testCase{in: with(c.ns, length, longPPP, inner), with: numbering(0, c.expect, nil),
					reason: "sent_up", out: toCore(inner), slot: counted(7, "up", len(inner))}
				if c.late {
					run.reason, run.out, run.slot = "drop_late", nil, dropped(7, "up", CauseMalformed)
				}
				run.check(t, w, reached{})
				if got := w.m.Sequence(7).Expect.Load(); got != c.then {
					t.Errorf("then %#x is expected, want %#x", got, c.then)
				}
			})
		}
	}
}

func sequenceCases() []testCase {
	inner, inner6 := fromSubscriber(20), udp6(sub6, server6, 9)
	s := session6()
	s.Policy.Flags |= FlagSequence | FlagNumbered
	down, down6 := toSubscriber(30), udp6(server6, sub6, 9)
	short := func(s *Session) { s.Policy.Flags &^= FlagLength }
	unlong := s
	short(&unlong)
	late := dropped(7, "up", CauseMalformed)
	own := func(s *Session) { s.Policy.Flags |= FlagEcho; s.Policy.Magic = ownMagic }
	return []testCase{
		{name: "data without a number has no place in the sequence", in: uplinkFrame(inner), with: numbering(0, 9, nil),
			reason: "sent_up", out: toCore(inner), slot: counted(7, "up", len(inner))},
		{name: "IPv6 that is in order", in: with(9, true, longPPP6, inner6), with: numbering(0, 9, nil),
			reason: "sent_up", out: toCore6(inner6), slot: counted6(7, "up", len(inner6))},
		{name: "IPv6 that is late", in: with(8, true, longPPP6, inner6), with: numbering(0, 9, nil), reason: "drop_late", slot: late},
		{name: "PPP's own frames are in the sequence", in: with(9, true, []byte{0xC0, 0x23}, data(9)), with: numbering(0, 9, nil), reason: "punt_ppp_control"},
		{name: "and late ones are dropped too", in: with(8, true, []byte{0xC0, 0x23}, data(9)), with: numbering(0, 9, nil), reason: "drop_late", slot: late},
		{name: "a stranger has no part in it", in: put16(with(8, true, longPPP, inner), atUDP, 17011), with: numbering(0, 9, nil),
			reason: "drop_peer", slot: dropped(7, "up", CausePeer)},
		{name: "a packet to the subscriber gets the next number", dev: "core0", in: downlinkFrame(down), with: numbering(0x1FFFE, 0, nil),
			reason: "sent_down", out: toPeerAs(s.Policy, 0xFFFE, down), slot: counted(7, "down", len(down))},
		{name: "also without the Length field", dev: "core0", in: downlinkFrame(down), with: numbering(3, 0, short),
			reason: "sent_down", out: toPeerAs(unlong.Policy, 3, down), slot: counted(7, "down", len(down))},
		{name: "and IPv6", dev: "core0", in: downlink6Frame(down6), with: numbering(4, 0, nil),
			reason: "sent_down", out: toPeerAs(s.Policy, 4, down6), slot: counted6(7, "down", len(down6))},
		{name: "and the answer to an echo", in: with(9, true, longLCP, request), with: numbering(5, 9, own), reason: "sent_echo",
			out: carriedAs(s.Policy, 0, 5, reply), slot: []string{"slot 7 echo seen"}},
	}
}

func TestSequence(t *testing.T) { runCases(t, newWorld(t), reached{}, sequenceCases()) }

// TestSequenceDown: numbers go on from packet to packet, and begin where the daemon
// says.
func TestSequenceDown(t *testing.T) {
	w := newWorld(t)
	w.install(t, subscriberSession())
	numbering(0xFFFE, 0, nil)(w, t)
	s := subscriberSession()
	s.Policy.Flags |= FlagSequence
	for _, ns := range []uint16{0xFFFE, 0xFFFF, 0, 1} {
		_, out := w.run(t, "core0", downlinkFrame(toSubscriber(9)))
		compare(t, out, toPeerAs(s.Policy, ns, toSubscriber(9)))
	}
	if n := w.m.Sequence(7).Send.Load(); n != 0x10002 {
		t.Errorf("next is %#x", n)
	}
	if w.m.Sequence(0) != nil || w.m.Sequence(65) != nil {
		t.Error("there are numbers of slots that do not exist")
	}
}

// TestSequenceAcross: a packet from one subscriber to another is judged by the one
// sequence and numbered by the other.
func TestSequenceAcross(t *testing.T) {
	w := newWorld(t)
	w.install(t, subscriberSession())
	facing(func(s *Session) { s.Policy.Flags |= FlagSequence | FlagNumbered })(w, t)
	numbering(0, 5, nil)(w, t)
	w.m.Sequence(8).Send.Store(77)
	inner := toAnother(header{}, 9)
	to := anotherSession()
	to.Policy.Flags |= FlagSequence
	testCase{in: with(6, true, longPPP, inner), reason: "sent_hairpin", out: toPeerAs(to.Policy, 77, inner),
		slot: slices.Concat(counted(7, "up", len(inner)), counted(8, "down", len(inner)))}.check(t, w, reached{})
	testCase{in: with(6, true, longPPP, inner), reason: "drop_late", slot: dropped(7, "up", CauseMalformed)}.check(t, w, reached{})
	if n := w.m.Sequence(8).Send.Load(); n != 78 {
		t.Errorf("next is %d", n)
	}
}

// TestSequenceRace: several senders of one session leave out no number and use none
// twice, and of many copies of one message one gets through.
func TestSequenceRace(t *testing.T) {
	w := newWorld(t)
	w.install(t, subscriberSession())
	numbering(0, 0, nil)(w, t)
	const workers, each = 4, 200
	var mu sync.Mutex
	sent, passed := map[string]int{}, 0
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			w.enter(t)
			for i := range each {
				_, out := w.run(t, "core0", downlinkFrame(toSubscriber(9)))
				verdict, _ := w.run(t, "lac0", with(uint16(i), true, longPPP, fromSubscriber(9)))
				mu.Lock()
				sent[string(out[14+20+8+8:][:2])]++
				if verdict == xdpRedirect {
					passed++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if n := w.m.Sequence(7); len(sent) != workers*each || n.Send.Load() != workers*each {
		t.Errorf("%d messages have %d numbers, and %d is next", workers*each, len(sent), n.Send.Load())
	}
	if n := w.m.Sequence(7).Expect.Load(); passed > each || n != each {
		t.Errorf("of %d numbers %d got through, %d is expected", each, passed, n)
	}
}
