package maps

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// The program's return values.
const (
	xdpDrop     = 1
	xdpPass     = 2
	xdpRedirect = 4
)

var xdpNames = map[uint32]string{0: "ABORTED", xdpDrop: "DROP", xdpPass: "PASS", 3: "TX", xdpRedirect: "REDIRECT"}

// xdpMD is the context of a test run: struct xdp_md.
type xdpMD struct {
	Data, DataEnd, DataMeta uint32
	IngressIfindex          uint32
	RxQueueIndex            uint32
	EgressIfindex           uint32
}

// run sends one frame through the program as if dev had received it.
func (w *world) run(t testing.TB, dev string, frame []byte) (uint32, []byte) {
	t.Helper()
	return w.runMeta(t, dev, frame, 0)
}

// runMeta is run with meta bytes of headroom taken by metadata.
func (w *world) runMeta(t testing.TB, dev string, frame []byte, meta int) (uint32, []byte) {
	t.Helper()
	in := append(make([]byte, meta), frame...)
	out := make([]byte, len(in)+256)
	opts := &ebpf.RunOptions{
		Data: in, DataOut: out, Repeat: 1,
		Context: &xdpMD{
			Data: uint32(meta), DataEnd: uint32(len(in)), IngressIfindex: uint32(w.ifindex(dev)),
		},
	}
	verdict, err := w.m.objs.LnsXdp.Run(opts)
	if errors.Is(err, unix.EINVAL) && meta > 32 {
		t.Skipf("this kernel takes no %d bytes of metadata in a test run; old ones take 32", meta)
	}
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	if verdict == xdpPass { // what comes back begins with the metadata
		return verdict, opts.DataOut[meta:]
	}
	return verdict, opts.DataOut
}

// snapshot is every counter there is.
type snapshot struct {
	tallies []Tally
	usage   []Usage
	echo    []uint64 // when each slot's last echo was answered
}

func (w *world) snapshot(t testing.TB) snapshot {
	t.Helper()
	tallies, err := w.m.Reasons()
	if err != nil {
		t.Fatal(err)
	}
	s := snapshot{tallies: tallies}
	for slot := range w.m.cfg.Sessions + 1 {
		s.usage = append(s.usage, w.m.Usage(slot))
		s.echo = append(s.echo, w.m.EchoSeen(slot))
	}
	return s
}

// moved lists the counters that differ from the ones before, one text each.
func (s snapshot) moved(before snapshot) []string {
	var list []string
	for i, t := range s.tallies {
		b := before.tallies[i]
		if t != b {
			list = append(list, fmt.Sprintf("%s +%d +%d bytes", t.Name, t.Packets-b.Packets, t.Bytes-b.Bytes))
		}
	}
	for slot, u := range s.usage {
		b := before.usage[slot]
		list = append(list, flowMoved(fmt.Sprintf("slot %d up", slot), u.Up, b.Up)...)
		list = append(list, flowMoved(fmt.Sprintf("slot %d down", slot), u.Down, b.Down)...)
		for dir, now := range map[string][2]uint64{"up": {u.ThrottledUp, b.ThrottledUp}, "down": {u.ThrottledDown, b.ThrottledDown}} {
			if was := now[1]; now[0] != was {
				list = append(list, fmt.Sprintf("slot %d throttled %s +%d", slot, dir, now[0]-was))
			}
		}
		list = append(list, shareMoved(slot, u.IPv6, b.IPv6)...)
		if s.echo[slot] != before.echo[slot] {
			list = append(list, fmt.Sprintf("slot %d echo seen", slot))
		}
	}
	return list
}

func flowMoved(name string, now, before Flow) []string {
	var list []string
	if now.Packets != before.Packets || now.Bytes != before.Bytes {
		seen := "unseen"
		if now.LastSeen != 0 {
			seen = "seen"
		}
		list = append(list, fmt.Sprintf("%s +%d +%d bytes %s", name, now.Packets-before.Packets, now.Bytes-before.Bytes, seen))
	}
	for cause, n := range now.Drops {
		if d := n - before.Drops[cause]; d != 0 {
			list = append(list, fmt.Sprintf("%s drop cause %d +%d", name, cause, d))
		}
	}
	return list
}

// reached collects the reasons that any case has ended with.
type reached map[string]bool

// testCase is one packet in a known state. The zero out means: unchanged for a
// packet that is passed, anything for one that is dropped.
type testCase struct {
	name   string // a sentence
	dev    string // received by; "" means lac0
	in     []byte
	reason string
	out    []byte
	slot   []string // counters of slots that must move, and no others
	meta   int
	with   func(w *world, t *testing.T) // state beyond the subscriber's session
}

// check runs a case in a world where the subscriber's session is installed.
func (c testCase) check(t *testing.T, w *world, seen reached) {
	t.Helper()
	if c.dev == "" {
		c.dev = "lac0"
	}
	if c.with != nil {
		c.with(w, t)
	}
	before := w.snapshot(t)
	verdict, out := w.runMeta(t, c.dev, c.in, c.meta)
	moved := w.snapshot(t).moved(before)

	want := append([]string{fmt.Sprintf("%s +1 +%d bytes", c.reason, len(c.in))}, c.slot...)
	if got := strings.Join(moved, "; "); got != strings.Join(want, "; ") {
		t.Errorf("counters moved: %s\nwant: %s", got, strings.Join(want, "; "))
	}
	wantVerdict := map[Verdict]uint32{Sent: xdpRedirect, Passed: xdpPass, Dropped: xdpDrop}[verdictOf(c.reason)]
	if verdict != wantVerdict {
		t.Errorf("verdict %s, want %s", xdpNames[verdict], xdpNames[wantVerdict])
	}
	switch {
	case verdict == xdpPass && c.out == nil:
		compare(t, out, c.in)
	case verdict == xdpRedirect:
		compare(t, out, c.out)
	}
	seen[c.reason] = true
}

// compare fails with a dump of both frames and the first byte that differs.
func compare(t testing.TB, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	t.Errorf("packet differs from byte %d (%d bytes, want %d)\ngot\n%s\nwant\n%s",
		at, len(got), len(want), hex.Dump(got), hex.Dump(want))
}

// counted returns the movement of a slot's flow for n packets forwarded.
func counted(slot int, dir string, bytes int) []string {
	return []string{fmt.Sprintf("slot %d %s +1 +%d bytes seen", slot, dir, bytes)}
}

// dropped returns the movement of a slot's drops.
func dropped(slot int, dir string, cause Cause) []string {
	return []string{fmt.Sprintf("slot %d %s drop cause %d +1", slot, dir, cause)}
}

// runCases runs cases as subtests with the subscriber's session installed.
func runCases(t *testing.T, w *world, seen reached, cases []testCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			w.enter(t)
			w.install(t, subscriberSession())
			c.check(t, w, seen)
		})
	}
}
