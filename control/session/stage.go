package session

import "time"

// Stage is a part of a session's set-up. They follow each other; one may be skipped, as
// authentication is when a LAC's proxy authentication is taken.
type Stage uint8

// The stages.
const (
	// StageCall: from the ICRQ to the ICCN.
	StageCall Stage = iota
	// StageLCP: until LCP is open.
	StageLCP
	// StageAuth: until the subscriber is authenticated, with the wait for the
	// authenticator.
	StageAuth
	// StageNCP: until IPCP or IPV6CP is open and the forwarding path has confirmed.
	StageNCP
	// StageAll: from the ICRQ to the session being up.
	StageAll
	Stages
)

var stageText = [Stages]string{"call", "lcp", "auth", "ncp", "all"}

func (s Stage) String() string { return stageText[s] }

// StageTime is how long a session was in a stage of its set-up, which it left for the
// next one or, when it failed, for its end.
type StageTime struct {
	Stage  Stage
	Took   time.Duration
	Failed bool
}

// enter goes on to another state and notes how long the one before has lasted, until
// the session is up for the first time. To go back, or nowhere, is no step.
func (s *Session) enter(now time.Time, next state, out *Out) {
	before := s.state
	s.become(next, out)
	if s.started || before >= stateUp || next <= before {
		return
	}
	at := s.moment(now)
	took := time.Duration(at - max(s.stageAt, 1))
	s.took[stageOf(before)] = uint32(min(took.Microseconds(), 1<<32-1))
	out.Stages = append(out.Stages, StageTime{Stage: stageOf(before), Took: took, Failed: next >= stateClosing})
	if next == stateUp {
		out.Stages = append(out.Stages, StageTime{Stage: StageAll, Took: time.Duration(at - 1)})
	}
	s.stageAt = at
}

// Setup is when the call came, and how long the stages of set-up that are behind the
// session took, in microseconds.
func (s *Session) Setup() (since time.Time, took [StageAll]uint32) { return s.opened, s.took }

// become changes the state.
func (s *Session) become(next state, out *Out) {
	if out.trace && next != s.state {
		out.Moves = append(out.Moves, Move{stateText[s.state], stateText[next]})
	}
	s.state = next
}

// stateText is for traces; stateNames, for operators, has one word for the way out.
var stateText = [...]string{"call", "lcp", "auth", "ncp", "up", "closing", "done"}

func stageOf(s state) Stage {
	switch s {
	case stateCall:
		return StageCall
	case stateLCP:
		return StageLCP
	case stateAuth:
		return StageAuth
	default:
		return StageNCP
	}
}
