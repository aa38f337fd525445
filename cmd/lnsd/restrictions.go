package main

import (
	"github.com/lnsd/lnsd/control/acl"
	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/garden"
)

var _ api.RestrictionsBackend = (*backend)(nil)

// AccessLists returns the configured lists with what both paths have counted.
func (b *backend) AccessLists() []api.AccessList {
	var out []api.AccessList
	for _, l := range b.current.accessLists() {
		fast, slow := b.d.fast.FilterHits(l.Name), b.d.slow.FilterHits(l.Name)
		hits := make([]uint64, len(l.Rules)+1)
		for i := range hits {
			hits[i] = at(fast[l.Family], i) + at(slow[l.Family], i)
		}
		shown := api.AccessList{Command: l.Command(), Name: l.Name, Denied: hits[len(l.Rules)]}
		for i, r := range l.Rules {
			shown.Rules = append(shown.Rules, api.AccessRule{Text: l.Text(r), Packets: hits[i]})
		}
		out = append(out, shown)
	}
	return out
}

// at is an element of counters that a path may not have.
func at(hits []uint64, i int) uint64 {
	if i >= len(hits) {
		return 0
	}
	return hits[i]
}

// Gardens returns the walled gardens.
func (b *backend) Gardens() []api.Garden {
	tally := func(t garden.Tally) api.GardenTally { return api.GardenTally(t) }
	var out []api.Garden
	for _, v := range b.d.gardens.List() {
		out = append(out, api.Garden{
			Name: v.Name, Sessions: v.Sessions, Prefixes: v.Prefixes, DNS: v.DNS, Portal: v.Portal,
			Up: tally(v.Up), Down: tally(v.Down), UpDropped: tally(v.UpDropped), DownDropped: tally(v.DownDropped),
			Error: v.Error,
		})
	}
	return out
}

// accessLists are the lists of the configuration in force.
func (l *live) accessLists() []acl.List {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.config.AccessLists
}
