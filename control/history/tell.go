package history

import (
	"slices"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// sortByLast puts stories into the order of their last events.
func sortByLast(all []session.Story) {
	last := func(s *session.Story) time.Time { return s.Events[len(s.Events)-1].At }
	slices.SortStableFunc(all, func(a, b session.Story) int { return last(&a).Compare(last(&b)) })
}

// tell makes a story of the notices.
func tell(x *entry) session.Story {
	n := &x.notices[len(x.notices)-1]
	s := session.Story{
		Ref: n.Ref, Slot: n.Slot, User: n.User, AcctSessionID: n.AcctSessionID, LAC: n.LAC, LACName: n.LACName,
		State: "up", Repeated: x.repeated,
	}
	switch {
	case x.failed:
		s.State, s.Stage, s.Reason = "failed", n.Stage, n.Detail
	case n.Kind == session.SessionDown || n.Kind == session.TunnelDown:
		s.State, s.Reason = "ended", n.Detail
	case n.Kind == session.LoginFailed:
		s.State = "in set-up"
	}
	if x.failed {
		s.Check = check(s.Stage, reasons(x))
	}
	stages := false
	for i := range x.notices {
		n := &x.notices[i]
		// The stages are known from the first notice on that has left them behind.
		if !stages && (n.Kind == session.SessionUp || n.Kind == session.SessionFailed) {
			stages = true
			s.Events = append(s.Events, stageEvents(n)...)
		}
		s.Events = append(s.Events, session.StoryEvent{At: n.At, What: n.Kind.String(), Detail: n.Detail})
	}
	slices.SortStableFunc(s.Events, func(a, b session.StoryEvent) int { return a.At.Compare(b.At) })
	return s
}

// stageNames say what is over at the end of a stage.
var stageNames = [session.StageAll]string{
	session.StageCall: "call-connected", session.StageLCP: "lcp-open", session.StageAuth: "authenticated", session.StageNCP: "network-open",
}

// stageEvents are the call and the stages that followed it, those that took no time
// left out.
func stageEvents(n *session.Notice) []session.StoryEvent {
	if n.Since.IsZero() {
		return nil
	}
	events := []session.StoryEvent{{At: n.Since, What: "call", Detail: "from " + n.LACName}}
	at := n.Since
	for stage, took := range n.Took {
		if n.Kind == session.SessionFailed && session.Stage(stage).String() == n.Stage {
			break // it was not left for the next
		}
		if took == 0 {
			continue
		}
		d := time.Duration(took) * time.Microsecond
		at = at.Add(d)
		events = append(events, session.StoryEvent{At: at, What: stageNames[stage], Detail: "after " + d.Round(time.Millisecond/10).String()})
	}
	return events
}
