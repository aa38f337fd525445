package cli

import (
	"context"
	"fmt"
)

// absentCommands are what operators of l2tpns look for and what is not part of this
// daemon: they are told so, and what is there instead.
func (a *app) absentCommands() []command {
	none := func(what, text string) func(context.Context, string) error {
		return func(context.Context, string) error {
			if a.json {
				return printJSON(a.env.Out, map[string]any{what: nil, "note": text})
			}
			_, err := fmt.Fprintln(a.env.Out, text)
			return err
		}
	}
	return []command{
		{words: "show bgp", help: "Show the BGP sessions", run: none("bgp",
			"No BGP is configured: this daemon announces no routes. Let a routing daemon redistribute the kernel's routes to the TUN device.")},
		{words: "show cluster", help: "Show the cluster", run: none("cluster",
			"No cluster is configured: this daemon is on its own. \"show status\" shows how it is; save_state keeps sessions over a restart.")},
	}
}
