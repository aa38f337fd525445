package cli

import (
	"context"
	"time"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) capturesCommands() []command {
	return []command{{
		words: "show captures", help: "Show the captures that are on, who asked for them, and what they cost",
		run: func(ctx context.Context, _ string) error { return a.showCaptures(ctx) },
	}}
}

type jsonCapture struct {
	SID      uint32 `json:"sid"`
	User     string `json:"user"`
	Calling  string `json:"calling"`
	LAC      string `json:"lac"`
	Secrets  bool   `json:"secrets"`
	By       string `json:"by"`
	Since    moment `json:"since"`
	Sessions uint32 `json:"sessions"`
	Packets  uint64 `json:"packets"`
	Dropped  uint64 `json:"dropped"`
}

func (a *app) showCaptures(ctx context.Context) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.ListCaptures(ctx, &lnsv1.ListCapturesRequest{})
		if err != nil {
			return err
		}
		if a.json {
			l := &jsonList{w: a.env.Out}
			for _, x := range reply.Captures {
				err := l.item(jsonCapture{
					SID: x.Of.GetSid(), User: x.Of.GetUser(), Calling: x.Of.GetCalling(), LAC: x.Of.GetLac(), Secrets: x.Of.GetSecrets(),
					By: x.By, Since: moment(x.Since), Sessions: x.Sessions, Packets: x.Packets, Dropped: x.Dropped,
				})
				if err != nil {
					return err
				}
			}
			return l.end()
		}
		t := &table{w: a.env.Out, columns: []column{
			{"Of", 30, false}, {"Sessions", 8, true}, {"Packets", 10, true}, {"Dropped", 10, true}, {"Secrets", 7, false},
			{"Since", 19, false}, {"By", 0, false}}}
		for _, x := range reply.Captures {
			err := t.row(captureOf(x.Of), count(uint64(x.Sessions)), count(x.Packets), count(x.Dropped), yesNo(x.Of.GetSecrets()),
				time.Unix(0, x.Since).UTC().Format(time.DateTime), x.By)
			if err != nil {
				return err
			}
		}
		return t.head()
	})
}

// captureOf says what is captured in the words of the command.
func captureOf(r *lnsv1.CaptureRequest) string {
	switch {
	case r.GetSid() != 0:
		return "session " + count(uint64(r.GetSid()))
	case r.GetUser() != "":
		return "user " + r.GetUser()
	case r.GetCalling() != "":
		return "calling " + r.GetCalling()
	}
	return "lac " + r.GetLac()
}
