package api

import (
	"context"
	"net/netip"
	"time"

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
	// ListCaptures returns those that are on.
	ListCaptures() []ActiveCapture
}

// ActiveCapture is a capture that is on.
type ActiveCapture struct {
	Capture
	Since            time.Time
	Sessions         int // that it holds now
	Packets, Dropped uint64
}

// Capture is what is to be captured; one of the first four is set.
type Capture struct {
	Slot          uint32
	User, Calling string
	LAC           netip.Addr
	Snap          int
	Secrets       bool
	By            string // who asked for it
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
	c := Capture{Slot: t.Slot, User: t.User, Calling: t.Calling, LAC: t.LAC, Snap: int(r.Snap), Secrets: r.Secrets, By: caller.Name}
	err = s.backend.Capture(stream.Context(), c, func(data []byte, packets, dropped uint64) error {
		return stream.Send(&lnsv1.CaptureReply{Data: data, Packets: packets, Dropped: dropped})
	})
	return asStatus(err)
}

func (s *captureService) ListCaptures(context.Context, *lnsv1.ListCapturesRequest) (*lnsv1.ListCapturesReply, error) {
	reply := &lnsv1.ListCapturesReply{}
	for _, c := range s.backend.ListCaptures() {
		of := &lnsv1.CaptureRequest{Sid: c.Slot, User: utf8Text(c.User), Calling: utf8Text(c.Calling), Snap: uint32(c.Snap), Secrets: c.Secrets}
		if c.LAC.IsValid() {
			of.Lac = c.LAC.String()
		}
		reply.Captures = append(reply.Captures, &lnsv1.ActiveCapture{
			Of: of, By: utf8Text(c.By), Since: stamp(c.Since), Sessions: uint32(c.Sessions), Packets: c.Packets, Dropped: c.Dropped,
		})
	}
	return reply, nil
}
