package config

import (
	"strconv"
	"strings"
)

// Running renders c as commands that Parse turns into the same configuration
// again, secrets included: it is for files, not for eyes.
func (c *Config) Running() string { return c.render(false) }

// Show renders c as Running does, with each secret's command as a comment.
func (c *Config) Show() string { return c.render(true) }

func (c *Config) render(hide bool) string {
	var w strings.Builder
	settings := Settings()
	initial := defaults(settings, "")
	for _, s := range settings {
		value := s.format(c)
		if s.Alias != "" || value == s.format(initial) {
			continue
		}
		if s.Secret && hide {
			w.WriteString("# set " + s.Name + " " + hidden + "\n")
			continue
		}
		w.WriteString("set " + s.Name + " " + quoted(value) + "\n")
	}
	for _, p := range c.Pools {
		for _, prefix := range p.Prefixes {
			w.WriteString("pool " + quoted(p.Name) + " add " + prefix.String() + "\n")
		}
	}
	for _, p := range c.Pools6 {
		for _, prefix := range p.Prefixes {
			w.WriteString("pool6 " + quoted(p.Name) + " add " + prefix.String() + " " + strconv.Itoa(p.Length) + "\n")
		}
	}
	c.AAA.render(&w, hide)
	c.DAE.render(&w, hide)
	c.renderProfiles(&w, hide)
	if c.DefaultPeer != nil {
		c.DefaultPeer.render(&w, hide)
	}
	for i := range c.LACs {
		c.LACs[i].render(&w, hide)
	}
	c.Outgoing.render(&w, hide)
	for i := range c.Gardens.List {
		c.Gardens.List[i].render(&w)
	}
	c.Hooks.render(&w)
	c.Plugins.render(&w)
	renderLists(&w, c.AccessLists)
	return w.String()
}

// render writes one command for the policy. A hidden secret gets a line of its own,
// for the rest to be usable as it is.
func (l *LAC) render(w *strings.Builder, hide bool) {
	keys := LACKeys()
	command := "lac "
	if l.Peer {
		command = PeerLayer.Command() + " "
	}
	line := command + quoted(l.Name)
	for _, g := range l.Given {
		if key, _ := findKey(keys, g.Key); key.Secret && hide {
			w.WriteString("# " + command + quoted(l.Name) + " " + g.Key + " " + hidden + "\n")
			continue
		}
		line += " " + g.Key + " " + quoted(g.Value.Reveal())
	}
	w.WriteString(line + "\n")
}
