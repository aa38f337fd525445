package apitest

import (
	"context"
	"fmt"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/session"
)

// ListProfiles returns those of ProfileList.
func (b *Backend) ListProfiles(layer string) (out []api.Profile) {
	for _, p := range b.ProfileList {
		if p.Layer == layer {
			out = append(out, p)
		}
	}
	return out
}

// GetProfile finds in ProfileList; what is effective are Explained.
func (b *Backend) GetProfile(layer, name string) (api.Profile, []session.Value, error) {
	for _, p := range b.ListProfiles(layer) {
		if p.Name == name {
			return p, b.Explained, b.Err
		}
	}
	return api.Profile{}, nil, api.ErrNotFound
}

// ChangeProfile notes the change.
func (b *Backend) ChangeProfile(_ context.Context, c api.ProfileChange) (api.CommitReport, int, error) {
	if _, _, err := b.GetProfile(c.Layer, c.Name); err != nil && !c.Create {
		return api.CommitReport{}, 0, err
	} else if err == nil && c.Create {
		return api.CommitReport{}, 0, fmt.Errorf("%w: there is one already", api.ErrRefused)
	}
	c.By = ""
	return api.CommitReport{Commit: 15}, 2, b.call("profile %+v", c)
}

// Explain returns Explained for sessions that there are.
func (b *Backend) Explain(ctx context.Context, slot uint32) (string, string, []session.Value, error) {
	v, err := b.Session(ctx, slot)
	return v.User, "peer profile north", b.Explained, err
}
