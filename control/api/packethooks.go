package api

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// PacketHooksBackend puts the operator's functions into the path of packets. Its methods
// may be called from any goroutine.
type PacketHooksBackend interface {
	// PacketHooks returns both directions, up first.
	PacketHooks() [2]PacketHook
	// LoadPacketHook returns the function's name. by is who asked for it.
	LoadPacketHook(up bool, object []byte, function, by string) (string, error)
	UnloadPacketHook(up bool) error
}

// PacketHook is the function in force for a direction; Function is "" for none.
type PacketHook struct {
	Function, Source string
	// Maps are the paths where its maps are pinned.
	Maps []string
}

// PacketHooks makes the server offer them.
func PacketHooks(b PacketHooksBackend) Option {
	return func(o *options) {
		o.services = append(o.services, func(r grpc.ServiceRegistrar, _ *options) {
			lnsv1.RegisterPacketHooksServer(r, &packetHooksService{backend: b})
		})
	}
}

// packetHooksService answers the calls of the schema from a PacketHooksBackend.
type packetHooksService struct {
	lnsv1.UnimplementedPacketHooksServer
	backend PacketHooksBackend
}

func (s *packetHooksService) PacketHooks(context.Context, *lnsv1.PacketHooksRequest) (*lnsv1.PacketHooksReply, error) {
	reply := &lnsv1.PacketHooksReply{}
	for i, h := range s.backend.PacketHooks() {
		m := &lnsv1.PacketHook{
			Direction: lnsv1.PacketDirection(i + 1), Function: utf8Text(h.Function), Source: utf8Text(h.Source),
		}
		for _, path := range h.Maps {
			m.Maps = append(m.Maps, utf8Text(path))
		}
		reply.Hooks = append(reply.Hooks, m)
	}
	return reply, nil
}

// isUp reads a direction.
func isUp(d lnsv1.PacketDirection) (bool, error) {
	switch d {
	case lnsv1.PacketDirection_PACKET_DIRECTION_UP:
		return true, nil
	case lnsv1.PacketDirection_PACKET_DIRECTION_DOWN:
		return false, nil
	}
	return false, status.Error(codes.InvalidArgument, "name a direction")
}

func (s *packetHooksService) LoadPacketHook(ctx context.Context, r *lnsv1.LoadPacketHookRequest) (*lnsv1.LoadPacketHookReply, error) {
	up, err := isUp(r.Direction)
	if err != nil {
		return nil, err
	}
	function, err := s.backend.LoadPacketHook(up, r.Object, r.Function, CallerOf(ctx).Name)
	if err != nil {
		return nil, asStatus(fmt.Errorf("%w: %w", ErrRefused, err))
	}
	return &lnsv1.LoadPacketHookReply{Function: utf8Text(function)}, nil
}

func (s *packetHooksService) UnloadPacketHook(_ context.Context, r *lnsv1.UnloadPacketHookRequest) (*lnsv1.UnloadPacketHookReply, error) {
	up, err := isUp(r.Direction)
	if err != nil {
		return nil, err
	}
	if err := s.backend.UnloadPacketHook(up); err != nil {
		return nil, asStatus(err)
	}
	return &lnsv1.UnloadPacketHookReply{}, nil
}
