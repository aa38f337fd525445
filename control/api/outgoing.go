package api

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/session"
)

// OutgoingBackend keeps the tunnels and calls that begin here. kind is tunnel or session.
type OutgoingBackend interface {
	ListOutgoing(ctx context.Context) ([]session.OutgoingView, error)
	// GetOutgoing returns what the command says, and all values that hold with it.
	GetOutgoing(kind, name string) (own, effective []session.Value, err error)
	// ChangeOutgoing makes a commit of it, and disconnects what is deleted.
	ChangeOutgoing(ctx context.Context, c OutgoingChange) (CommitReport, error)
	RetryOutgoing(ctx context.Context, tunnel string) error
}

// OutgoingChange is a change of one tunnel, or of one session.
type OutgoingChange struct {
	Kind, Name     string
	Create, Delete bool
	Set            []session.Value
	Unset          []string
	By             string
}

// Outgoing makes the server offer tunnels and calls that begin here.
func Outgoing(b OutgoingBackend) Option {
	return func(o *options) {
		o.services = append(o.services, func(r grpc.ServiceRegistrar, o *options) {
			lnsv1.RegisterOutgoingServer(r, &outgoingService{backend: b, now: o.now})
		})
	}
}

type outgoingService struct {
	lnsv1.UnimplementedOutgoingServer
	backend OutgoingBackend
	now     func() time.Time
}

func outgoingKind(k lnsv1.OutgoingKind) (string, error) {
	switch k {
	case lnsv1.OutgoingKind_OUTGOING_KIND_TUNNEL:
		return "tunnel", nil
	case lnsv1.OutgoingKind_OUTGOING_KIND_SESSION:
		return "session", nil
	}
	return "", status.Error(codes.InvalidArgument, "a tunnel or a session?")
}

func (s *outgoingService) ListOutgoing(ctx context.Context, _ *lnsv1.ListOutgoingRequest) (*lnsv1.ListOutgoingReply, error) {
	views, err := s.backend.ListOutgoing(ctx)
	if err != nil {
		return nil, about(err, "tunnels")
	}
	reply := &lnsv1.ListOutgoingReply{Now: s.now().UnixNano()}
	for i := range views {
		reply.Tunnels = append(reply.Tunnels, outgoingTunnel(&views[i]))
	}
	return reply, nil
}

func outgoingTunnel(v *session.OutgoingView) *lnsv1.OutgoingTunnel {
	t := &lnsv1.OutgoingTunnel{
		Name: utf8Text(v.Name), Role: v.Role, Local: v.Local.String(), Peer: v.Peer.String(), HostName: utf8Text(v.HostName),
		Persist: v.Persist, State: v.State, Reason: utf8Text(v.Reason), TunnelId: uint32(v.TunnelID),
		Attempts: uint32(v.Attempts), RetryAt: stamp(v.RetryAt), Sessions: uint32(v.Sessions),
	}
	for i := range v.Calls {
		t.Calls = append(t.Calls, outgoingSession(&v.Calls[i]))
	}
	return t
}

func outgoingSession(v *session.PlacedView) *lnsv1.OutgoingSession {
	return &lnsv1.OutgoingSession{
		Name: utf8Text(v.Name), Tunnel: utf8Text(v.Tunnel), Type: v.Type, Persist: v.Persist, State: v.State, Reason: utf8Text(v.Reason),
		Sid: v.Slot, TunnelId: uint32(v.TunnelID), SessionId: uint32(v.SessionID), User: utf8Text(v.User),
		OwnAddress: addrText(v.Own), PeerAddress: addrText(v.Peer), Attempts: uint32(v.Attempts), RetryAt: stamp(v.RetryAt),
	}
}

func (s *outgoingService) GetOutgoing(ctx context.Context, r *lnsv1.GetOutgoingRequest) (*lnsv1.GetOutgoingReply, error) {
	kind, err := outgoingKind(r.Kind)
	if err != nil {
		return nil, err
	}
	own, effective, err := s.backend.GetOutgoing(kind, r.Name)
	if err != nil {
		return nil, about(err, "%s %s", kind, r.Name)
	}
	views, err := s.backend.ListOutgoing(ctx)
	if err != nil {
		return nil, about(err, "%s %s", kind, r.Name)
	}
	reply := &lnsv1.GetOutgoingReply{Own: profileValues(own), Values: profileValues(effective), Now: s.now().UnixNano()}
	for i := range views {
		v := views[i]
		if kind == "tunnel" && v.Name == r.Name {
			reply.Tunnel = outgoingTunnel(&v)
		}
		for k := range v.Calls {
			if kind == "session" && v.Calls[k].Name == r.Name {
				v.Calls = v.Calls[k : k+1]
				reply.Tunnel = outgoingTunnel(&v)
				break
			}
		}
	}
	if reply.Tunnel == nil { // it is about to be made, or to go
		return nil, about(ErrNotFound, "%s %s", kind, r.Name)
	}
	return reply, nil
}

func (s *outgoingService) ChangeOutgoing(ctx context.Context, r *lnsv1.ChangeOutgoingRequest) (*lnsv1.ChangeOutgoingReply, error) {
	kind, err := outgoingKind(r.Kind)
	if err != nil {
		return nil, err
	}
	c := OutgoingChange{
		Kind: kind, Name: r.Name, Create: r.Verb == lnsv1.ChangeOutgoingRequest_VERB_CREATE,
		Delete: r.Verb == lnsv1.ChangeOutgoingRequest_VERB_DELETE, Unset: r.Unset, By: CallerOf(ctx).Name,
	}
	for _, v := range r.Set {
		c.Set = append(c.Set, session.Value{Name: v.Name, Value: v.Value})
	}
	report, err := s.backend.ChangeOutgoing(ctx, c)
	if err != nil {
		return nil, about(err, "%s %s", kind, r.Name)
	}
	reply, err := commitReply(report, nil)
	return &lnsv1.ChangeOutgoingReply{Commit: reply}, err
}

func (s *outgoingService) RetryOutgoing(ctx context.Context, r *lnsv1.RetryOutgoingRequest) (*lnsv1.RetryOutgoingReply, error) {
	if err := s.backend.RetryOutgoing(ctx, r.Tunnel); err != nil {
		return nil, about(err, "tunnel %s", r.Tunnel)
	}
	return &lnsv1.RetryOutgoingReply{}, nil
}
