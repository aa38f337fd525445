package lac

import (
	"cmp"
	"slices"
	"strings"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

// The causes of failures, besides those that causeOfLink names.
const (
	causeStopCCN  = "stopccn"   // the LNS ended the tunnel
	causeCDN      = "cdn"       // the LNS ended the call
	causeSilent   = "silent"    // the LNS does not acknowledge
	causeTimeout  = "timeout"   // not up within Config.Timeout
	causeNoTunnel = "no_tunnel" // the session's tunnel failed
	causeProxy    = "proxy"     // the local negotiation before the call failed
	causeIDs      = "call"      // the call could not be placed
)

// The stages at which something fails.
const (
	stageTunnel = "tunnel"
	stageCall   = "call"
	stageLCP    = "lcp"
	stageAuth   = "auth" // and IPCP, until the address
	stageUp     = "up"
)

// causeOfLink names why a link went down.
func causeOfLink(c ppp.Cause) string { return strings.ReplaceAll(c.String(), " ", "_") }

// Result codes of RFC 2661 section 4.4.2.
var (
	stopMeanings = [...]string{1: "general request to clear", 2: "general error", 3: "control channel already exists",
		4: "not authorized", 5: "protocol version not supported", 6: "shutting down", 7: "finite state machine error"}
	cdnMeanings = [...]string{1: "loss of carrier", 2: "error", 3: "administrative reasons",
		4: "temporary lack of facilities", 5: "permanent lack of facilities", 6: "invalid destination",
		7: "no carrier", 8: "busy", 9: "no dial tone", 10: "not established in time by LAC", 11: "no framing detected"}
	errorMeanings = [...]string{1: "no control connection", 2: "wrong length", 3: "value out of range",
		4: "insufficient resources", 5: "invalid session id", 6: "vendor-specific error",
		7: "try another LNS", 8: "unknown mandatory AVP"}
)

// failureOf describes an L2TP result. ofTunnel tells the two meanings of the code
// apart.
func failureOf(stage string, r l2tp.Result, ofTunnel, remote bool) Failure {
	f := Failure{Stage: stage, Cause: causeCDN, Code: r.Code, Error: r.Error, Message: r.Message}
	meanings := cdnMeanings[:]
	if ofTunnel {
		f.Cause, meanings = causeStopCCN, stopMeanings[:]
	}
	if !remote {
		return Failure{Stage: stage, Cause: causeSilent, Message: r.Message}
	}
	f.Meaning = meaning(meanings, r.Code)
	if m := meaning(errorMeanings[:], r.Error); m != "" {
		f.Meaning += ": " + m
	}
	return f
}

func meaning(table []string, code uint16) string {
	if int(code) < len(table) {
		return table[code]
	}
	return ""
}

// failures counts failures by kind; the keys have Count 0.
type failures map[Failure]int

func (fs failures) add(f Failure) {
	// A message with a number in it must not fill the memory.
	if len(fs) >= maxFailureKinds {
		f.Message = ""
	}
	fs[f]++
}

const maxFailureKinds = 1000

func (fs failures) merge(o failures) {
	for f, n := range o {
		fs[f] += n
	}
}

// sorted lists the failures, the most frequent first.
func (fs failures) sorted() []Failure {
	list := make([]Failure, 0, len(fs))
	for f, n := range fs {
		f.Count = n
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Cause, b.Cause),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Error, b.Error), cmp.Compare(a.Message, b.Message))
	})
	return list
}
