package api

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/session"
)

// AccountingBackend knows how accounting records are kept and delivered. Its methods
// may be called from any goroutine.
type AccountingBackend interface {
	Accounting(ctx context.Context) (AccountingState, error)
}

// AccountingState is how accounting records are kept and delivered.
type AccountingState struct {
	// Enabled: records are sent to RADIUS servers.
	Enabled bool
	Spool   AccountingSpool
	// Servers are those for accounting.
	Servers []session.AuthServerView
	// UsageDir is where l2tpns' files are written; "" for nowhere.
	UsageDir string
}

// AccountingSpool is what is on disk until a server has confirmed it, and what became
// of records since the start of the daemon.
type AccountingSpool struct {
	Dir string
	// Waiting records are not with the RADIUS client, InFlight are; Open accounts have
	// a Start and no Stop. Oldest is the event of the oldest record that is not
	// confirmed.
	Waiting, InFlight, Open, Bytes, Limit uint64
	Oldest                                time.Time

	Written, Delivered, Unanswered, ReadBack uint64
	Found, Recovered, Damaged                uint64
	InterimRefused, StartsRefused, Lost      uint64
	Unwritten                                uint64
}

// Accounting makes the server show how accounting goes.
func Accounting(b AccountingBackend) Option {
	return func(o *options) {
		o.services = append(o.services, func(r grpc.ServiceRegistrar, _ *options) {
			lnsv1.RegisterAccountingServer(r, &accountingService{backend: b})
		})
	}
}

type accountingService struct {
	lnsv1.UnimplementedAccountingServer
	backend AccountingBackend
}

func (s *accountingService) Accounting(ctx context.Context, _ *lnsv1.AccountingRequest) (*lnsv1.AccountingReply, error) {
	a, err := s.backend.Accounting(ctx)
	if err != nil {
		return nil, err
	}
	reply := &lnsv1.AccountingReply{Enabled: a.Enabled, UsageDir: a.UsageDir}
	if p := a.Spool; p.Dir != "" {
		reply.Spool = &lnsv1.AccountingSpool{
			Directory: p.Dir, Waiting: p.Waiting, InFlight: p.InFlight, Open: p.Open, Bytes: p.Bytes, Limit: p.Limit, Oldest: stamp(p.Oldest),
			Written: p.Written, Delivered: p.Delivered, Unanswered: p.Unanswered, ReadBack: p.ReadBack, Found: p.Found, Recovered: p.Recovered,
			InterimRefused: p.InterimRefused, StartsRefused: p.StartsRefused, Lost: p.Lost, Unwritten: p.Unwritten, Damaged: p.Damaged,
		}
	}
	for _, v := range a.Servers {
		reply.Servers = append(reply.Servers, &lnsv1.AccountingPeer{
			Name: v.Name, Group: v.Group, State: v.State, DeadUntil: stamp(v.DeadUntil), InFlight: uint64(v.InFlight), Queued: uint64(v.Queued),
			Sent: v.Sent, Resent: v.Retries, Confirmed: v.Responses, Failed: v.Timeouts, BadAnswers: v.BadAnswers,
			RttP50: int64(v.RTT50), RttP99: int64(v.RTT99),
		})
	}
	return reply, nil
}
