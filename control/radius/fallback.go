package radius

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// DownAction says what becomes of subscribers whom no server answers for.
type DownAction uint8

// The actions.
const (
	// DownDeny lets nobody in: the call is cleared as for a lack of resources, so
	// that the subscriber tries again.
	DownDeny DownAction = iota
	// DownGarden lets everybody into a walled garden, whatever their password.
	DownGarden
	// DownLastGood grants what the servers granted last, to those who can still be
	// told to be the same; the others are as with DownGarden where a garden is named,
	// else as with DownDeny.
	DownLastGood
)

// Down is the policy for when no server answers.
type Down struct {
	Action DownAction
	// Garden names the walled garden.
	Garden string
	// Grace is how old the servers' last yes may be. Default 24 h.
	Grace time.Duration
	// Entries bounds the subscribers that are remembered; those not seen for longest
	// are forgotten. Default 65536.
	Entries int
	// TrustLine takes CHAP and MS-CHAP subscribers for the same when they call from
	// the same LAC and number: their passwords cannot be checked without the server.
	TrustLine bool
	// Session limits the sessions granted so, for them to ask a server again soon. 0
	// is no limit.
	Session time.Duration
}

// fallback answers where no server does.
type fallback struct {
	cfg  Down
	good *lastGood // nil unless the action needs it

	denied, gardened, granted atomic.Uint64
}

func newFallback(cfg Down) (*fallback, error) {
	f := &fallback{cfg: cfg}
	if cfg.Action == DownGarden && cfg.Garden == "" {
		return nil, errors.New("radius: a walled garden for when no server answers, and none is named")
	}
	if cfg.Grace < 0 || cfg.Entries < 0 || cfg.Session < 0 {
		return nil, errors.New("radius: negative bound for when no server answers")
	}
	if cfg.Action == DownLastGood {
		if f.cfg.Grace == 0 {
			f.cfg.Grace = 24 * time.Hour
		}
		if f.cfg.Entries == 0 {
			f.cfg.Entries = 65536
		}
		f.good = newLastGood(f.cfg.Entries)
	}
	return f, nil
}

// judge passes on a server's answer, having learnt from it, and answers for servers
// that did not. why names what was granted in their place, for the log.
func (f *fallback) judge(q *session.AuthRequest, res *session.AuthResult, now time.Time) (_ *session.AuthResult, why string) {
	switch {
	case res.Verdict != session.Unavailable:
		if f.good != nil {
			f.good.learn(q, res, now)
		}
		return res, ""
	case q.Method == session.AuthMSCHAPv2:
		// The client wants a proof that the server knows the password (RFC 2759
		// section 5), which nobody else can give.
		f.denied.Add(1)
		return res, ""
	}
	if f.good != nil {
		if p, ok := f.good.recall(q, now.Add(-f.cfg.Grace), f.cfg.TrustLine); ok {
			f.granted.Add(1)
			return f.grant(q, p), "last good"
		}
	}
	if f.cfg.Action != DownDeny && f.cfg.Garden != "" {
		f.gardened.Add(1)
		return f.grant(q, session.Profile{Services: &session.Services{Garden: f.cfg.Garden}}), "garden"
	}
	f.denied.Add(1)
	return res, ""
}

func (f *fallback) grant(q *session.AuthRequest, p session.Profile) *session.AuthResult {
	p.Local = true
	if limit := f.cfg.Session; limit > 0 && (p.SessionTimeout == 0 || p.SessionTimeout > limit) {
		p.SessionTimeout = limit
	}
	return &session.AuthResult{Ref: q.Ref, Verdict: session.Accept, Profile: p}
}

func (f *fallback) counts() []session.Count {
	n := []session.Count{
		{Name: "radius_down_denied", Value: f.denied.Load()},
		{Name: "radius_down_gardened", Value: f.gardened.Load()},
		{Name: "radius_down_last_good", Value: f.granted.Load()},
		{Name: "radius_last_good_entries"},
	}
	if f.good != nil {
		n[3].Value = uint64(f.good.len())
	}
	return n
}
