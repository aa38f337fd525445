package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) historyCommands() []command {
	what := arg{"WHAT", true, wordKind("session", "user", "tunnel", "failed")}
	return []command{
		{words: "show history", args: []arg{what, {"VALUE", true, kind{}}}, runs: a.showHistory,
			help: "Show what became of the last sessions, or the story of \"session SID\", \"user USER\" or \"tunnel TID\", or of what has \"failed\""},
		{words: "explain failure", args: []arg{{"USER", true, userKind()}}, runs: a.explainFailure,
			help: "Say where the last set-up of a user failed, why, and what to check; without USER the last that failed"},
	}
}

// historyRequest reads "session SID" and the like; whole says to print all there is.
func historyRequest(values []string) (r *lnsv1.StoriesRequest, whole bool, err error) {
	r = &lnsv1.StoriesRequest{}
	if len(values) == 0 {
		return r, false, nil
	}
	if values[0] == "failed" {
		r.Failed = true
		if len(values) > 1 {
			return nil, false, usageError{errors.New("show history failed takes no argument")}
		}
		return r, false, nil
	}
	if len(values) < 2 {
		return nil, false, usageError{fmt.Errorf("show history %s what?", values[0])}
	}
	switch values[0] {
	case "session":
		r.Sid, err = parseID(values[1], 1<<20)
	case "tunnel":
		r.TunnelId, err = parseID(values[1], 65535)
	default:
		r.User = values[1]
	}
	if err != nil {
		return nil, false, usageError{fmt.Errorf("%s: %w", values[0], err)}
	}
	return r, true, nil
}

func (a *app) showHistory(ctx context.Context, values []string) error {
	r, whole, err := historyRequest(values)
	if err != nil {
		return err
	}
	t := &table{w: a.env.Out, columns: []column{{"At", 12, false}, {"SID", 7, true}, {"User", 24, false}, {"LAC", 16, false},
		{"State", 8, false}, {"Stage", 6, false}, {"Reason", 0, false}}}
	list := &jsonList{w: a.env.Out}
	told := 0
	err = a.stories(ctx, r, func(s *lnsv1.Story) error {
		told++
		switch {
		case a.json:
			return list.item(jsonStoryOf(s))
		case whole:
			return a.tellStory(s, told > 1)
		}
		last := s.Events[len(s.Events)-1]
		return t.row(clock(last.At), sidText(s.Sid), or(s.User, "-"), or(s.LacName, s.Lac), s.State, or(s.Stage, "-"), repeatedText(s))
	})
	switch {
	case err != nil:
		return err
	case a.json:
		return list.end()
	case !whole:
		return t.head()
	case told == 0:
		return &callError{err: notFound("history of "+values[0], values[1])}
	}
	return nil
}

// explainFailure tells the last story that failed.
func (a *app) explainFailure(ctx context.Context, values []string) error {
	r := &lnsv1.StoriesRequest{Failed: true}
	name := "anybody"
	if len(values) > 0 {
		r.User, name = values[0], values[0]
	}
	var last *lnsv1.Story
	err := a.stories(ctx, r, func(s *lnsv1.Story) error {
		last = s
		return nil
	})
	switch {
	case err != nil:
		return err
	case last == nil:
		return &callError{err: notFound("failure of", name)}
	case a.json:
		return printJSON(a.env.Out, jsonStoryOf(last))
	}
	return a.tellStory(last, false)
}

func (a *app) stories(ctx context.Context, r *lnsv1.StoriesRequest, each func(*lnsv1.Story) error) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		stream, err := c.Stories(ctx, r)
		if err != nil {
			return err
		}
		for {
			reply, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			for _, s := range reply.Stories {
				if len(s.Events) == 0 {
					continue
				}
				if err := each(s); err != nil {
					return err
				}
			}
		}
	})
}

func sidText(sid uint32) string {
	if sid == 0 {
		return "-"
	}
	return count(uint64(sid))
}

func repeatedText(s *lnsv1.Story) string {
	if s.RepeatedFailures == 0 {
		return s.Reason
	}
	return fmt.Sprintf("%s (%d times more)", s.Reason, s.RepeatedFailures)
}

// tellStory prints all there is to know, behind an empty line if it is not the first.
func (a *app) tellStory(s *lnsv1.Story, more bool) error {
	if more {
		if _, err := fmt.Fprintln(a.env.Out); err != nil {
			return err
		}
	}
	fs := []field{{"User", or(s.User, "-")}, {"Session", sidText(s.Sid)}, {"Tunnel", sidText(s.TunnelId)},
		{"Account", or(s.AcctSessionId, "-")}, {"LAC", or(s.LacName, "-") + " " + s.Lac}, {"State", s.State}}
	if s.Stage != "" {
		fs = append(fs, field{"Failed at", s.Stage})
	}
	if s.Reason != "" {
		fs = append(fs, field{"Reason", repeatedText(s)})
	}
	if s.Check != "" {
		fs = append(fs, field{"Check", s.Check})
	}
	if err := fields(a.env.Out, fs); err != nil {
		return err
	}
	for _, e := range s.Events {
		line := fmt.Sprintf("  %s %-15s %s", fineClock(e.At), e.What, escape(e.Detail))
		if _, err := fmt.Fprintln(a.env.Out, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

type jsonStory struct {
	TunnelID      uint32           `json:"tunnel_id"`
	SessionID     uint32           `json:"session_id"`
	SID           uint32           `json:"sid"`
	User          string           `json:"user"`
	AcctSessionID string           `json:"acct_session_id"`
	LAC           string           `json:"lac"`
	LACName       string           `json:"lac_name"`
	State         string           `json:"state"`
	Stage         string           `json:"stage,omitempty"`
	Reason        string           `json:"reason,omitempty"`
	Check         string           `json:"check,omitempty"`
	Repeated      uint64           `json:"repeated"`
	Events        []jsonStoryEvent `json:"events"`
}

type jsonStoryEvent struct {
	At     moment `json:"at"`
	What   string `json:"what"`
	Detail string `json:"detail,omitempty"`
}

func jsonStoryOf(s *lnsv1.Story) jsonStory {
	x := jsonStory{
		TunnelID: s.TunnelId, SessionID: s.SessionId, SID: s.Sid, User: s.User, AcctSessionID: s.AcctSessionId,
		LAC: s.Lac, LACName: s.LacName, State: s.State, Stage: s.Stage, Reason: s.Reason, Check: s.Check, Repeated: s.RepeatedFailures,
	}
	for _, e := range s.Events {
		x.Events = append(x.Events, jsonStoryEvent{moment(e.At), e.What, e.Detail})
	}
	return x
}
