package ppp

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// cell is one cell of the published table: what to do, and the state after it.
type cell struct {
	do   []string
	next int
	dash bool
}

var eventsByName = map[string]event{
	"Up": evUp, "Down": evDown, "Open": evOpen, "Close": evClose, "TO+": evTOgood, "TO-": evTObad,
	"RCR+": evRCRgood, "RCR-": evRCRbad, "RCA": evRCA, "RCN": evRCN, "RTR": evRTR, "RTA": evRTA,
	"RUC": evRUC, "RXJ+": evRXJgood, "RXJ-": evRXJbad, "RXR": evRXR,
}

var actionNames = map[string]actions{
	"tld": tld, "irc": irc, "zrc": zrc, "scr": scr, "str": str, "sca": sca, "scn": scn,
	"sta": sta, "scj": scj, "ser": ser, "tlu": tlu, "tls": tls, "tlf": tlf,
}

// publishedTable reads the table as RFC 1661 section 4.1 prints it.
func publishedTable(t *testing.T) map[event]map[state]cell {
	t.Helper()
	text, err := os.ReadFile("testdata/rfc1661-4.1.txt")
	if err != nil {
		t.Fatal(err)
	}
	table := map[event]map[state]cell{}
	first := state(0)
	for line := range strings.Lines(string(text)) {
		name, row, ok := strings.Cut(line, "|")
		name = strings.TrimSpace(name)
		switch {
		case !ok:
			continue
		case name == "Events":
			if strings.Contains(row, "Req-Sent") {
				first = reqSent
			}
			continue
		}
		ev, known := eventsByName[name]
		if !known {
			continue
		}
		if table[ev] == nil {
			table[ev] = map[state]cell{}
		}
		for i, text := range strings.Fields(row) {
			table[ev][first+state(i)] = parseCell(t, text)
		}
	}
	return table
}

func parseCell(t *testing.T, text string) cell {
	t.Helper()
	if text == "-" {
		return cell{dash: true}
	}
	var c cell
	target := text
	if list, after, ok := strings.Cut(text, "/"); ok {
		c.do, target = strings.Split(list, ","), after
	}
	// The letters are footnotes.
	if _, err := fmt.Sscanf(strings.TrimRight(target, "prx"), "%d", &c.next); err != nil {
		t.Fatalf("cell %q: %v", text, err)
	}
	return c
}

func TestTransitionsAreThoseOfRFC1661(t *testing.T) {
	table := publishedTable(t)
	cells := 0
	for name, ev := range eventsByName {
		for s := range numStates {
			want, ok := table[ev][s]
			if !ok {
				t.Fatalf("%s in state %d is not in the published table", name, s)
			}
			cells++
			a := automaton{state: s}
			do, legal := a.transit(ev)
			if legal == want.dash {
				t.Errorf("%s in state %d: legal %v", name, s, legal)
			}
			if want.dash {
				if a.state != s || do != 0 {
					t.Errorf("%s in state %d: an illegal event changed something", name, s)
				}
				continue
			}
			var wantDo actions
			for _, n := range want.do {
				bit, known := actionNames[n]
				if !known {
					t.Fatalf("unknown action %q", n)
				}
				wantDo |= bit
			}
			if do != wantDo || a.state != state(want.next) {
				t.Errorf("%s in state %d: actions %b to state %d, want %b to state %d", name, s, do, a.state, wantDo, want.next)
			}
		}
	}
	if cells != 160 {
		t.Errorf("%d cells compared, want 160", cells)
	}
}

