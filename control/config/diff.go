package config

import (
	"reflect"
	"slices"
	"strings"
)

// Change is one difference between two configurations.
type Change struct {
	// Name is that of a setting, or "pool", "lac", "dae_client" or, for the commands about RADIUS,
	// "radius".
	Name  string
	Apply Apply
}

// Diff returns what differs between two configurations, in the order of the table,
// and when each change takes effect.
func Diff(from, to *Config) []Change {
	var out []Change
	for _, s := range Settings() {
		if s.Alias == "" && s.format(from) != s.format(to) {
			out = append(out, Change{s.Name, s.Apply})
		}
	}
	if !reflect.DeepEqual(from.Pools, to.Pools) {
		out = append(out, Change{"pool", Restart})
	}
	if !reflect.DeepEqual(from.Pools6, to.Pools6) {
		out = append(out, Change{"pool6", Restart})
	}
	for _, peer := range []bool{false, true} {
		if !slices.EqualFunc(from.lacs(peer), to.lacs(peer), func(a, b LAC) bool {
			return a.Name == b.Name && slices.Equal(a.Given, b.Given)
		}) {
			out = append(out, Change{map[bool]string{false: "lac", true: PeerLayer.Command()}[peer], NewOnly})
		}
	}
	for _, l := range []Layer{TunnelLayer, SessionLayer, PPPLayer} {
		if !reflect.DeepEqual(from.Profiles[l], to.Profiles[l]) {
			out = append(out, Change{l.Command(), NewOnly})
		}
	}
	if !reflect.DeepEqual(from.Gardens.List, to.Gardens.List) {
		out = append(out, Change{"garden", Live})
	}
	if from.Hooks != to.Hooks {
		out = append(out, Change{"hook", Live})
	}
	if !reflect.DeepEqual(from.AccessLists, to.AccessLists) {
		out = append(out, Change{"access-list", Live})
	}
	var before, after strings.Builder
	from.Outgoing.render(&before, false)
	to.Outgoing.render(&after, false)
	if before.String() != after.String() {
		out = append(out, Change{"tunnel", Live})
	}
	before.Reset()
	after.Reset()
	from.AAA.render(&before, false)
	to.AAA.render(&after, false)
	if before.String() != after.String() {
		out = append(out, Change{"radius", Restart})
	}
	before.Reset()
	after.Reset()
	from.DAE.render(&before, false)
	to.DAE.render(&after, false)
	if before.String() != after.String() {
		out = append(out, Change{"dae_client", Live})
	}
	before.Reset()
	after.Reset()
	from.Plugins.render(&before)
	to.Plugins.render(&after)
	if before.String() != after.String() {
		out = append(out, Change{"plugin", Live})
	}
	return out
}

// lacs are the policies of lac commands, or those of peer_profile commands.
func (c *Config) lacs(peer bool) (out []LAC) {
	if c.DefaultPeer != nil && peer {
		out = append(out, *c.DefaultPeer)
	}
	for _, l := range c.LACs {
		if l.Peer == peer {
			out = append(out, l)
		}
	}
	return out
}
