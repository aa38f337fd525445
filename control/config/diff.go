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
	if !slices.EqualFunc(from.LACs, to.LACs, func(a, b LAC) bool {
		return a.Name == b.Name && slices.Equal(a.Given, b.Given)
	}) {
		out = append(out, Change{"lac", NewOnly})
	}
	if !reflect.DeepEqual(from.Gardens.List, to.Gardens.List) {
		out = append(out, Change{"garden", Live})
	}
	if from.Hooks != to.Hooks {
		out = append(out, Change{"hook", Restart})
	}
	if !reflect.DeepEqual(from.AccessLists, to.AccessLists) {
		out = append(out, Change{"access-list", Live})
	}
	var before, after strings.Builder
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
		out = append(out, Change{"plugin", Restart})
	}
	return out
}