// TestEveryCellIsDone drives a real layer through every legal cell and looks at
// what comes out: one packet per sending action, the timer, the reports.
func TestEveryCellIsDone(t *testing.T) {
	sends := map[actions]int{scr: configureRequest, str: terminateRequest, sca: configureAck,
		scn: configureNak, sta: terminateAck, scj: codeReject}
	table := publishedTable(t)
	for name, ev := range eventsByName {
		for from, want := range table[ev] {
			t.Run(fmt.Sprintf("%s/%d", name, from), func(t *testing.T) {
				l, out := layerIn(from)
				request := appendAddress(nil, optIPAddress, address(offered().Peer))
				l.fire(step{now: time.Minute, out: out}, ipcp, stimulus{
					event:  ev,
					packet: packet{code: 99, id: 7, data: request, whole: []byte{99, 7, 0, 4}},
					answer: answer{code: configureNak, options: request},
				})
				wantCodes := map[int]bool{}
				for _, n := range want.do {
					if code, ok := sends[actionNames[n]]; ok {
						wantCodes[code] = true
					}
				}
				for _, f := range out.Send {
					_, payload, _ := ParseFrame(f)
					if code := int(payload[0]); !wantCodes[code] {
						t.Errorf("unexpected or repeated code %d", code)
					} else {
						delete(wantCodes, code)
					}
				}
				if len(wantCodes) > 0 {
					t.Errorf("codes %v were not sent", wantCodes)
				}
				checkReports(t, want, out)
				checkTimer(t, want, &l.automata[ipcp], from)
			})
		}
	}
}

// layerIn is a link whose IPCP is in the given state in the network phase.
func layerIn(s state) (*Link, *Out) {
	l := NewLink(lnsConfig(), seeded(1))
	l.phase = phaseNetwork
	l.automata[lcp].state = opened
	l.lcp.begin(&l.env)
	l.ipcp.offer(offered())
	l.automata[ipcp] = automaton{state: s, restart: 1}
	if s.timed() {
		l.automata[ipcp].timer = time.Second
	}
	return l, &Out{}
}

func checkReports(t *testing.T, want cell, out *Out) {
	t.Helper()
	var wantEvents []EventKind
	for _, n := range want.do {
		switch n {
		case "tlu":
			wantEvents = append(wantEvents, IPv4Up)
		case "tld":
			wantEvents = append(wantEvents, IPv4Down)
		}
	}
	var got []EventKind
	for _, e := range out.Events {
		got = append(got, e.Kind)
	}
	if fmt.Sprint(got) != fmt.Sprint(wantEvents) {
		t.Errorf("reports %v, want %v", got, wantEvents)
	}
}

// checkTimer: only scr, str and zrc start the timer, and it runs only in the
// states that have TO events.
func checkTimer(t *testing.T, want cell, a *automaton, from state) {
	t.Helper()
	restarted := false
	for _, n := range want.do {
		restarted = restarted || n == "scr" || n == "str" || n == "zrc"
	}
	next := state(want.next)
	if want.dash {
		next = from
	}
	var expect time.Duration
	switch {
	case restarted:
		expect = time.Minute + 3*time.Second
	case next >= closing && next <= ackSent && from.timed():
		expect = time.Second
	}
	if a.timer != expect {
		t.Errorf("timer %v, want %v", a.timer, expect)
	}
}

func TestRestartCountersBoundTheRequests(t *testing.T) {
	cfg := lnsConfig()
	cfg.MaxConfigure, cfg.MaxTerminate = 4, 3
	s := newSolo(t, cfg)
	s.start(nil)
	sent := 1
	for {
		got := s.runTo(s.link.Deadline())
		if len(got) == 1 && strings.HasPrefix(got[0], "LinkDown") {
			break
		}
		sent++
	}
	if sent != 4 || s.now != epoch().Add(12*time.Second) {
		t.Errorf("%d Configure-Requests until %v, want 4 in 12 s", sent, s.now.Sub(epoch()))
	}

	s = newSolo(t, cfg)
	s.start(nil)
	s.link.Close(s.now, "", &s.out)
	sent = len(s.drain())
	for s.link.Phase() != "dead" {
		for _, line := range s.runTo(s.link.Deadline()) {
			if strings.Contains(line, "Terminate-Request") {
				sent++
			}
		}
	}
	if sent != 3 {
		t.Errorf("%d Terminate-Requests, want 3", sent)
	}
}
