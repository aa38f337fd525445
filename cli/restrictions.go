package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) restrictionsCommands() []command {
	return []command{
		{words: "show access-list", alias: "access-lists", arg: &arg{"NAME", true, accessListKind()},
			help: "Show access lists, and how many packets each of their rules has decided on", run: a.showAccessList},
		{words: "show garden", alias: "gardens", arg: &arg{"NAME", true, gardenKind()},
			help: "Show walled gardens, who is in them, and what became of their packets", run: a.showGarden},
	}
}

// accessListKind and gardenKind are the names of what there is.
func accessListKind() kind {
	return kind{complete: func(ctx context.Context, c *api.Client, prefix string) ([]string, error) {
		reply, err := c.AccessLists(ctx, &lnsv1.AccessListsRequest{})
		var names []string
		for _, l := range reply.GetLists() {
			if strings.HasPrefix(l.Name, prefix) && escape(l.Name) == l.Name {
				names = append(names, l.Name)
			}
		}
		return names, err
	}}
}

func gardenKind() kind {
	return kind{complete: func(ctx context.Context, c *api.Client, prefix string) ([]string, error) {
		reply, err := c.Gardens(ctx, &lnsv1.GardensRequest{})
		var names []string
		for _, g := range reply.GetGardens() {
			if strings.HasPrefix(g.Name, prefix) {
				names = append(names, g.Name)
			}
		}
		return names, err
	}}
}

// showAccessList prints lists as they are configured, each rule behind its packets.
func (a *app) showAccessList(ctx context.Context, name string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.AccessLists(ctx, &lnsv1.AccessListsRequest{Name: name})
		if err != nil {
			return err
		}
		if name != "" && len(reply.Lists) == 0 {
			return notFound("access list", name)
		}
		if a.json {
			return a.accessListsJSON(reply.Lists)
		}
		t := &table{w: a.env.Out, columns: []column{{"Packets", 14, true}, {"Rule", 0, false}}}
		for _, l := range reply.Lists {
			if err := t.row("", l.Command); err != nil {
				return err
			}
			for _, r := range l.Rules {
				if err := t.row(count(r.Packets), " "+r.Text); err != nil {
					return err
				}
			}
			if err := t.row(count(l.Denied), " (deny what is left)"); err != nil {
				return err
			}
		}
		return t.head()
	})
}

func (a *app) accessListsJSON(lists []*lnsv1.AccessList) error {
	type rule struct {
		Rule    string `json:"rule"`
		Packets uint64 `json:"packets"`
	}
	out := &jsonList{w: a.env.Out}
	for _, l := range lists {
		rules := make([]rule, len(l.Rules))
		for i, r := range l.Rules {
			rules[i] = rule{r.Text, r.Packets}
		}
		err := out.item(struct {
			Name    string `json:"name"`
			Command string `json:"command"`
			Rules   []rule `json:"rules"`
			Denied  uint64 `json:"denied"`
		}{l.Name, l.Command, rules, l.Denied})
		if err != nil {
			return err
		}
	}
	return out.end()
}

// showGarden prints a line for each garden, or all there is to know of one.
func (a *app) showGarden(ctx context.Context, name string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Gardens(ctx, &lnsv1.GardensRequest{Name: name})
		switch {
		case err != nil:
			return err
		case name != "" && len(reply.Gardens) == 0:
			return notFound("garden", name)
		case a.json:
			return a.gardensJSON(reply.Gardens)
		case name != "":
			return fields(a.env.Out, gardenFields(reply.Gardens[0]))
		}
		t := &table{w: a.env.Out, columns: []column{
			{"Garden", 20, false}, {"Sessions", 8, true}, {"DNS", 10, true}, {"Portal", 10, true},
			{"Passed up", 12, true}, {"down", 12, true}, {"Dropped up", 12, true}, {"down", 12, true}, {"State", 0, false}}}
		for _, g := range reply.Gardens {
			state := "works"
			if g.Error != "" {
				state = g.Error
			}
			err := t.row(g.Name, count(g.Sessions), count(g.Dns), count(g.Portal), count(g.Up.GetPackets()), count(g.Down.GetPackets()),
				count(g.UpDropped.GetPackets()), count(g.DownDropped.GetPackets()), state)
			if err != nil {
				return err
			}
		}
		return t.head()
	})
}

func gardenFields(g *lnsv1.Garden) []field {
	tally := func(t *lnsv1.GardenTally) string {
		return fmt.Sprintf("%d packets, %d bytes", t.GetPackets(), t.GetBytes())
	}
	state := "works"
	if g.Error != "" {
		state = g.Error
	}
	return []field{
		{"Garden", g.Name}, {"State", state},
		{"Sessions", count(g.Sessions)}, {"Addresses and routes", count(g.Prefixes)},
		{"DNS connections redirected", count(g.Dns)}, {"Web connections redirected", count(g.Portal)},
		{"Passed from subscribers", tally(g.Up)}, {"Passed to subscribers", tally(g.Down)},
		{"Dropped from subscribers", tally(g.UpDropped)}, {"Dropped to subscribers", tally(g.DownDropped)},
	}
}

func (a *app) gardensJSON(gardens []*lnsv1.Garden) error {
	type tally struct {
		Packets uint64 `json:"packets"`
		Bytes   uint64 `json:"bytes"`
	}
	of := func(t *lnsv1.GardenTally) tally { return tally{t.GetPackets(), t.GetBytes()} }
	out := &jsonList{w: a.env.Out}
	for _, g := range gardens {
		err := out.item(struct {
			Name        string `json:"name"`
			Sessions    uint64 `json:"sessions"`
			Prefixes    uint64 `json:"prefixes"`
			DNS         uint64 `json:"dns_connections"`
			Portal      uint64 `json:"portal_connections"`
			Up          tally  `json:"up"`
			Down        tally  `json:"down"`
			UpDropped   tally  `json:"up_dropped"`
			DownDropped tally  `json:"down_dropped"`
			Error       string `json:"error"`
		}{g.Name, g.Sessions, g.Prefixes, g.Dns, g.Portal, of(g.Up), of(g.Down), of(g.UpDropped), of(g.DownDropped), g.Error})
		if err != nil {
			return err
		}
	}
	return out.end()
}
