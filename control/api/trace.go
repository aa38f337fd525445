package api

import (
	"context"
	"net/netip"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/session"
)

// TraceBackend traces. Its methods may be called from any goroutine.
type TraceBackend interface {
	// Set traces into the log, for d or, when that is 0, until Clear.
	Set(t session.TraceTarget, m session.TraceMask, d time.Duration, by string) (session.TraceRule, error)
	// List returns the traces into the log, and how many lines were too many for it.
	List() (rules []session.TraceRule, dropped uint64)
	// Clear ends the traces into the log that which chooses, and returns them.
	Clear(which func(*session.TraceRule) bool) []session.TraceRule
	// Follow calls begun when the trace is in force, and yield with its lines until ctx
	// ends or yield fails. missed is how many lines were lost since the last call.
	Follow(ctx context.Context, t session.TraceTarget, m session.TraceMask, begun func() error,
		yield func(lines []session.TraceLine, missed uint64) error) error
}

// Traces makes the server trace.
func Traces(b TraceBackend) Option {
	return func(o *options) {
		o.services = append(o.services, func(r grpc.ServiceRegistrar, _ *options) {
			lnsv1.RegisterTracesServer(r, &traceService{backend: b})
		})
	}
}

// Asked has f told of each call that was let in: which method, by whom, and whether it
// was answered. It must not block.
func Asked(f func(method, by string, err error)) Option {
	return func(o *options) { o.asked = f }
}

// observing are the interceptors that tell f.
func observing(f func(method, by string, err error)) []grpc.ServerOption {
	if f == nil {
		return nil
	}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			reply, err := next(ctx, req)
			f(info.FullMethod, CallerOf(ctx).Name, err)
			return reply, err
		}),
		grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			err := next(srv, ss)
			f(info.FullMethod, CallerOf(ss.Context()).Name, err)
			return err
		}),
	}
}

// TraceCategories are the names of what can be traced.
func TraceCategories() []string { return session.TraceCategories() }

// traceService answers the calls of the schema from a TraceBackend.
type traceService struct {
	lnsv1.UnimplementedTracesServer
	backend TraceBackend
}

func (s *traceService) SetTrace(ctx context.Context, r *lnsv1.SetTraceRequest) (*lnsv1.Trace, error) {
	t, m, err := traceOf(r.Target, r.Categories)
	if err != nil {
		return nil, err
	}
	const longest = 365 * 24 * 3600
	if r.Seconds > longest {
		return nil, status.Error(codes.InvalidArgument, "a trace lasts a year at most")
	}
	rule, err := s.backend.Set(t, m, time.Duration(r.Seconds)*time.Second, CallerOf(ctx).Name)
	if err != nil {
		return nil, status.Error(codes.ResourceExhausted, err.Error())
	}
	return traceMessage(&rule), nil
}

func (s *traceService) ListTraces(context.Context, *lnsv1.ListTracesRequest) (*lnsv1.ListTracesReply, error) {
	rules, dropped := s.backend.List()
	reply := &lnsv1.ListTracesReply{Dropped: dropped}
	for i := range rules {
		reply.Traces = append(reply.Traces, traceMessage(&rules[i]))
	}
	return reply, nil
}

func (s *traceService) ClearTraces(_ context.Context, r *lnsv1.ClearTracesRequest) (*lnsv1.ClearTracesReply, error) {
	var t session.TraceTarget
	if r.Target != nil {
		var err error
		if t, err = traceTarget(r.Target); err != nil {
			return nil, err
		}
	}
	gone := s.backend.Clear(func(x *session.TraceRule) bool {
		return r.All || r.Id != 0 && r.Id == x.ID || t.Valid() && t == x.TraceTarget
	})
	if len(gone) == 0 && !r.All {
		return nil, status.Error(codes.NotFound, "there is no such trace")
	}
	reply := &lnsv1.ClearTracesReply{}
	for i := range gone {
		reply.Cleared = append(reply.Cleared, traceMessage(&gone[i]))
	}
	return reply, nil
}

func (s *traceService) FollowTrace(r *lnsv1.FollowTraceRequest, stream grpc.ServerStreamingServer[lnsv1.FollowTraceReply]) error {
	t, m, err := traceOf(r.Target, r.Categories)
	if err != nil {
		return err
	}
	// The first answer, an empty one, says that the trace is in force.
	begun := func() error { return stream.Send(&lnsv1.FollowTraceReply{}) }
	err = s.backend.Follow(stream.Context(), t, m, begun, func(lines []session.TraceLine, missed uint64) error {
		reply := &lnsv1.FollowTraceReply{Missed: missed}
		for i := range lines {
			reply.Lines = append(reply.Lines, traceLine(&lines[i]))
		}
		return stream.Send(reply)
	})
	return asStatus(err)
}

// traceOf reads what is to be traced; no categories are all.
func traceOf(x *lnsv1.TraceTarget, categories string) (session.TraceTarget, session.TraceMask, error) {
	t, err := traceTarget(x)
	if err != nil {
		return t, 0, err
	}
	m := session.TraceAll
	if categories != "" {
		if m, err = session.ParseTraceMask(categories); err != nil {
			return t, 0, status.Error(codes.InvalidArgument, utf8Text(err.Error()))
		}
	}
	if m == 0 {
		return t, 0, status.Error(codes.InvalidArgument, "no category to trace")
	}
	return t, m, nil
}

func traceTarget(x *lnsv1.TraceTarget) (t session.TraceTarget, err error) {
	t = session.TraceTarget{System: x.GetSystem(), Slot: x.GetSid(), Tunnel: uint16(x.GetTunnelId()), User: x.GetUser(), Calling: x.GetCalling()}
	if x.GetTunnelId() > 65535 {
		return t, status.Error(codes.InvalidArgument, "a tunnel's number is at most 65535")
	}
	if x.GetLac() != "" {
		if t.LAC, err = netip.ParseAddr(x.GetLac()); err != nil {
			return t, status.Error(codes.InvalidArgument, "a LAC is named by its address")
		}
		t.LAC = t.LAC.Unmap()
	}
	n := 0
	for _, set := range []bool{t.System, t.Slot != 0, t.Tunnel != 0, t.User != "", t.Calling != "", t.LAC.IsValid()} {
		if set {
			n++
		}
	}
	if n != 1 {
		return t, status.Error(codes.InvalidArgument, "name one thing to trace: system, a session, tunnel, user, calling number or LAC")
	}
	return t, nil
}

func traceMessage(r *session.TraceRule) *lnsv1.Trace {
	return &lnsv1.Trace{
		Id: r.ID, Categories: r.Mask.String(), Mask: uint32(r.Mask), Until: stamp(r.Until), By: utf8Text(r.By),
		Target: &lnsv1.TraceTarget{
			System: r.System, Sid: r.Slot, TunnelId: uint32(r.Tunnel), User: utf8Text(r.User), Calling: utf8Text(r.Calling), Lac: addrText(r.LAC),
		},
	}
}

func traceLine(l *session.TraceLine) *lnsv1.TraceLine {
	return &lnsv1.TraceLine{
		At: stamp(l.At), Category: l.Category.String(), TunnelId: uint32(l.TunnelID), SessionId: uint32(l.SessionID), Sid: l.Slot,
		User: utf8Text(l.User), Lac: portText(l.LAC), Text: utf8Text(l.Text),
	}
}
