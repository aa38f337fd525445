package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// servicesCommands change what is done to a subscriber's packets, as l2tpns' commands
// of the same words do. In is what the subscriber sends, out what it receives.
func (a *app) servicesCommands() []command {
	who := arg{"USER", false, userKind()}
	both := arg{"in|out", true, wordKind("in", "out")}
	one := arg{"in|out", false, wordKind("in", "out")}
	return []command{
		{words: "throttle", args: []arg{who, {"[in|out] RATE", true, kind{}}}, most: 3, flags: a.sidFlag,
			help: "Limit the rate of a user's sessions: in (sent), out (received), or both; RATE is in kbit/s, or ends in k, M or G",
			runs: a.throttle},
		{words: "no throttle", args: []arg{who, both}, flags: a.sidFlag, help: "Lift the limits of a user's sessions", runs: a.noThrottle},
		{words: "filter", args: []arg{who, one, {"NAME", false, accessListKind()}}, flags: a.sidFlag,
			help: "Pass what a user's sessions send (in) or receive (out) through an access list", runs: a.filter},
		{words: "no filter", args: []arg{who, both}, flags: a.sidFlag, help: "Take access lists away from a user's sessions", runs: a.noFilter},
		{words: "garden", args: []arg{who, {"NAME", false, gardenKind()}}, flags: a.sidFlag, help: "Put a user's sessions into a walled garden", runs: a.garden},
		{words: "no garden", args: []arg{who}, flags: a.sidFlag, help: "Let a user's sessions out of the walled garden", runs: a.noGarden},
		{words: "snoop", args: []arg{who, {"IP", false, addressKind()}, {"PORT", false, portKind()}}, flags: a.sidFlag,
			help: "Copy every packet of a user's sessions to an address (takes the right to intercept)", runs: a.snoop},
		{words: "no snoop", args: []arg{who}, flags: a.sidFlag, help: "End the copying of a user's packets", runs: a.noSnoop},
		{words: "show throttle", alias: "tbf", help: "Show the sessions that are held to a rate, what passed, and the packets beyond it", run: a.showThrottle},
		{words: "show radius clients", help: "Show who may change and disconnect sessions by RADIUS", run: a.showRadiusClients},
	}
}

// sidFlag adds --sid.
func (a *app) sidFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.sid, "sid", false, "USER is the ID of one session")
}

func (a *app) target(who string) (*lnsv1.Target, error) {
	if !a.sid {
		return &lnsv1.Target{User: who}, nil
	}
	sid, err := parseID(who, 1<<20)
	if err != nil {
		return nil, usageError{fmt.Errorf("ID: %w", err)}
	}
	return &lnsv1.Target{Sid: sid}, nil
}

// change asks for a change and says how many sessions changed.
func (a *app) change(ctx context.Context, who string, r *lnsv1.ChangeServicesRequest) error {
	target, err := a.target(who)
	if err != nil {
		return err
	}
	r.Target = target
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.ChangeServices(ctx, r)
		if err != nil {
			return err
		}
		return a.changed(reply)
	})
}

func (a *app) changed(r *lnsv1.ChangeServicesReply) error {
	if a.json {
		return printJSON(a.env.Out, struct {
			Sessions uint64 `json:"sessions"`
		}{r.Sessions})
	}
	noun := "sessions"
	if r.Sessions == 1 {
		noun = "session"
	}
	_, err := fmt.Fprintf(a.env.Out, "changed %d %s\n", r.Sessions, noun)
	return err
}

func (a *app) throttle(ctx context.Context, words []string) error {
	in, out := true, true
	rest := words[1:]
	if len(rest) > 0 && (rest[0] == "in" || rest[0] == "out") {
		in, out = rest[0] == "in", rest[0] == "out"
		rest = rest[1:]
	}
	r := &lnsv1.ChangeServicesRequest{DefaultUp: in, DefaultDown: out}
	switch len(rest) {
	case 0:
	case 1:
		bits, err := parseRate(rest[0])
		if err != nil {
			return usageError{fmt.Errorf("RATE: %w", err)}
		}
		r = &lnsv1.ChangeServicesRequest{}
		if in {
			r.Up = &lnsv1.Rate{Bits: bits}
		}
		if out {
			r.Down = &lnsv1.Rate{Bits: bits}
		}
	default:
		return usageError{fmt.Errorf("in|out: must be in or out")}
	}
	return a.change(ctx, words[0], r)
}

