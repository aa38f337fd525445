package cli

import (
	"context"
	"errors"
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
	refused := func(text string) func(context.Context, string) error {
		return func(context.Context, string) error { return errors.New(text) }
	}
	return []command{
		{words: "show ipcache", help: "Show the cache of addresses, which there is none of", run: none("ipcache",
			"There is no cache of addresses: XDP finds a session by its address in one look-up. \"show session\" has them all.")},
		{words: "suspend", help: "Withdraw the routes, where BGP announces them", run: refused(
			"nothing is announced here that could be withdrawn: \"drain\" refuses new tunnels and calls, and lets those that are up live on")},
		{words: "no suspend", help: "Announce the routes again", run: refused("nothing is announced here: \"no drain\" takes new tunnels and calls again")},
		{words: "restart bgp", arg: &arg{name: "PEER", optional: true}, help: "Begin BGP sessions anew, where there are some", run: refused(
			"no BGP is configured: restart the routing daemon that redistributes the kernel's routes")},
		{words: "show bgp", help: "Show the BGP sessions", run: none("bgp",
			"No BGP is configured: this daemon announces no routes. Let a routing daemon redistribute the kernel's routes to the TUN device.")},
		{words: "show cluster", help: "Show the cluster", run: none("cluster",
			"No cluster is configured: this daemon is on its own. \"show status\" shows how it is; save_state keeps sessions over a restart.")},
	}
}
