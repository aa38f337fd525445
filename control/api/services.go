package api

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/session"
)

// ServicesBackend changes what is done to sessions' packets. Its methods may be called
// from any goroutine.
type ServicesBackend interface {
	// ChangeServices returns, with the number of sessions, when the change is in
	// effect; on an error nothing has changed.
	ChangeServices(context.Context, session.Selector, *session.Change, session.ChangeOptions) (int, error)
	// DefaultRate is what a session is throttled to when nothing is said; it may be
	// none.
	DefaultRate() session.Rate
	// RadiusClients are those that may change sessions by RADIUS.
	RadiusClients() []RadiusClient
}

// RadiusClient is one who may change sessions by RADIUS (RFC 5176).
type RadiusClient struct {
	Name    string
	Sources []netip.Prefix
	// Signs is true once it has sent a valid Message-Authenticator; Intercept, when it
	// may order interceptions.
	Signs, Intercept             bool
	Requests, Refused, Discarded uint64
}

// Services makes the server offer changes of what is done to packets.
func Services(b ServicesBackend) Option {
	return func(o *options) {
		o.services = append(o.services, func(r grpc.ServiceRegistrar, o *options) {
			lnsv1.RegisterServicesServer(r, &servicesService{backend: b, sessions: o.backend})
		})
	}
}

// servicesService answers the calls of the schema from a ServicesBackend.
type servicesService struct {
	lnsv1.UnimplementedServicesServer
	backend  ServicesBackend
	sessions Backend
}

func (s *servicesService) ChangeServices(ctx context.Context, r *lnsv1.ChangeServicesRequest) (*lnsv1.ChangeServicesReply, error) {
	c := &session.Change{
		Up: rateOf(r.Up), Down: rateOf(r.Down),
		FilterUp: r.FilterUp, FilterDown: r.FilterDown, Garden: r.Garden,
	}
	if r.DefaultUp || r.DefaultDown {
		rate := s.backend.DefaultRate()
		if !rate.Limited() {
			return nil, status.Error(codes.FailedPrecondition, "there is no default rate: give one, or set throttle_speed")
		}
		if r.DefaultUp {
			c.Up = &rate
		}
		if r.DefaultDown {
			c.Down = &rate
		}
	}
	return s.change(ctx, r.Target, c)
}

func (s *servicesService) Intercept(ctx context.Context, r *lnsv1.InterceptRequest) (*lnsv1.ChangeServicesReply, error) {
	var to netip.AddrPort
	if r.To != "" {
		var err error
		if to, err = netip.ParseAddrPort(r.To); err != nil {
			return nil, status.Error(codes.InvalidArgument, "not an address and port")
		}
	}
	return s.change(ctx, r.Target, &session.Change{Intercept: &to})
}

// change carries a change out for all sessions that the target names.
func (s *servicesService) change(ctx context.Context, t *lnsv1.Target, c *session.Change) (*lnsv1.ChangeServicesReply, error) {
	x := session.Selector{Slot: t.GetSid(), User: t.GetUser()}
	name := fmt.Sprintf("user %s", x.User)
	switch {
	case x.Slot != 0 && x.User != "" || x.Empty():
		return nil, status.Error(codes.InvalidArgument, "name a session or a user")
	case x.Slot != 0:
		name = fmt.Sprintf("session %d", x.Slot)
	case c.Empty():
		return nil, status.Error(codes.InvalidArgument, "nothing to change")
	}
	n, err := s.backend.ChangeServices(ctx, x, c, session.ChangeOptions{Several: true, By: CallerOf(ctx).Name})
	var invalid *session.InvalidChange
	switch {
	case errors.Is(err, session.ErrNoSession):
		return nil, status.Errorf(codes.NotFound, "%s: not found", utf8Text(name))
	case errors.As(err, &invalid):
		return nil, status.Error(codes.InvalidArgument, utf8Text(err.Error()))
	case errors.Is(err, session.ErrNotUp), errors.Is(err, session.ErrNoService), errors.Is(err, session.ErrBusy):
		return nil, status.Errorf(codes.FailedPrecondition, "%s: %s", utf8Text(name), utf8Text(err.Error()))
	case err != nil:
		return nil, asStatus(err)
	}
	return &lnsv1.ChangeServicesReply{Sessions: uint64(n)}, nil
}

func (s *servicesService) RadiusClients(context.Context, *lnsv1.RadiusClientsRequest) (*lnsv1.RadiusClientsReply, error) {
	reply := &lnsv1.RadiusClientsReply{}
	for _, c := range s.backend.RadiusClients() {
		reply.Clients = append(reply.Clients, &lnsv1.RadiusClient{
			Name: utf8Text(c.Name), Sources: prefixTexts(c.Sources), MessageAuthenticator: c.Signs,
			Intercept: c.Intercept, Requests: c.Requests, Refused: c.Refused, Discarded: c.Discarded,
		})
	}
	return reply, nil
}

// Throttled shows what the rates of the sessions have done, those that are held to one.
func (s *servicesService) Throttled(_ *lnsv1.ThrottledRequest, stream grpc.ServerStreamingServer[lnsv1.ThrottledReply]) error {
	ctx := stream.Context()
	return asStatus(s.sessions.Sessions(ctx, func(views []session.View) error {
		reply := &lnsv1.ThrottledReply{}
		for i := range views {
			v := &views[i]
			if x := v.Services; x == nil || !x.Up.Limited() && !x.Down.Limited() {
				continue
			}
			c := &v.Counters
			reply.Sessions = append(reply.Sessions, &lnsv1.ThrottledSession{
				Sid: v.Slot, User: utf8Text(v.User), Up: rateMessage(v.Services.Up), Down: rateMessage(v.Services.Down),
				UpPackets: c.UpPackets, DownPackets: c.DownPackets, UpBytes: c.UpBytes, DownBytes: c.DownBytes,
				UpDropped: c.UpThrottled, DownDropped: c.DownThrottled,
			})
		}
		if len(reply.Sessions) == 0 {
			return ctx.Err()
		}
		return stream.Send(reply)
	}))
}

func rateOf(m *lnsv1.Rate) *session.Rate {
	if m == nil {
		return nil
	}
	r := session.RateOf(m.Bits, m.Burst)
	return &r
}

func rateMessage(r session.Rate) *lnsv1.Rate {
	if !r.Limited() {
		return nil
	}
	return &lnsv1.Rate{Bits: r.Bits, Burst: r.Burst}
}

// servicesMessage shows services, without the interception unless it may be seen.
func servicesMessage(s *session.Services, intercept bool) *lnsv1.SessionServices {
	if s == nil {
		return nil
	}
	shown := *s
	if !intercept {
		shown.Intercept = netip.AddrPort{}
	}
	if shown == (session.Services{}) {
		return nil // that there is something would be told by an empty message too
	}
	return &lnsv1.SessionServices{
		Up: rateMessage(shown.Up), Down: rateMessage(shown.Down),
		FilterUp: utf8Text(shown.FilterUp), FilterDown: utf8Text(shown.FilterDown), Garden: utf8Text(shown.Garden),
		Intercept: portText(shown.Intercept),
	}
}