// parseRate reads a rate in kbit/s, as l2tpns has it, or in bit/s with a decimal
// prefix.
func parseRate(s string) (uint64, error) {
	scale := uint64(1000)
	if n := len(s); n > 0 {
		switch s[n-1] {
		case 'k', 'K':
			s = s[:n-1]
		case 'M':
			s, scale = s[:n-1], 1_000_000
		case 'G':
			s, scale = s[:n-1], 1_000_000_000
		}
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 || n > math.MaxUint64/scale {
		return 0, errors.New("must be a number of kbit/s, or such as 512k, 20M or 1G")
	}
	return n * scale, nil
}

func (a *app) noThrottle(ctx context.Context, words []string) error {
	in, out := directions(words[1:])
	r := &lnsv1.ChangeServicesRequest{}
	if in {
		r.Up = &lnsv1.Rate{}
	}
	if out {
		r.Down = &lnsv1.Rate{}
	}
	return a.change(ctx, words[0], r)
}

// directions are both, or the one that is named.
func directions(words []string) (in, out bool) {
	if len(words) == 0 {
		return true, true
	}
	return words[0] == "in", words[0] == "out"
}

func (a *app) filter(ctx context.Context, words []string) error {
	return a.setFilter(ctx, words[0], words[1:2], words[2])
}

func (a *app) noFilter(ctx context.Context, words []string) error {
	return a.setFilter(ctx, words[0], words[1:], "")
}

func (a *app) setFilter(ctx context.Context, who string, direction []string, name string) error {
	in, out := directions(direction)
	r := &lnsv1.ChangeServicesRequest{}
	if in {
		r.FilterUp = &name
	}
	if out {
		r.FilterDown = &name
	}
	return a.change(ctx, who, r)
}

func (a *app) garden(ctx context.Context, words []string) error {
	return a.change(ctx, words[0], &lnsv1.ChangeServicesRequest{Garden: &words[1]})
}

func (a *app) noGarden(ctx context.Context, words []string) error {
	return a.change(ctx, words[0], &lnsv1.ChangeServicesRequest{Garden: new(string)})
}

func (a *app) snoop(ctx context.Context, words []string) error {
	addr, err := netip.ParseAddr(words[1])
	if err != nil {
		return usageError{err}
	}
	port, err := parseID(words[2], 65535)
	if err != nil {
		return usageError{err}
	}
	return a.intercept(ctx, words[0], netip.AddrPortFrom(addr, uint16(port)).String())
}

func (a *app) noSnoop(ctx context.Context, words []string) error {
	return a.intercept(ctx, words[0], "")
}

func (a *app) intercept(ctx context.Context, who, to string) error {
	target, err := a.target(who)
	if err != nil {
		return err
	}
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Intercept(ctx, &lnsv1.InterceptRequest{Target: target, To: to})
		if err != nil {
			return err
		}
		return a.changed(reply)
	})
}

type jsonRadiusClient struct {
	Name                 string   `json:"name"`
	Sources              []string `json:"sources"`
	MessageAuthenticator bool     `json:"message_authenticator"`
	Intercept            bool     `json:"intercept"`
	Requests             uint64   `json:"requests"`
	Refused              uint64   `json:"refused"`
	Discarded            uint64   `json:"discarded"`
}

func (a *app) showRadiusClients(ctx context.Context, _ string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.RadiusClients(ctx, &lnsv1.RadiusClientsRequest{})
		if err != nil {
			return err
		}
		if a.json {
			l := &jsonList{w: a.env.Out}
			for _, x := range reply.Clients {
				if err := l.item(jsonRadiusClient{x.Name, list(x.Sources), x.MessageAuthenticator, x.Intercept, x.Requests, x.Refused, x.Discarded}); err != nil {
					return err
				}
			}
			return l.end()
		}
		t := &table{w: a.env.Out, columns: []column{
			{"Client", 16, false}, {"Addresses", 32, false}, {"MA", 2, false}, {"I", 1, false},
			{"requests", 8, true}, {"refused", 8, true}, {"discarded", 9, true}}}
		for _, x := range reply.Clients {
			err := t.row(x.Name, strings.Join(x.Sources, ", "), flag(x.MessageAuthenticator), flag(x.Intercept),
				count(x.Requests), count(x.Refused), count(x.Discarded))
			if err != nil {
				return err
			}
		}
		return t.head()
	})
}

// rateText is a limit for a person.
func rateText(r *lnsv1.Rate) string {
	bits := r.GetBits()
	if bits == 0 {
		return "no limit"
	}
	text := fmt.Sprintf("%d bit/s", bits)
	for _, u := range []struct {
		scale uint64
		name  string
	}{{1_000_000_000, "Gbit/s"}, {1_000_000, "Mbit/s"}, {1000, "kbit/s"}} {
		if bits%u.scale == 0 {
			text = fmt.Sprintf("%d %s", bits/u.scale, u.name)
			break
		}
	}
	if r.GetBurst() > 0 {
		text += fmt.Sprintf(", burst %d bytes", r.GetBurst())
	}
	return text
}

// servicesFields are what is done to a session's packets. Interception is shown to
// those only who may see it: the daemon tells nobody else.
func servicesFields(s *lnsv1.SessionInfo) []field {
	x := s.GetServices()
	fs := []field{
		{"Rate down", rateText(x.GetDown())},
		{"Rate up", rateText(x.GetUp())},
		{"Filters", fmt.Sprintf("in %s, out %s", or(x.GetFilterUp(), "none"), or(x.GetFilterDown(), "none"))},
		{"Walled garden", or(x.GetGarden(), "no")},
	}
	if s.Intercepted {
		fs = append(fs, field{"Intercepted", "to " + x.GetIntercept()})
	}
	return fs
}
