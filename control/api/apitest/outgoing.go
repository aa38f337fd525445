package apitest

import (
	"context"
	"fmt"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/session"
)

// ListOutgoing returns Wanted.
func (b *Backend) ListOutgoing(context.Context) ([]session.OutgoingView, error) {
	return b.Wanted, b.Err
}

// GetOutgoing finds in Wanted; what is effective are Explained.
func (b *Backend) GetOutgoing(kind, name string) (own, effective []session.Value, err error) {
	for _, t := range b.Wanted {
		if kind == "tunnel" && t.Name == name {
			return []session.Value{{Name: "dest_ipaddr", Value: t.Peer.Addr().String(), Source: "tunnel " + name}}, b.Explained, b.Err
		}
		for _, c := range t.Calls {
			if kind == "session" && c.Name == name {
				return []session.Value{{Name: "tunnel", Value: t.Name, Source: "session " + name}}, b.Explained, b.Err
			}
		}
	}
	return nil, nil, api.ErrNotFound
}

// ChangeOutgoing notes the change.
func (b *Backend) ChangeOutgoing(_ context.Context, c api.OutgoingChange) (api.CommitReport, error) {
	if _, _, err := b.GetOutgoing(c.Kind, c.Name); err != nil && !c.Create {
		return api.CommitReport{}, err
	} else if err == nil && c.Create {
		return api.CommitReport{}, fmt.Errorf("%w: there is one already", api.ErrRefused)
	}
	c.By = ""
	return api.CommitReport{Commit: 16}, b.call("outgoing %+v", c)
}

// RetryOutgoing notes it.
func (b *Backend) RetryOutgoing(_ context.Context, tunnel string) error {
	if _, _, err := b.GetOutgoing("tunnel", tunnel); err != nil {
		return err
	}
	return b.call("retry %s", tunnel)
}
