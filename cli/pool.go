package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) poolCommands() []command {
	return []command{{
		words: "show pool", alias: "pools", arg: &arg{"NAME", true, poolKind()},
		help: "List the addresses that are in use or kept for a user, with totals",
		flags: func(cmd *cobra.Command) {
			cmd.Flags().BoolVar(&a.summary, "summary", false, "totals only")
		},
		run: a.showPool,
	}}
}

func (a *app) showPool(ctx context.Context, name string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		pools, err := poolsNamed(ctx, c, name)
		if err != nil {
			return err
		}
		if a.json {
			return a.poolsJSON(ctx, c, pools)
		}
		if !a.summary {
			if err := a.leaseTable(ctx, c, name); err != nil {
				return err
			}
			if _, err := fmt.Fprintln(a.env.Out); err != nil {
				return err
			}
		}
		return a.poolTable(pools)
	})
}

// poolsNamed returns all pools, or those of a name.
func poolsNamed(ctx context.Context, c *api.Client, name string) ([]*lnsv1.Pool, error) {
	reply, err := c.Pools(ctx, &lnsv1.PoolsRequest{})
	if err != nil || name == "" {
		return reply.GetPools(), err
	}
	var found []*lnsv1.Pool // of IPv4 and of IPv6
	for _, p := range reply.Pools {
		if p.Name == name {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return nil, notFound("pool", name)
	}
	return found, nil
}

// leaseTable prints addresses that are in use, and free ones that are kept for the
// user who had them last: "[user] 1548s" as l2tpns has it.
func (a *app) leaseTable(ctx context.Context, c *api.Client, pool string) error {
	t := &table{w: a.env.Out, columns: []column{
		{"IP Address", 15, false}, {"Used", 4, false}, {"Session", 11, false}, {"Pool", 12, false}, {"User", 0, false}}}
	err := eachLease(ctx, c, pool, func(l *lnsv1.Lease) error {
		ref, user := "", fmt.Sprintf("[%s] %ss", l.User, wholeSeconds(since(l.Since, l.Now)))
		if l.InUse {
			ref, user = fmt.Sprintf("%d/%d", l.TunnelId, l.SessionId), l.User
		}
		return t.row(l.Address, flag(l.InUse), ref, l.Pool, user)
	})
	if err != nil {
		return err
	}
	return t.head()
}

func (a *app) poolTable(pools []*lnsv1.Pool) error {
	t := &table{w: a.env.Out, columns: []column{
		{"Pool", 12, false}, {"Gives", 5, false}, {"Size", 8, true}, {"Used", 8, true}, {"Reserved", 8, true}, {"Free", 8, true}, {"Prefixes", 0, false}}}
	for _, p := range pools {
		err := t.row(p.Name, gives(p), count(p.Size), count(p.Used), count(p.Reserved), count(free(p)), strings.Join(p.Prefixes, ", "))
		if err != nil {
			return err
		}
	}
	return t.head()
}

// gives is what a pool is of: IPv4 addresses, or IPv6 prefixes of a length.
func gives(p *lnsv1.Pool) string {
	if p.Length == 0 {
		return "IPv4"
	}
	return fmt.Sprintf("/%d", p.Length)
}

// free is what can still be given out: reserved addresses never are.
func free(p *lnsv1.Pool) uint64 {
	if taken := p.Used + p.Reserved; taken < p.Size {
		return p.Size - taken
	}
	return 0
}

func eachLease(ctx context.Context, c *api.Client, pool string, f func(*lnsv1.Lease) error) error {
	stream, err := c.Leases(ctx, &lnsv1.LeasesRequest{Pool: pool})
	if err != nil {
		return err
	}
	return each(stream, (*lnsv1.LeasesReply).GetLeases, f)
}

type jsonPool struct {
	Name     string   `json:"name"`
	Prefixes []string `json:"prefixes"`
	// Length is that of the IPv6 prefixes given out, 0 in a pool of IPv4 addresses.
	Length   uint32 `json:"length"`
	Size     uint64 `json:"size"`
	Used     uint64 `json:"used"`
	Reserved uint64 `json:"reserved"`
	Free     uint64 `json:"free"`
	// Leases is left out of a summary.
	Leases *[]jsonLease `json:"leases,omitempty"`
}

type jsonLease struct {
	Address   string `json:"address"`
	InUse     bool   `json:"in_use"`
	TID       uint32 `json:"tid"`
	SessionID uint32 `json:"session_id"`
	User      string `json:"user"`
	Since     moment `json:"since"`
}

// poolsJSON prints one pool after the other, each with its leases.
func (a *app) poolsJSON(ctx context.Context, c *api.Client, pools []*lnsv1.Pool) error {
	out := &jsonList{w: a.env.Out}
	for _, p := range pools {
		j := jsonPool{Name: p.Name, Prefixes: list(p.Prefixes), Length: p.Length, Size: p.Size, Used: p.Used, Reserved: p.Reserved, Free: free(p)}
		if !a.summary {
			leases := []jsonLease{}
			err := eachLease(ctx, c, p.Name, func(l *lnsv1.Lease) error {
				if prefix := strings.Contains(l.Address, "/"); prefix != (p.Length > 0) {
					return nil // of the other pool of the name
				}
				leases = append(leases, jsonLease{l.Address, l.InUse, l.TunnelId, l.SessionId, l.User, moment(l.Since)})
				return nil
			})
			if err != nil {
				return err
			}
			j.Leases = &leases
		}
		if err := out.item(j); err != nil {
			return err
		}
	}
	return out.end()
}
