package api

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/session"
)

// ProfilesBackend keeps profiles. layer is peer, tunnel, session or ppp.
type ProfilesBackend interface {
	ListProfiles(layer string) []Profile
	// GetProfile returns a profile, and all values that hold with it.
	GetProfile(layer, name string) (p Profile, effective []session.Value, err error)
	// ChangeProfile makes a commit of it, and returns how many sessions that are up were
	// changed too.
	ChangeProfile(ctx context.Context, c ProfileChange) (CommitReport, int, error)
	// Explain says where each value of a session is from.
	Explain(ctx context.Context, slot uint32) (user, peer string, values []session.Value, err error)
}

// Profile is what one profile says itself; secrets are hidden.
type Profile struct {
	Layer, Name string
	Values      []session.Value
}

// ProfileChange is a change of one profile.
type ProfileChange struct {
	Layer, Name    string
	Create, Delete bool
	Set            []session.Value
	Unset          []string
	// Live changes sessions that are up, too, as far as they can be.
	Live, Force bool
	By          string
}

// Profiles makes the server offer profiles.
func Profiles(b ProfilesBackend) Option {
	return func(o *options) {
		o.services = append(o.services, func(r grpc.ServiceRegistrar, _ *options) {
			lnsv1.RegisterProfilesServer(r, &profilesService{backend: b})
		})
	}
}

type profilesService struct {
	lnsv1.UnimplementedProfilesServer
	backend ProfilesBackend
}

func layers() map[lnsv1.ProfileKind]string {
	return map[lnsv1.ProfileKind]string{
		lnsv1.ProfileKind_PROFILE_KIND_PEER: "peer", lnsv1.ProfileKind_PROFILE_KIND_TUNNEL: "tunnel",
		lnsv1.ProfileKind_PROFILE_KIND_SESSION: "session", lnsv1.ProfileKind_PROFILE_KIND_PPP: "ppp",
	}
}

func layerOf(k lnsv1.ProfileKind) (string, error) {
	l, ok := layers()[k]
	if !ok {
		return "", status.Error(codes.InvalidArgument, "which kind of profile?")
	}
	return l, nil
}

func (s *profilesService) ListProfiles(_ context.Context, r *lnsv1.ListProfilesRequest) (*lnsv1.ListProfilesReply, error) {
	layer, err := layerOf(r.Kind)
	if err != nil {
		return nil, err
	}
	reply := &lnsv1.ListProfilesReply{}
	for _, p := range s.backend.ListProfiles(layer) {
		reply.Profiles = append(reply.Profiles, profileOf(r.Kind, p))
	}
	return reply, nil
}

func profileOf(k lnsv1.ProfileKind, p Profile) *lnsv1.Profile {
	return &lnsv1.Profile{Kind: k, Name: utf8Text(p.Name), Values: profileValues(p.Values)}
}

func profileValues(vs []session.Value) []*lnsv1.ProfileValue {
	var out []*lnsv1.ProfileValue
	for _, v := range vs {
		out = append(out, &lnsv1.ProfileValue{Name: utf8Text(v.Name), Value: utf8Text(v.Value), Source: utf8Text(v.Source)})
	}
	return out
}

func (s *profilesService) GetProfile(_ context.Context, r *lnsv1.GetProfileRequest) (*lnsv1.GetProfileReply, error) {
	layer, err := layerOf(r.Kind)
	if err != nil {
		return nil, err
	}
	p, effective, err := s.backend.GetProfile(layer, r.Name)
	if err != nil {
		return nil, about(err, "%s profile %s", layer, r.Name)
	}
	return &lnsv1.GetProfileReply{Profile: profileOf(r.Kind, p), Values: profileValues(effective)}, nil
}

func (s *profilesService) ChangeProfile(ctx context.Context, r *lnsv1.ChangeProfileRequest) (*lnsv1.ChangeProfileReply, error) {
	layer, err := layerOf(r.Kind)
	if err != nil {
		return nil, err
	}
	c := ProfileChange{
		Layer: layer, Name: r.Name, Create: r.Verb == lnsv1.ChangeProfileRequest_VERB_CREATE,
		Delete: r.Verb == lnsv1.ChangeProfileRequest_VERB_DELETE, Unset: r.Unset, Live: r.Live, Force: r.Force, By: CallerOf(ctx).Name,
	}
	for _, v := range r.Set {
		c.Set = append(c.Set, session.Value{Name: v.Name, Value: v.Value})
	}
	report, changed, err := s.backend.ChangeProfile(ctx, c)
	if err != nil {
		return nil, about(err, "%s profile %s", layer, r.Name)
	}
	reply, err := commitReply(report, nil)
	return &lnsv1.ChangeProfileReply{Commit: reply, Changed: uint64(changed)}, err
}

func (s *profilesService) Explain(ctx context.Context, r *lnsv1.ExplainRequest) (*lnsv1.ExplainReply, error) {
	user, peer, values, err := s.backend.Explain(ctx, r.Sid)
	if err != nil {
		return nil, about(err, "session %d", r.Sid)
	}
	reply := &lnsv1.ExplainReply{Sid: r.Sid, User: utf8Text(user), Peer: utf8Text(peer)}
	for _, v := range values {
		reply.Values = append(reply.Values, &lnsv1.ExplainValue{Name: utf8Text(v.Name), Value: utf8Text(v.Value), Source: utf8Text(v.Source)})
	}
	return reply, nil
}
