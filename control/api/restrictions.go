package api

import (
	"context"

	"google.golang.org/grpc"

	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// RestrictionsBackend knows the access lists and walled gardens. Its methods may be
// called from any goroutine.
type RestrictionsBackend interface {
	AccessLists() []AccessList
	Gardens() []Garden
}

// AccessList is one list of one family.
type AccessList struct {
	// Command begins its definition.
	Command, Name string
	Rules         []AccessRule
	// Denied are the packets that no rule matched.
	Denied uint64
}

// AccessRule is a rule and how many packets it decided on.
type AccessRule struct {
	Text    string
	Packets uint64
}

// Garden is what is known of a walled garden.
type Garden struct {
	Name string
	// Prefixes are the addresses and routed prefixes of the sessions.
	Sessions, Prefixes int
	// DNS and Portal count the connections that were redirected.
	DNS, Portal uint64
	// Up is what subscribers sent and Down what they were sent.
	Up, Down, UpDropped, DownDropped GardenTally
	// Error says why it does not work, "" when it does.
	Error string
}

// GardenTally counts packets.
type GardenTally struct{ Packets, Bytes uint64 }

// Restrictions makes the server show access lists and walled gardens.
func Restrictions(b RestrictionsBackend) Option {
	return func(o *options) {
		o.services = append(o.services, func(r grpc.ServiceRegistrar, _ *options) {
			lnsv1.RegisterRestrictionsServer(r, &restrictionsService{backend: b})
		})
	}
}

// restrictionsService answers the calls of the schema from a RestrictionsBackend.
type restrictionsService struct {
	lnsv1.UnimplementedRestrictionsServer
	backend RestrictionsBackend
}

func (s *restrictionsService) AccessLists(_ context.Context, r *lnsv1.AccessListsRequest) (*lnsv1.AccessListsReply, error) {
	reply := &lnsv1.AccessListsReply{}
	for _, l := range s.backend.AccessLists() {
		if r.Name != "" && l.Name != r.Name {
			continue
		}
		m := &lnsv1.AccessList{Command: utf8Text(l.Command), Name: utf8Text(l.Name), Denied: l.Denied}
		for _, rule := range l.Rules {
			m.Rules = append(m.Rules, &lnsv1.AccessRule{Text: utf8Text(rule.Text), Packets: rule.Packets})
		}
		reply.Lists = append(reply.Lists, m)
	}
	return reply, nil
}

func (s *restrictionsService) Gardens(_ context.Context, r *lnsv1.GardensRequest) (*lnsv1.GardensReply, error) {
	tally := func(t GardenTally) *lnsv1.GardenTally {
		return &lnsv1.GardenTally{Packets: t.Packets, Bytes: t.Bytes}
	}
	reply := &lnsv1.GardensReply{}
	for _, g := range s.backend.Gardens() {
		if r.Name != "" && g.Name != r.Name {
			continue
		}
		reply.Gardens = append(reply.Gardens, &lnsv1.Garden{
			Name: utf8Text(g.Name), Sessions: uint64(g.Sessions), Prefixes: uint64(g.Prefixes), Dns: g.DNS, Portal: g.Portal,
			Up: tally(g.Up), Down: tally(g.Down), UpDropped: tally(g.UpDropped), DownDropped: tally(g.DownDropped),
			Error: utf8Text(g.Error),
		})
	}
	return reply, nil
}
