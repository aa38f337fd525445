package api

import (
	"context"
	"net/netip"
	"time"

	"google.golang.org/grpc"

	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// InterceptionsBackend knows who is intercepted. Its methods may be called from any
// goroutine.
type InterceptionsBackend interface {
	Interceptions() []Interception
}

// Interception is one intercepted session.
type Interception struct {
	Slot                uint32
	User, AcctSessionID string
	Target              netip.AddrPort
	Since               time.Time
	// What was copied, and what was not: Lost found no room, NotSent no way.
	UpPackets, UpBytes, DownPackets, DownBytes uint64
	Lost, NotSent                              uint64
}

// Interceptions makes the server show interceptions to those who may see them.
func Interceptions(b InterceptionsBackend) Option {
	return func(o *options) {
		o.services = append(o.services, func(r grpc.ServiceRegistrar, _ *options) {
			lnsv1.RegisterInterceptionsServer(r, &interceptionsService{backend: b})
		})
	}
}

type interceptionsService struct {
	lnsv1.UnimplementedInterceptionsServer
	backend InterceptionsBackend
}

func (s *interceptionsService) Interceptions(context.Context, *lnsv1.InterceptionsRequest) (*lnsv1.InterceptionsReply, error) {
	reply := &lnsv1.InterceptionsReply{}
	for _, x := range s.backend.Interceptions() {
		reply.Interceptions = append(reply.Interceptions, &lnsv1.Interception{
			Sid: x.Slot, User: utf8Text(x.User), AcctSessionId: x.AcctSessionID, Target: portText(x.Target), Since: x.Since.UnixNano(),
			UpPackets: x.UpPackets, UpBytes: x.UpBytes, DownPackets: x.DownPackets, DownBytes: x.DownBytes,
			Lost: x.Lost, NotSent: x.NotSent,
		})
	}
	return reply, nil
}
