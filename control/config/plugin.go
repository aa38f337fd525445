package config

import (
	"slices"
	"strings"
	"time"
)

// Plugin is a program that is asked about logins and told of events.
type Plugin struct {
	Object
	Path    string
	Timeout time.Duration // 0: the default
	// Fail is what becomes of logins while it can't be asked.
	Fail Fail
}

// Fail says which way something fails.
type Fail uint8

// The ways: open goes on without it, closed refuses.
const (
	FailOpen Fail = iota
	FailClosed
)

// Plugins are the programs, and what is loaded at the start, in its order.
type Plugins struct {
	List   []Plugin
	Loaded []string
}

// ownPlugins are parts of lnsd; elsewhere are modules of l2tpns whose work is done
// otherwise.
func ownPlugins() []string {
	return []string{"autosnoop", "autothrottle", "garden", "sessionctl", "stripdomain"}
}

func elsewherePlugins() map[string]string {
	return map[string]string{
		"throttlectl": "lnsctl throttle does this",
		"snoopctl":    "lnsctl snoop does this",
		"setrxspeed":  "rates come from RADIUS",
	}
}

func pluginKeys() []objectKey[Plugin] {
	return []objectKey[Plugin]{
		objectRow("path", filePath(), func(p *Plugin) *string { return &p.Path }, "its program"),
		objectRow("timeout", seconds(10*time.Millisecond, 30*time.Second), func(p *Plugin) *time.Duration { return &p.Timeout }, "seconds for an answer, 1 unless given"),
		objectRow("fail", enum([]choice[Fail]{{"open", FailOpen}, {"closed", FailClosed}}), func(p *Plugin) *Fail { return &p.Fail },
			"closed refuses logins while it does not answer; open, the default, goes on without it"),
	}
}

func pluginBase(p *Plugin) *Object { return &p.Object }

func pluginCommands() []Command {
	name := []Arg{
		{Name: "plugin", Type: "word", Words: []string{"plugin"}},
		{Name: "NAME", Type: "name", Help: "Name of the plugin."},
	}
	return []Command{
		{Name: "plugin", Help: "Define a plugin that is a program. Keys: " + keyHelp(pluginKeys()), run: (*builder).plugin, Args: []Arg{
			{Name: "NAME", Type: "name", Help: "Name of the plugin."},
			{Name: "KEY VALUE", Type: "plugin", Help: "What holds for it.", Rest: true},
		}},
		{Name: "load", Help: "Load a plugin, behind those that are loaded.", run: (*builder).loadPlugin, Args: name},
		{Name: "remove", Help: "Do not load a plugin that an earlier line loads.", run: (*builder).removePlugin, Args: name},
	}
}

func (b *builder) plugin(args []token) {
	object(b, &b.c.Plugins.List, pluginBase, pluginKeys(), func() Plugin { return Plugin{} }, args)
	b.mark("plugin", args[0])
}

func (b *builder) loadPlugin(args []token) {
	name := args[1].text
	if why, ok := elsewherePlugins()[name]; ok {
		b.warn(b.at(args[1]), "plugin %s is not loaded: %s", name, why)
		return
	}
	if !slices.Contains(b.c.Plugins.Loaded, name) {
		b.c.Plugins.Loaded = append(b.c.Plugins.Loaded, name)
		b.seen["load plugin "+name] = b.at(args[1])
	}
}

func (b *builder) removePlugin(args []token) {
	b.c.Plugins.Loaded = slices.DeleteFunc(b.c.Plugins.Loaded, func(n string) bool { return n == args[1].text })
}

// checkPlugins makes sure that what is loaded is there.
func (b *builder) checkPlugins() {
	p := &b.c.Plugins
	names := ownPlugins()
	for i := range p.List {
		if p.List[i].Path == "" {
			b.fail(b.seen["plugin "+p.List[i].Name], "", "plugin %s has no path", printable(p.List[i].Name))
		}
		names = append(names, p.List[i].Name)
	}
	for _, n := range p.Loaded {
		if slices.Contains(names, n) {
			continue
		}
		hint := "define it by a plugin command"
		if near := nearest(n, names); near != "" {
			hint = "did you mean " + near + "?"
		}
		b.fail(b.seen["load plugin "+n], hint, "there is no plugin %s", printable(n))
	}
	if i := slices.Index(p.Loaded, "garden"); i >= 0 && len(b.c.Gardens.List) == 0 {
		b.warn(b.seen["load plugin garden"], "plugin garden is not loaded: there is no walled garden; define one by a garden command")
		p.Loaded = slices.Delete(p.Loaded, i, i+1)
	}
	if len(p.Loaded) == 0 {
		p.Loaded = nil
	}
}

func (p *Plugins) render(w *strings.Builder) {
	for i := range p.List {
		renderObject(w, "plugin", &p.List[i].Object, pluginKeys(), false)
	}
	for _, n := range p.Loaded {
		w.WriteString("load plugin " + quoted(n) + "\n")
	}
}
