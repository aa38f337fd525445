package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// maxWords bounds what can be said to a plugin.
const maxWords = 64

func (a *app) pluginCommands() []command {
	loaded := kind{complete: func(ctx context.Context, c *api.Client, prefix string) ([]string, error) {
		reply, err := c.PluginHost.Plugins(ctx, &lnsv1.PluginsRequest{})
		var names []string
		for _, p := range reply.GetPlugins() {
			if strings.HasPrefix(p.Name, prefix) && escape(p.Name) == p.Name {
				names = append(names, p.Name)
			}
		}
		return names, err
	}}
	return []command{
		{words: "show plugin", alias: "plugins", help: "Show the plugins in the order in which they are asked, and how they do", run: a.showPlugins},
		{words: "load plugin", arg: &arg{"NAME", false, kind{}}, help: "Load a plugin behind the others", run: a.loadPlugin},
		{words: "remove plugin", arg: &arg{"NAME", false, loaded}, help: "Take a plugin out", run: a.removePlugin},
		{words: "plugin send", args: []arg{{"NAME", false, loaded}, {"WORD", false, kind{}}}, most: maxWords,
			help: "Say something to a plugin, and print its answer", runs: a.sendToPlugin},
	}
}

func (a *app) loadPlugin(ctx context.Context, name string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		if _, err := c.PluginHost.LoadPlugin(ctx, &lnsv1.LoadPluginRequest{Name: name}); err != nil {
			return err
		}
		return a.pluginIs(name, true)
	})
}

func (a *app) removePlugin(ctx context.Context, name string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		if _, err := c.PluginHost.RemovePlugin(ctx, &lnsv1.RemovePluginRequest{Name: name}); err != nil {
			return err
		}
		return a.pluginIs(name, false)
	})
}

func (a *app) pluginIs(name string, loaded bool) error {
	if a.json {
		return printJSON(a.env.Out, struct {
			Plugin string `json:"plugin"`
			Loaded bool   `json:"loaded"`
		}{name, loaded})
	}
	word := "removed"
	if loaded {
		word = "loaded"
	}
	return a.lines([]string{fmt.Sprintf("Plugin %s %s.", escape(name), word)})
}

func (a *app) sendToPlugin(ctx context.Context, words []string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.PluginHost.SendToPlugin(ctx, &lnsv1.SendToPluginRequest{Name: words[0], Words: words[1:]})
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(a.env.Out, struct {
				Answer string `json:"answer"`
			}{reply.Text})
		}
		return a.lines(strings.Split(strings.TrimSuffix(reply.Text, "\n"), "\n"))
	})
}

type jsonPlugin struct {
	Name     string   `json:"name"`
	BuiltIn  bool     `json:"built_in"`
	State    string   `json:"state"`
	Version  string   `json:"version"`
	PID      uint32   `json:"pid"`
	Events   []string `json:"events"`
	Closed   bool     `json:"fail_closed"`
	Timeout  float64  `json:"timeout_seconds"`
	Calls    uint64   `json:"calls"`
	Stopped  uint64   `json:"stopped"`
	Errors   uint64   `json:"errors"`
	Failures uint64   `json:"failures"`
	Timeouts uint64   `json:"timeouts"`
	Restarts uint64   `json:"restarts"`
}

func (a *app) showPlugins(ctx context.Context, _ string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.PluginHost.Plugins(ctx, &lnsv1.PluginsRequest{})
		if err != nil {
			return err
		}
		if a.json {
			l := &jsonList{w: a.env.Out}
			for _, p := range reply.Plugins {
				err := l.item(jsonPlugin{
					p.Name, p.BuiltIn, p.State, p.Version, p.Pid, list(p.Events), p.FailClosed, float64(p.TimeoutMilliseconds) / 1000,
					p.Calls, p.Stopped, p.Errors, p.Failures, p.Timeouts, p.Restarts,
				})
				if err != nil {
					return err
				}
			}
			return l.end()
		}
		t := &table{w: a.env.Out, columns: []column{
			{"Plugin", 14, false}, {"PID", 7, true}, {"fails", 6, false}, {"calls", 8, true}, {"errors", 6, true}, {"failed", 6, true},
			{"late", 5, true}, {"restarts", 8, true}, {"State", 8, false}, {"Events", 0, false}}}
		for _, p := range reply.Plugins {
			pid, fails := "", "open"
			if p.Pid > 0 {
				pid = strconv.FormatUint(uint64(p.Pid), 10)
			}
			if p.FailClosed {
				fails = "closed"
			}
			err := t.row(p.Name, pid, fails, count(p.Calls), count(p.Errors), count(p.Failures), count(p.Timeouts), count(p.Restarts),
				p.State, strings.Join(p.Events, " "))
			if err != nil {
				return err
			}
		}
		return t.head()
	})
}
