package cli

import (
	"context"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) userCommands() []command {
	return []command{
		{words: "show users", alias: "user", arg: &arg{"USER", true, userKind()},
			help: "List the connected users, or show those of a name (* and ? allowed)", run: a.showUsers},
		{words: "drop user", arg: &arg{"USER", false, userKind()},
			help: "Disconnect every session of a user", flags: a.causeFlag, run: a.dropUser},
	}
}

func (a *app) showUsers(ctx context.Context, user string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		if user != "" {
			return a.showUser(ctx, c, user)
		}
		return a.listUsers(ctx, c)
	})
}

// listUsers prints a line for each session whose user is authenticated.
func (a *app) listUsers(ctx context.Context, c *api.Client) error {
	l := &jsonList{w: a.env.Out}
	t := &table{w: a.env.Out, columns: []column{
		{"Username", 32, false}, {"SID", 7, true}, {"IP", 15, false}, {"opened", 10, true}, {"State", 0, false}}}
	err := eachSession(ctx, c, &lnsv1.SessionsRequest{}, func(s *lnsv1.SessionInfo) error {
		switch {
		case !s.UserVerified:
			return nil
		case a.json:
			return l.item(userJSON(s))
		}
		return t.row(s.User, number(s.Sid), or(s.Address, "0.0.0.0"), wholeSeconds(since(s.Opened, s.Now)), s.State)
	})
	if err != nil {
		return err
	}
	if a.json {
		return l.end()
	}
	return t.head()
}

type jsonUser struct {
	User          string `json:"user"`
	SID           uint32 `json:"sid"`
	Address       string `json:"address"`
	OpenedSeconds secs   `json:"opened_seconds"`
	State         string `json:"state"`
}

func userJSON(s *lnsv1.SessionInfo) jsonUser {
	return jsonUser{s.User, s.Sid, s.Address, secs(since(s.Opened, s.Now)), s.State}
}

// showUser prints every session of the users that the pattern names, in full.
func (a *app) showUser(ctx context.Context, c *api.Client, pattern string) error {
	l, n := &jsonList{w: a.env.Out}, 0
	err := eachSession(ctx, c, &lnsv1.SessionsRequest{UserGlob: pattern}, func(s *lnsv1.SessionInfo) error {
		n++
		if a.json {
			return l.item(sessionJSON(s))
		}
		if n > 1 {
			if _, err := a.env.Out.Write([]byte("\n")); err != nil {
				return err
			}
		}
		return fields(a.env.Out, sessionFields(s))
	})
	switch {
	case err != nil:
		return err
	case n == 0:
		return notFound("user", pattern)
	case a.json:
		return l.end()
	}
	return nil
}

func (a *app) dropUser(ctx context.Context, user string) error {
	cause, err := a.causeCode()
	if err != nil {
		return err
	}
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		var reply *lnsv1.DropReply
		err := a.during(ctx, sessionsLeft, func() (err error) {
			reply, err = c.DropUser(ctx, &lnsv1.DropUserRequest{User: user, Cause: cause})
			return err
		})
		if err != nil {
			return err
		}
		return a.dropped(reply, "user "+user)
	})
}
