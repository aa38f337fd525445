package api

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/session"
)

// HistoryBackend remembers what became of sessions. Its methods may be called from any
// goroutine.
type HistoryBackend interface {
	// Stories are those of a session, user or tunnel, as far as these are not zero, or
	// of what failed; the oldest first.
	Stories(slot uint32, user string, tunnel uint16, failed bool) []session.Story
}

// History makes the server tell what became of sessions.
func History(b HistoryBackend) Option {
	return func(o *options) {
		o.services = append(o.services, func(r grpc.ServiceRegistrar, _ *options) {
			lnsv1.RegisterHistoryServer(r, &historyService{backend: b})
		})
	}
}

// historyService answers the calls of the schema from a HistoryBackend.
type historyService struct {
	lnsv1.UnimplementedHistoryServer
	backend HistoryBackend
}

// storyBatch is how many stories go into a message.
const storyBatch = 64

func (s *historyService) Stories(r *lnsv1.StoriesRequest, stream grpc.ServerStreamingServer[lnsv1.StoriesReply]) error {
	if r.TunnelId > 65535 {
		return status.Error(codes.InvalidArgument, "a tunnel's number is at most 65535")
	}
	all := s.backend.Stories(r.Sid, r.User, uint16(r.TunnelId), r.Failed)
	for len(all) > 0 {
		n := min(len(all), storyBatch)
		reply := &lnsv1.StoriesReply{}
		for i := range all[:n] {
			reply.Stories = append(reply.Stories, storyMessage(&all[i]))
		}
		all = all[n:]
		if err := stream.Send(reply); err != nil {
			return err
		}
	}
	return nil
}

func storyMessage(s *session.Story) *lnsv1.Story {
	m := &lnsv1.Story{
		TunnelId: uint32(s.TunnelID), SessionId: uint32(s.SessionID), Sid: s.Slot, User: utf8Text(s.User), AcctSessionId: s.AcctSessionID,
		Lac: portText(s.LAC), LacName: utf8Text(s.LACName), State: s.State, Stage: s.Stage,
		Reason: utf8Text(s.Reason), Check: s.Check, RepeatedFailures: s.Repeated,
	}
	for _, e := range s.Events {
		m.Events = append(m.Events, &lnsv1.StoryEvent{At: stamp(e.At), What: e.What, Detail: utf8Text(e.Detail)})
	}
	return m
}
