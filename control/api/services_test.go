package api

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/session"
)

// noted is a backend that notes what it is asked for.
type noted struct {
	err     error
	changes []session.Change
	by      []string
}

func (n *noted) ChangeServices(_ context.Context, _ session.Selector, c *session.Change, o session.ChangeOptions) (int, error) {
	n.changes, n.by = append(n.changes, *c), append(n.by, o.By)
	return 1, n.err
}

func (n *noted) DefaultRate() session.Rate     { return session.Rate{} }
func (n *noted) RadiusClients() []RadiusClient { return nil }

// callAs calls f as a server would on behalf of a process.
func callAs(o owner, who process, method string, f func(context.Context) error) error {
	ctx := peer.NewContext(context.Background(), &peer.Peer{AuthInfo: who})
	_, err := unary(o, zap.NewNop())(ctx, nil, &grpc.UnaryServerInfo{FullMethod: "/lns.v1." + method},
		func(ctx context.Context, _ any) (any, error) { return nil, f(ctx) })
	return err
}

// Who may do everything else may still not intercept, nor see that somebody is.
func TestInterceptionIsForFew(t *testing.T) {
	o := owner{uid: 100, gid: 200}
	v := session.View{Services: &session.Services{Intercept: netip.MustParseAddrPort("192.0.2.9:4000")}}
	limited := v
	limited.Services = &session.Services{Garden: "g", Intercept: v.Services.Intercept}
	for name, c := range map[string]struct {
		who process
		may bool
	}{
		"root":            {process{uid: 0}, true},
		"daemon's user":   {process{uid: 100}, true},
		"group":           {process{uid: 5, groups: []uint32{200}}, false},
		"user like group": {process{uid: 200, groups: []uint32{100, 0}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := &noted{}
			s := &servicesService{backend: b}
			err := callAs(o, c.who, "Services/Intercept", func(ctx context.Context) error {
				_, err := s.Intercept(ctx, &lnsv1.InterceptRequest{Target: &lnsv1.Target{User: "alice"}, To: "192.0.2.9:4000"})
				return err
			})
			want := codes.PermissionDenied
			if c.may {
				want = codes.OK
			}
			if status.Code(err) != want || (len(b.changes) == 1) != c.may {
				t.Errorf("answer %v after %d changes", err, len(b.changes))
			}
			var may bool
			if err := callAs(o, c.who, "LNS/Session", func(ctx context.Context) error { may = mayIntercept(ctx); return nil }); err != nil && c.may {
				t.Error(err)
			}
			if may != c.may {
				t.Errorf("may intercept: %v", may)
			}
			m := sessionMessage(&v, time.Now(), may)
			if m.Intercepted != c.may || (m.Services != nil) != c.may {
				t.Errorf("shown %v %v", m.Intercepted, m.Services)
			}
			if m := sessionMessage(&limited, time.Now(), may); m.Services.Garden != "g" || (m.Services.Intercept != "") != c.may {
				t.Errorf("shown %v", m.Services)
			}
			err = callAs(o, c.who, "Services/ChangeServices", func(ctx context.Context) error {
				_, err := s.ChangeServices(ctx, &lnsv1.ChangeServicesRequest{Target: &lnsv1.Target{Sid: 1}, Garden: new(string)})
				return err
			})
			if stranger := o.rights(c.who) == 0; (err != nil) != stranger {
				t.Errorf("other change: %v", err)
			} else if !stranger && !strings.HasPrefix(b.by[len(b.by)-1], "user ") {
				t.Errorf("by %q", b.by)
			}
		})
	}
	if mayIntercept(context.Background()) {
		t.Error("nobody may intercept")
	}
}

func TestChangeErrorsBecomeCodes(t *testing.T) {
	garden := "g"
	for _, c := range []struct {
		target *lnsv1.Target
		err    error
		want   codes.Code
	}{
		{&lnsv1.Target{User: "alice"}, nil, codes.OK},
		{&lnsv1.Target{Sid: 1, User: "alice"}, nil, codes.InvalidArgument},
		{&lnsv1.Target{}, nil, codes.InvalidArgument},
		{nil, nil, codes.InvalidArgument},
		{&lnsv1.Target{Sid: 1}, session.ErrNoSession, codes.NotFound},
		{&lnsv1.Target{Sid: 1}, session.ErrNotUp, codes.FailedPrecondition},
		{&lnsv1.Target{Sid: 1}, session.ErrBusy, codes.FailedPrecondition},
		{&lnsv1.Target{Sid: 1}, session.ErrNoService, codes.FailedPrecondition},
		{&lnsv1.Target{Sid: 1}, &session.InvalidChange{Field: "Garden"}, codes.InvalidArgument},
		{&lnsv1.Target{Sid: 1}, context.DeadlineExceeded, codes.DeadlineExceeded},
	} {
		s := &servicesService{backend: &noted{err: c.err}}
		_, err := s.ChangeServices(context.Background(), &lnsv1.ChangeServicesRequest{Target: c.target, Garden: &garden})
		if status.Code(err) != c.want {
			t.Errorf("%v, %v: %v, want %v", c.target, c.err, err, c.want)
		}
	}
	s := &servicesService{backend: &noted{}}
	if _, err := s.ChangeServices(context.Background(), &lnsv1.ChangeServicesRequest{Target: &lnsv1.Target{User: "a"}}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("nothing to change: %v", err)
	}
}
