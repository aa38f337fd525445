package api

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

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

func as(c caller) context.Context {
	return peer.NewContext(context.Background(), &peer.Peer{AuthInfo: c})
}

// Who may do everything else may still not intercept, nor see that somebody is.
func TestInterceptionIsForFew(t *testing.T) {
	o := owner{uid: 100, gid: 200}
	v := session.View{Services: &session.Services{Intercept: netip.MustParseAddrPort("192.0.2.9:4000")}}
	limited := v
	limited.Services = &session.Services{Garden: "g", Intercept: v.Services.Intercept}
	for name, c := range map[string]struct {
		who caller
		may bool
	}{
		"root":            {caller{uid: 0}, true},
		"daemon's user":   {caller{uid: 100}, true},
		"group":           {caller{uid: 5, groups: []uint32{200}}, false},
		"user like group": {caller{uid: 200, groups: []uint32{100, 0}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := &noted{}
			s := &servicesService{backend: b, owner: o}
			_, err := s.Intercept(as(c.who), &lnsv1.InterceptRequest{Target: &lnsv1.Target{User: "alice"}, To: "192.0.2.9:4000"})
			want := codes.PermissionDenied
			if c.may {
				want = codes.OK
			}
			if status.Code(err) != want || (len(b.changes) == 1) != c.may {
				t.Errorf("answer %v after %d changes", err, len(b.changes))
			}
			may := o.mayIntercept(as(c.who))
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
			if _, err := s.ChangeServices(as(c.who), &lnsv1.ChangeServicesRequest{Target: &lnsv1.Target{Sid: 1}, Garden: new(string)}); err != nil {
				t.Errorf("other change: %v", err)
			}
			if by := b.by[len(b.by)-1]; !strings.HasPrefix(by, "user ") {
				t.Errorf("by %q", by)
			}
		})
	}
	if o.mayIntercept(context.Background()) {
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
