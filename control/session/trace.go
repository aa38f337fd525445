package session

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// TraceMask is a set of trace categories. The bits are those of OpenL2TP, whose
// operators know the numbers.
type TraceMask uint16

// The categories.
const (
	// TraceProtocol: control messages, one line each.
	TraceProtocol TraceMask = 1 << iota
	// TraceFSM: events and state changes of tunnels, calls, sessions and PPP.
	TraceFSM
	// TraceAPI: what operators ask for.
	TraceAPI
	// TraceAVP: the attributes of control messages, by name.
	TraceAVP
	// TraceAVPHide: the hiding mechanism at work.
	TraceAVPHide
	// TraceAVPData: what attributes hold; secrets and hidden values left out.
	TraceAVPData
	// TraceFunc: what the engine does, step by step.
	TraceFunc
	// TraceXport: the reliable channel: Ns, Nr, retransmissions, windows.
	TraceXport
	// TraceData: where subscribers' packets are to be seen, which is a capture.
	TraceData
	// TraceSystem: what the parts of the daemon ask of each other.
	TraceSystem
	// TracePPP: PPP frames with their options.
	TracePPP

	// TraceAll is every category.
	TraceAll TraceMask = 1<<11 - 1
)

// traceNames are the names by bit, and traceAliases other ones that are understood.
var (
	traceNames   = [...]string{"protocol", "fsm", "api", "avp", "avp_hide", "avp_data", "func", "xprt", "data", "system", "ppp"}
	traceAliases = map[string]TraceMask{"ctl": TraceProtocol, "sys": TraceSystem, "avp.hidden": TraceAVPHide, "avp.data": TraceAVPData,
		"all": TraceAll, "none": 0}
)

// TraceCategories are the names of all categories, in the order of their bits.
func TraceCategories() []string { return append([]string(nil), traceNames[:]...) }

// String is the names of the categories, separated by commas.
func (m TraceMask) String() string {
	if m == TraceAll {
		return "all"
	}
	var names []string
	for i, n := range traceNames {
		if m&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ",")
}

// ParseTraceMask reads a mask: a number (decimal, or hexadecimal with 0x), or names
// and numbers separated by commas. Names may be written in capitals.
func ParseTraceMask(s string) (TraceMask, error) {
	var m TraceMask
	for _, word := range strings.Split(s, ",") {
		bits, err := parseTraceWord(strings.ToLower(strings.TrimSpace(word)))
		if err != nil {
			return 0, err
		}
		m |= bits
	}
	return m, nil
}

func parseTraceWord(word string) (TraceMask, error) {
	for i, n := range traceNames {
		if word == n || word == strings.ReplaceAll(n, "_", "-") {
			return 1 << i, nil
		}
	}
	if m, ok := traceAliases[word]; ok {
		return m, nil
	}
	n, err := strconv.ParseUint(word, 0, 16)
	if err != nil || TraceMask(n)&^TraceAll != 0 {
		return 0, fmt.Errorf("%q is no trace category: want a number up to %d, all, or some of %s",
			word, TraceAll, strings.Join(traceNames[:], ", "))
	}
	return TraceMask(n), nil
}

// TraceTarget says what is traced: the first field that is set, or everything when
// System is.
type TraceTarget struct {
	System  bool
	Slot    uint32
	Tunnel  uint16
	User    string
	Calling string
	LAC     netip.Addr
}

// Valid reports whether t names anything.
func (t TraceTarget) Valid() bool { return t != TraceTarget{} }

func (t TraceTarget) String() string {
	switch {
	case t.System:
		return "system"
	case t.Slot != 0:
		return "session " + strconv.FormatUint(uint64(t.Slot), 10)
	case t.Tunnel != 0:
		return "tunnel " + strconv.Itoa(int(t.Tunnel))
	case t.User != "":
		return "user " + t.User
	case t.Calling != "":
		return "calling " + t.Calling
	case t.LAC.IsValid():
		return "lac " + t.LAC.String()
	}
	return "nothing"
}

// Matches reports whether s is what t names.
func (t *TraceTarget) Matches(s *TraceSubject) bool {
	switch {
	case t.System:
		return true
	case t.Slot != 0:
		return t.Slot == s.Slot
	case t.Tunnel != 0:
		return t.Tunnel == s.TunnelID
	case t.User != "":
		return t.User == s.User
	case t.Calling != "":
		return t.Calling == s.Calling
	}
	return t.LAC.IsValid() && t.LAC == s.LAC.Addr().Unmap()
}

// TraceRule traces a target in some categories. Rules are not changed once made.
type TraceRule struct {
	ID uint32
	TraceTarget
	Mask TraceMask
	// Until is when the rule ends; zero is never.
	Until time.Time
	// By says who made it.
	By string
}

// TraceRules are the rules in force, and not changed.
type TraceRules []TraceRule

// Mask is what is to be traced of s. What a session does before its user is known
// counts for the rules of users, too: it may be found to be theirs.
func (r TraceRules) Mask(s *TraceSubject) (m TraceMask) {
	for i := range r {
		if r[i].Matches(s) || r[i].User != "" && s.User == "" && s.SessionID != 0 {
			m |= r[i].Mask
		}
	}
	return m
}

// TraceSubject is what a line of a trace is about; what does not apply is zero.
type TraceSubject struct {
	Ref
	Slot          uint32
	User, Calling string
	LAC           netip.AddrPort
	// Policy is the mask that the LAC's policy asks for.
	Policy TraceMask
}

// TraceLine is one line of a trace.
type TraceLine struct {
	At       time.Time
	Category TraceMask // one bit
	TraceSubject
	Text string
}
