package maps

import (
	"fmt"
	"testing"
	"time"
)

// throttled returns the movement of what a slot lost by its rate.
func throttled(slot int, dir string, bytes int) []string {
	return []string{fmt.Sprintf("slot %d throttled %s +1 +%d bytes", slot, dir, bytes)}
}

// limited installs the subscriber's session with limits.
func limited(up, down Limit) func(*world, *testing.T) {
	return func(w *world, t *testing.T) {
		s := session6()
		s.Up, s.Down = up, down
		w.install(t, s)
	}
}

// throttleCases are sessions that may send nothing yet, and others.
func throttleCases() []testCase {
	none, much := Limit{Bits: 1000}, Limit{Bits: 1e9, Burst: time.Second}
	across, answer := toAnother(header{}, 100), toSubscriber(90)
	return []testCase{
		{name: "what is beyond the rate upwards is dropped", in: uplinkFrame(inner), reason: "drop_throttle",
			slot: throttled(7, "up", len(inner)), with: limited(none, Limit{})},
		{name: "and downwards", dev: "core0", in: downlinkFrame(answer), reason: "drop_throttle",
			slot: throttled(7, "down", len(answer)), with: limited(Limit{}, none)},
		{name: "what is within it is sent", in: uplinkFrame(inner), reason: "sent_up", out: toCore(inner),
			slot: counted(7, "up", len(inner)), with: limited(much, none)},
		{name: "the other direction is not held", in: uplinkFrame(inner), reason: "sent_up", out: toCore(inner),
			slot: counted(7, "up", len(inner)), with: limited(Limit{}, none)},
		{name: "what the slow path gets is not judged", in: uplinkFrame(header{src: subscriber, dst: server, protocol: 17, ttl: 1}.packet(nil)),
			reason: "punt_ttl", with: limited(none, none)},
		{name: "a subscriber's rate holds towards another", in: uplinkFrame(across), reason: "drop_throttle",
			slot: throttled(7, "up", len(across)), with: func(w *world, t *testing.T) { facing(nil)(w, t); limited(none, Limit{})(w, t) }},
		{name: "and so does the other's", in: uplinkFrame(across), reason: "drop_throttle",
			slot: throttled(8, "down", len(across)), with: facing(func(s *Session) { s.Down = none })},
	}
}

func TestThrottle(t *testing.T) {
	w := newWorld(t)
	runCases(t, w, reached{}, throttleCases())
}
