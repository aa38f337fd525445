package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// usage answers "help".
func (s *shell) usage(context.Context, []string) {
	fmt.Fprint(s.term, `? shows what can stand where the cursor is, with the values that there are; Tab
completes a word. Words may be shortened as long as they are unique: "sh sess".
Behind "show ..." may stand | include, exclude, begin or count with a regular
expression, and --json.
"enable" turns on the commands that change things, "configure terminal" changes
the configuration. ^C ends what runs, ^Z leaves the configuration.
`)
}

func lengthCheck(s string) error {
	if n, err := strconv.ParseUint(s, 10, 16); err != nil || n != 0 {
		return fmt.Errorf("must be 0, or the terminal's own height counts")
	}
	return nil
}

func (s *shell) terminalLength(context.Context, []string) { s.unpaged = true }

// startDebug streams to this terminal while the operator goes on: a trace of some
// categories, or, without any, what happens to tunnels and sessions.
func (s *shell) startDebug(ctx context.Context, args []string) {
	s.undebug()
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.mu.Lock()
	s.debug = cancel
	s.mu.Unlock()
	a := s.app(s.term)
	go func() {
		defer cancel()
		a.env.Err = io.Discard
		follow := (&watcher{app: a}).stream
		if categories := debugWords(args); len(categories) > 0 {
			follow = func(ctx context.Context) error {
				return (&tracer{app: a}).follow(ctx, traceTargets()[0], []string{strings.Join(categories, ",")})
			}
		}
		if err := follow(ctx); err != nil && ctx.Err() == nil {
			text, _ := explain(err, a.where())
			s.say("%% no more events: %s", text)
		}
	}()
}

// debugWords are what l2tpns' operators say to "debug": how grave messages are, which
// here is what happens to tunnels and sessions, or what is looked at.
func debugWords(categories []string) []string {
	var out []string
	for _, list := range categories {
		for _, w := range strings.Split(list, ",") {
			switch w {
			case "critical", "error", "warning", "info":
			case "calls":
				out = append(out, "protocol", "fsm", "ppp")
			default:
				out = append(out, w)
			}
		}
	}
	return out
}

func (s *shell) undebug() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.debug != nil {
		s.debug()
		s.debug = nil
	}
}

func (a *app) memoryCommands() []command {
	return []command{
		{words: "write memory", help: "Put what was configured into the startup-config, whose comments stay", run: a.writeMemory},
	}
}

func (a *app) writeMemory(ctx context.Context, _ string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.WriteMemory(ctx, &lnsv1.WriteMemoryRequest{})
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(a.env.Out, struct {
				File  string `json:"file"`
				Lines uint64 `json:"lines"`
			}{reply.File, reply.Lines})
		}
		_, err = fmt.Fprintf(a.env.Out, "%d changes written to %s\n", reply.Lines, escape(reply.File))
		return err
	})
}
