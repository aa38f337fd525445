package api

import (
	"context"
	"net/netip"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// CapturesBackend captures. Its methods may be called from any goroutine.
type CapturesBackend interface {
	// Capture calls yield with the parts of a file, the first when the capture is in
	// force, until ctx ends or yield fails. data is valid only during the call.
	Capture(ctx context.Context, c Capture, yield func(data []byte, packets, dropped uint64) error) error
}

// Capture is what is to be captured; one of the first four is set.
type Capture struct {
	Slot          uint32
	User, Calling string
	LAC           netip.Addr
	Snap          int
	Secrets       bool
}

// Captures makes the server capture.
func Captures(b CapturesBackend) Option {
	return func(o *options) {
		o.services = append(o.services, func(r grpc.ServiceRegistrar, _ *options) {
			lnsv1.RegisterCapturesServer(r, &captureService{backend: b})
		})
	}
}

type captureService struct {
	lnsv1.UnimplementedCapturesServer
	backend CapturesBackend
}

func (s *captureService) Capture(r *lnsv1.CaptureRequest, stream grpc.ServerStreamingServer[lnsv1.CaptureReply]) error {
	t, err := traceTarget(&lnsv1.TraceTarget{Sid: r.Sid, User: r.User, Calling: r.Calling, Lac: r.Lac})
	if err != nil {
		return status.Error(codes.InvalidArgument, "name one thing to capture: a session, user, calling number or LAC's address")
	}
	if r.Snap > 65535 {
		return status.Error(codes.InvalidArgument, "a packet has 65535 bytes at most")
	}
	caller := CallerOf(stream.Context())
	if r.Secrets && caller.Rights&RightAdmin == 0 {
		return status.Errorf(codes.PermissionDenied, "%s has no right to see secrets (has: %s)", caller.Name, caller.Rights)
	}
	c := Capture{Slot: t.Slot, User: t.User, Calling: t.Calling, LAC: t.LAC, Snap: int(r.Snap), Secrets: r.Secrets}
	err = s.backend.Capture(stream.Context(), c, func(data []byte, packets, dropped uint64) error {
		return stream.Send(&lnsv1.CaptureReply{Data: data, Packets: packets, Dropped: dropped})
	})
	return asStatus(err)
}
