package api

import (
	"context"
	"path"
	"regexp"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/api/rows"
	"github.com/lnsd/lnsd/control/session"
)

const (
	maxFilters = 8
	maxPattern = 1000 // bytes
)

// service answers the calls of the schema from a Backend.
type service struct {
	lnsv1.UnimplementedLNSServer
	backend Backend
	now     func() time.Time
}

func (s *service) Status(ctx context.Context, _ *lnsv1.StatusRequest) (*lnsv1.StatusReply, error) {
	st, err := s.backend.Status(ctx)
	if err != nil {
		return nil, asStatus(err)
	}
	return statusMessage(st, s.now()), nil
}

func (s *service) Sessions(r *lnsv1.SessionsRequest, stream grpc.ServerStreamingServer[lnsv1.SessionsReply]) error {
	keep, err := sessionFilter(r)
	if err != nil {
		return err
	}
	passes, err := lineFilter(r.Filters)
	if err != nil {
		return err
	}
	ctx, now := stream.Context(), s.now()
	intercept := mayIntercept(ctx)
	send := func(vs []session.View) error {
		reply := &lnsv1.SessionsReply{}
		for i := range vs {
			if !keep(&vs[i]) {
				continue
			}
			if m := sessionMessage(&vs[i], now, intercept); passes(m) {
				reply.Sessions = append(reply.Sessions, m)
			}
		}
		if len(reply.Sessions) == 0 {
			return ctx.Err()
		}
		return stream.Send(reply)
	}
	// A name without wildcards is looked up instead of searched for.
	if r.UserGlob != "" && !strings.ContainsAny(r.UserGlob, `*?[\`) {
		vs, err := s.backend.UserSessions(ctx, r.UserGlob)
		if err != nil {
			return about(err, "user %s", r.UserGlob)
		}
		return asStatus(send(vs))
	}
	return asStatus(s.backend.Sessions(ctx, send))
}

// sessionFilter turns a request into a test of one session.
func sessionFilter(r *lnsv1.SessionsRequest) (func(*session.View) bool, error) {
	if _, err := path.Match(r.UserGlob, ""); err != nil {
		return nil, status.Error(codes.InvalidArgument, "user: not a pattern of letters, * and ?")
	}
	return func(v *session.View) bool {
		if r.State != "" && r.State != v.State {
			return false
		}
		if r.TunnelId != 0 && r.TunnelId != uint32(v.TunnelID) {
			return false
		}
		if r.UserGlob == "" {
			return true
		}
		ok, _ := path.Match(r.UserGlob, v.User)
		return ok
	}, nil
}

// lineFilter turns filters into a test of the row that a session makes.
func lineFilter(filters []*lnsv1.LineFilter) (func(*lnsv1.SessionInfo) bool, error) {
	if len(filters) > maxFilters {
		return nil, status.Errorf(codes.InvalidArgument, "more than %d filters", maxFilters)
	}
	patterns := make([]*regexp.Regexp, len(filters))
	for i, f := range filters {
		var err error
		if patterns[i], err = regexp.Compile(f.Pattern); err != nil || len(f.Pattern) > maxPattern {
			return nil, status.Error(codes.InvalidArgument, "filter: not a regular expression")
		}
	}
	return func(m *lnsv1.SessionInfo) bool {
		if len(patterns) == 0 {
			return true
		}
		line := rows.SessionLine(m)
		for i, p := range patterns {
			if p.MatchString(line) == filters[i].Exclude {
				return false
			}
		}
		return true
	}, nil
}

func (s *service) Session(ctx context.Context, r *lnsv1.SessionRequest) (*lnsv1.SessionInfo, error) {
	v, err := s.backend.Session(ctx, r.Sid)
	if err != nil {
		return nil, about(err, "session %d", r.Sid)
	}
	return sessionMessage(&v, s.now(), mayIntercept(ctx)), nil
}

func (s *service) Tunnels(ctx context.Context, _ *lnsv1.TunnelsRequest) (*lnsv1.TunnelsReply, error) {
	vs, err := s.backend.Tunnels(ctx)
	if err != nil {
		return nil, asStatus(err)
	}
	reply := &lnsv1.TunnelsReply{}
	for i := range vs {
		reply.Tunnels = append(reply.Tunnels, tunnelMessage(&vs[i], s.now()))
	}
	return reply, nil
}

func (s *service) Tunnel(ctx context.Context, r *lnsv1.TunnelRequest) (*lnsv1.TunnelInfo, error) {
	id, err := tunnelID(r.TunnelId)
	if err != nil {
		return nil, err
	}
	v, err := s.backend.Tunnel(ctx, id)
	if err != nil {
		return nil, about(err, "tunnel %d", id)
	}
	return tunnelMessage(&v, s.now()), nil
}

// tunnelID checks an id that the schema holds in 32 bits.
func tunnelID(id uint32) (uint16, error) {
	if id == 0 || id > 0xFFFF {
		return 0, status.Errorf(codes.InvalidArgument, "tunnel %d: ids are 1 to 65535", id)
	}
	return uint16(id), nil
}

func (s *service) Pools(ctx context.Context, _ *lnsv1.PoolsRequest) (*lnsv1.PoolsReply, error) {
	vs, err := s.backend.Pools(ctx)
	if err != nil {
		return nil, asStatus(err)
	}
	reply := &lnsv1.PoolsReply{}
	for i := range vs {
		reply.Pools = append(reply.Pools, poolMessage(&vs[i]))
	}
	return reply, nil
}

func (s *service) Leases(r *lnsv1.LeasesRequest, stream grpc.ServerStreamingServer[lnsv1.LeasesReply]) error {
	ctx, now := stream.Context(), s.now()
	pools := []string{r.Pool}
	if r.Pool == "" {
		vs, err := s.backend.Pools(ctx)
		if err != nil {
			return asStatus(err)
		}
		pools = pools[:0]
		for i := range vs {
			pools = append(pools, vs[i].Name)
		}
	}
	for _, pool := range pools {
		err := s.backend.Leases(ctx, pool, func(vs []session.LeaseView) error {
			reply := &lnsv1.LeasesReply{}
			for i := range vs {
				reply.Leases = append(reply.Leases, leaseMessage(&vs[i], now))
			}
			return stream.Send(reply)
		})
		if err != nil {
			return about(err, "pool %s", pool)
		}
	}
	return nil
}

func (s *service) Counters(ctx context.Context, _ *lnsv1.CountersRequest) (*lnsv1.CountersReply, error) {
	cs, err := s.backend.Counters(ctx)
	if err != nil {
		return nil, asStatus(err)
	}
	reply := &lnsv1.CountersReply{}
	for _, c := range cs {
		reply.Counters = append(reply.Counters, &lnsv1.Count{Name: c.Name, Value: c.Value})
	}
	return reply, nil
}

func (s *service) RadiusServers(ctx context.Context, _ *lnsv1.RadiusServersRequest) (*lnsv1.RadiusServersReply, error) {
	vs, err := s.backend.AuthServers(ctx)
	if err != nil {
		return nil, asStatus(err)
	}
	reply := &lnsv1.RadiusServersReply{}
	for i := range vs {
		reply.Servers = append(reply.Servers, serverMessage(&vs[i]))
	}
	return reply, nil
}

func (s *service) RunningConfig(ctx context.Context, _ *lnsv1.RunningConfigRequest) (*lnsv1.RunningConfigReply, error) {
	text, err := s.backend.RunningConfig(ctx)
	if err != nil {
		return nil, asStatus(err)
	}
	return &lnsv1.RunningConfigReply{Text: text}, nil
}

func (s *service) DropSession(ctx context.Context, r *lnsv1.DropSessionRequest) (*lnsv1.DropReply, error) {
	cause, err := terminateCause(r.Cause)
	if err != nil {
		return nil, err
	}
	if err := s.backend.DropSession(ctx, r.Sid, cause); err != nil {
		return nil, about(err, "session %d", r.Sid)
	}
	return &lnsv1.DropReply{Sessions: 1}, nil
}

func (s *service) DropTunnel(ctx context.Context, r *lnsv1.DropTunnelRequest) (*lnsv1.DropReply, error) {
	id, err := tunnelID(r.TunnelId)
	if err != nil {
		return nil, err
	}
	v, err := s.backend.Tunnel(ctx, id)
	if err != nil {
		return nil, about(err, "tunnel %d", id)
	}
	if err := s.backend.DropTunnel(ctx, id); err != nil {
		return nil, about(err, "tunnel %d", id)
	}
	return &lnsv1.DropReply{Sessions: uint64(v.Sessions)}, nil
}

func (s *service) DropUser(ctx context.Context, r *lnsv1.DropUserRequest) (*lnsv1.DropReply, error) {
	cause, err := terminateCause(r.Cause)
	if err != nil {
		return nil, err
	}
	if r.User == "" {
		return nil, status.Error(codes.InvalidArgument, "no user named")
	}
	n, err := s.backend.DropUser(ctx, r.User, cause)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, about(err, "user %s", r.User)
	}
	return &lnsv1.DropReply{Sessions: uint64(n)}, nil
}

// terminateCause checks a cause; an operator's act is Admin Reset unless said
// otherwise.
func terminateCause(n uint32) (session.TerminateCause, error) {
	if n == 0 {
		return session.CauseAdminReset, nil
	}
	if n > uint32(session.CauseHostRequest) {
		return 0, status.Errorf(codes.InvalidArgument, "cause %d: not an Acct-Terminate-Cause", n)
	}
	return session.TerminateCause(n), nil
}

func (s *service) Reload(ctx context.Context, _ *lnsv1.ReloadRequest) (*lnsv1.ReloadReply, error) {
	notes, err := s.backend.Reload(ctx)
	if err != nil {
		return nil, asStatus(err)
	}
	return &lnsv1.ReloadReply{Notes: notes}, nil
}

func (s *service) Shutdown(ctx context.Context, _ *lnsv1.ShutdownRequest) (*lnsv1.ShutdownReply, error) {
	if err := s.backend.Shutdown(ctx); err != nil {
		return nil, asStatus(err)
	}
	return &lnsv1.ShutdownReply{}, nil
}
