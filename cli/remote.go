package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"github.com/lnsd/lnsd/control/api"
)

// remoteFlags say which daemons are meant, and who we are to them.
type remoteFlags struct {
	identity, authority string
}

func (r *remoteFlags) declare(f *pflag.FlagSet, servers *[]string) {
	f.StringSliceVar(servers, "server", nil, "`HOST[:PORT]` of a daemon that is managed from afar; several get the same command")
	f.StringVar(&r.identity, "identity", r.identity, "our certificate and key, as `NAME` of NAME.crt and NAME.key; the variable LNSD_IDENTITY sets another default")
	f.StringVar(&r.authority, "authority", "", "certificate `FILE` of the authority of both ends (default: ca.crt beside the identity)")
}

func (r *remoteFlags) dial(server string) (*api.Client, error) {
	if r.identity == "" {
		return nil, usageError{errors.New("--server needs --identity (make-certificates makes one)")}
	}
	authority := r.authority
	if authority == "" {
		authority = r.identity[:strings.LastIndexByte(r.identity, '/')+1] + authorityName + ".crt"
	}
	return api.DialRemote(withPort(server), api.Identity{
		Certificate: r.identity + ".crt", Key: r.identity + ".key", Authority: authority,
	})
}

func withPort(server string) string {
	if _, _, err := net.SplitHostPort(server); err == nil {
		return server
	}
	return net.JoinHostPort(strings.Trim(server, "[]"), strconv.Itoa(api.RemotePort))
}

// nodesError is the outcome of a command on several daemons, which has been told.
type nodesError struct{ code int }

func (nodesError) Error() string { return "failed on some daemons" }

// everywhere runs a command against each daemon that is named, all at once.
func (a *app) everywhere(ctx context.Context, c *command, value string) error {
	switch {
	case len(a.servers) < 2:
		return c.run(ctx, value)
	case c.endless:
		return usageError{fmt.Errorf("%s takes one --server", c.words)}
	}
	nodes := make([]node, len(a.servers))
	var wg sync.WaitGroup
	for i, server := range a.servers {
		nodes[i].server = server
		wg.Go(func() { nodes[i].run(ctx, a) })
	}
	wg.Wait()
	return a.tell(nodes)
}

// node is one of several daemons, with what came of a command there.
type node struct {
	server    string
	out, errs bytes.Buffer
	code      int
}

// run runs the command line again for one daemon alone.
func (n *node) run(ctx context.Context, a *app) {
	env := a.env
	env.Out, env.Err = &n.out, &n.errs
	n.code = Run(ctx, env, onlyServer(a.args, n.server))
}

// onlyServer is a command line with one daemon in place of those that it names.
func onlyServer(args []string, server string) []string {
	out := []string{"--server", server}
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--":
			return append(out, args[i:]...)
		case args[i] == "--server":
			i++
		case strings.HasPrefix(args[i], "--server="):
		default:
			out = append(out, args[i])
		}
	}
	return out
}

// jsonNode is one daemon's outcome.
type jsonNode struct {
	Server   string          `json:"server"`
	ExitCode int             `json:"exit_code"`
	Error    string          `json:"error,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
}

// tell prints what came of it, in the order of the command line.
func (a *app) tell(nodes []node) error {
	worst := exitOK
	var all []jsonNode
	for i := range nodes {
		n := &nodes[i]
		worst = max(worst, n.code)
		if a.json {
			j := jsonNode{Server: n.server, ExitCode: n.code, Error: strings.TrimSpace(n.errs.String())}
			if json.Valid(n.out.Bytes()) {
				j.Result = n.out.Bytes()
			}
			all = append(all, j)
			continue
		}
		fmt.Fprintf(a.env.Out, "== %s ==\n%s", escape(n.server), n.out.Bytes())
		if err := a.flush(); err != nil {
			return err
		}
		for line := range strings.Lines(n.errs.String()) {
			fmt.Fprintf(a.env.Err, "%s: %s", escape(n.server), line)
		}
	}
	if a.json {
		if err := printJSON(a.env.Out, all); err != nil {
			return err
		}
	}
	if worst != exitOK {
		return nodesError{worst}
	}
	return nil
}
