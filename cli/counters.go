package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) countersCommands() []command {
	return []command{{words: "show counters", help: "Show every counter", run: a.showCounters}}
}

func (a *app) showCounters(ctx context.Context, _ string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Counters(ctx, &lnsv1.CountersRequest{})
		if err != nil {
			return err
		}
		if a.within != nil {
			for _, n := range reply.Counters {
				// A counter below its baseline belongs to a daemon that was started since.
				if base := a.within.baseline[n.Name]; base <= n.Value {
					n.Value -= base
				}
			}
		}
		if a.json {
			return printJSON(a.env.Out, orderedCounts(reply.Counters))
		}
		t := &table{w: a.env.Out, columns: []column{{"Counter", 40, false}, {"Value", 20, true}}}
		for _, n := range reply.Counters {
			if err := t.row(n.Name, count(n.Value)); err != nil {
				return err
			}
		}
		return t.head()
	})
}

// orderedCounts is an object in JSON whose members keep the daemon's order.
type orderedCounts []*lnsv1.Count

// MarshalJSON writes the object.
func (cs orderedCounts) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, c := range cs {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(c.Name)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s:%d", name, c.Value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
