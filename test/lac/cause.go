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
	causeLocal    = "local"     // we refused what the LNS sent
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

// failureOf describes why L2TP ended something. ofTunnel tells the two meanings of
// the result code apart, remote whose result it is.
func failureOf(stage string, r l2tp.Result, ofTunnel, remote bool) Failure {
	f := Failure{Stage: stage, Cause: causeCDN, Code: r.Code, Error: r.Error, Message: r.Message}
	f.Meaning = l2tp.CDNText(r.Code)
	if ofTunnel {
		f.Cause, f.Meaning = causeStopCCN, l2tp.StopText(r.Code)
	}
	if r.Error != l2tp.ErrorNone {
		f.Meaning += ": " + l2tp.ErrorText(r.Error)
	}
	switch {
	case ofTunnel && r.Code == l2tp.StopError && r.Error == l2tp.ErrorNoTunnel:
		// What the reliable channel reports when nobody answers.
		return Failure{Stage: stage, Cause: causeSilent}
	case !remote && !ofTunnel && r.Code == l2tp.CDNTimeout:
		return Failure{Stage: stage, Cause: causeTimeout}
	case !remote:
		f.Cause = causeLocal
	}
	return f
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
