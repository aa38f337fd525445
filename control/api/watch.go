package api

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/session"
)

// Event is a notice with its place in the order of all.
type Event struct {
	Sequence uint64
	session.Notice
}

// EventLog is where a watch reads from.
type EventLog interface {
	// Epoch tells this start of the daemon from others.
	Epoch() int64
	// Last is the sequence of the newest event, 0 before the first.
	Last() uint64
	// Follow calls yield with the events after a sequence, and then with those to
	// come, until ctx ends or yield fails. missed is how many before them were no
	// longer kept.
	Follow(ctx context.Context, after uint64, yield func(events []Event, missed uint64) error) error
}

// Events adds the service that streams what happens.
func Events(log EventLog) Option {
	return func(o *options) {
		o.services = append(o.services, func(r grpc.ServiceRegistrar, _ *options) {
			lnsv1.RegisterEventsServer(r, &watch{log: log})
		})
	}
}

type watch struct {
	lnsv1.UnimplementedEventsServer
	log EventLog
}

func (w *watch) Watch(r *lnsv1.WatchRequest, stream grpc.ServerStreamingServer[lnsv1.WatchReply]) error {
	kinds, err := noticeKinds(r.Kinds)
	if err != nil {
		return err
	}
	epoch, after := w.log.Epoch(), r.After
	switch {
	case r.Epoch != 0 && r.Epoch != epoch:
		after = 0 // the daemon was started again: all of it is new
	case r.Epoch == 0 && !r.FromStart:
		after = w.log.Last()
	}
	// The client learns the epoch at once, so that it can go on from here even if
	// nothing happens before the connection breaks.
	if err := stream.Send(&lnsv1.WatchReply{Epoch: epoch}); err != nil {
		return err
	}
	err = w.log.Follow(stream.Context(), after, func(events []Event, missed uint64) error {
		reply := &lnsv1.WatchReply{Epoch: epoch, Missed: missed}
		for i := range events {
			if kinds == nil || kinds[events[i].Kind] {
				reply.Events = append(reply.Events, eventMessage(&events[i]))
			}
		}
		if len(reply.Events) == 0 && missed == 0 {
			return nil
		}
		return stream.Send(reply)
	})
	return asStatus(err)
}

// noticeKinds is the set of some kinds, nil for all.
func noticeKinds(names []string) (map[session.NoticeKind]bool, error) {
	if len(names) == 0 {
		return nil, nil
	}
	byName := map[string]session.NoticeKind{}
	for _, k := range session.NoticeKinds() {
		byName[k.String()] = k
	}
	set := map[session.NoticeKind]bool{}
	for _, n := range names {
		k, ok := byName[n]
		if !ok {
			return nil, status.Errorf(codes.InvalidArgument, "there is no kind of event %q", utf8Text(n))
		}
		set[k] = true
	}
	return set, nil
}

func eventMessage(e *Event) *lnsv1.Event {
	return &lnsv1.Event{
		Sequence: e.Sequence, At: stamp(e.At), Kind: e.Kind.String(),
		TunnelId: uint32(e.TunnelID), SessionId: uint32(e.SessionID), Sid: e.Slot,
		User: utf8Text(e.User), Address: addrText(e.Address), AcctSessionId: e.AcctSessionID,
		Lac: portText(e.LAC), LacName: utf8Text(e.LACName), Detail: utf8Text(e.Detail),
	}
}
