package dataplane

import (
	"fmt"

	"github.com/lnsd/lnsd/control/acl"
	"github.com/lnsd/lnsd/maps"
)

// SetFilters puts access lists in force under their names, each as a whole between
// two packets. Lists that are not among them go, but for those that sessions are
// held to, whose names are returned.
func (p *Plane) SetFilters(sets []acl.Set) (left []string, err error) {
	filters := make([]maps.Filter, len(sets))
	for i := range sets {
		s := &sets[i]
		filters[i] = maps.Filter{Name: s.Name, Rules: rules(s.Rules(acl.IPv4)), Rules6: rules(s.Rules(acl.IPv6))}
	}
	if left, err = p.maps.SetFilters(filters); err != nil {
		return left, fmt.Errorf("dataplane: %w", err)
	}
	return left, nil
}

// FilterHits returns how many packets each rule of a list has decided on in XDP, by
// family, and at the end of each how many none did. A list that is not there has
// none.
func (p *Plane) FilterHits(name string) (hits [acl.Families][]uint64) {
	v4, v6, err := p.maps.FilterHits(name)
	if err != nil {
		return hits
	}
	hits[acl.IPv4], hits[acl.IPv6] = v4, v6
	return hits
}

// SetFilters does nothing: no packet takes this path.
func (n *Null) SetFilters([]acl.Set) ([]string, error) { return nil, nil }

// FilterHits returns nothing.
func (n *Null) FilterHits(string) (hits [acl.Families][]uint64) { return hits }

func rules(of []acl.Rule) []maps.Rule {
	out := make([]maps.Rule, len(of))
	for i, r := range of {
		out[i] = maps.Rule{
			Permit: r.Permit, Protocol: r.Protocol, Fragments: r.Fragments,
			Source: r.Source.Address, SourceMask: r.Source.Mask,
			Destination: r.Destination.Address, DestinationMask: r.Destination.Mask,
			SourcePorts: ports(r.SourcePorts), DestinationPorts: ports(r.DestinationPorts),
			AnySet: r.TCP.AnySet, AnyClear: r.TCP.AnyClear, AllSet: r.TCP.AllSet, AllClear: r.TCP.AllClear,
		}
	}
	return out
}

func ports(p acl.Ports) maps.PortRange {
	return maps.PortRange{Given: p.Given, Not: p.Not, Low: p.Low, High: p.High}
}
