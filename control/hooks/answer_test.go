package hooks

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/lnsd/lnsd/control/hooks/hookv1"
	"github.com/lnsd/lnsd/control/session"
)

// answers is a plugin's program that answers everything with the same bytes.
type answers []byte

func reply[T any, P interface {
	*T
	proto.Message
}](b []byte) (P, error) {
	p := P(new(T))
	return p, proto.Unmarshal(b, p)
}

func (a answers) Describe(context.Context, *hookv1.DescribeRequest, ...grpc.CallOption) (*hookv1.DescribeReply, error) {
	return reply[hookv1.DescribeReply](a)
}

func (a answers) PreAuth(context.Context, *hookv1.PreAuthRequest, ...grpc.CallOption) (*hookv1.PreAuthReply, error) {
	return reply[hookv1.PreAuthReply](a)
}

func (a answers) PostAuth(context.Context, *hookv1.PostAuthRequest, ...grpc.CallOption) (*hookv1.PostAuthReply, error) {
	return reply[hookv1.PostAuthReply](a)
}

func (a answers) RadiusResponse(context.Context, *hookv1.RadiusResponseRequest, ...grpc.CallOption) (*hookv1.RadiusResponseReply, error) {
	return reply[hookv1.RadiusResponseReply](a)
}

func (a answers) Happened(context.Context, *hookv1.HappenedRequest, ...grpc.CallOption) (*hookv1.HappenedReply, error) {
	return reply[hookv1.HappenedReply](a)
}

func (a answers) Timer(context.Context, *hookv1.TimerRequest, ...grpc.CallOption) (*hookv1.TimerReply, error) {
	return reply[hookv1.TimerReply](a)
}

func (a answers) Control(context.Context, *hookv1.ControlRequest, ...grpc.CallOption) (*hookv1.ControlReply, error) {
	return reply[hookv1.ControlReply](a)
}

func encoded(tb testing.TB, m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Whatever a plugin answers: what is granted can be had, a call that fails changes
// nothing, and there are three verdicts.
func FuzzAnswer(f *testing.F) {
	up, none, zero, name, long := uint64(512_000), uint64(1), uint32(0), "gold", string(make([]byte, 300))
	no := false
	for _, m := range []proto.Message{
		&hookv1.PreAuthReply{User: &name, Password: []byte("x"), Verdict: hookv1.Verdict_VERDICT_STOP},
		&hookv1.PreAuthReply{Refuse: true, Message: "call us"},
		&hookv1.PostAuthReply{Allowed: &no, Message: "no", Grant: &hookv1.Grant{UpBits: &up, Garden: &name, SessionTimeout: &zero}},
		&hookv1.PostAuthReply{Grant: &hookv1.Grant{DownBits: &none}},
		&hookv1.PostAuthReply{Grant: &hookv1.Grant{FilterUp: &long}},
		&hookv1.RadiusResponseReply{Verdict: -1, Grant: &hookv1.Grant{UpBits: &up}},
		&hookv1.RadiusResponseReply{Verdict: 77},
	} {
		f.Add(encoded(f, m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p := &process{hook: answers(b)}
		x := &external{}
		x.live.Store(p)
		for _, e := range []Event{PreAuth, PostAuth, RadiusResponse, Timer, Control, SessionUp} {
			l := &login{request: &session.AuthRequest{Method: session.AuthPAP}, user: "u", password: []byte("p"), allowed: true}
			before := *l
			v, err := x.call(context.Background(), &call{event: e, at: time.Unix(1, 0), login: l})
			if err != nil && (l.user != before.user || string(l.password) != "p" || l.refuse || !l.allowed || l.message != "" || !l.grant.Empty()) {
				t.Errorf("%v failed and has changed %+v", e, l)
			}
			if v > Error {
				t.Errorf("%v: verdict %d", e, v)
			}
			if err := l.grant.Validate(); err != nil {
				t.Errorf("%v granted what can't be had: %v", e, err)
			}
		}
	})
}
