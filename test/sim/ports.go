package sim

import (
	"errors"
	"net/netip"
	"reflect"
	"time"

	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/session"
)

// Auth is the authenticator. A user's password is "pw-" and its name.
type Auth struct {
	w *World
	// Delay is how long an answer takes; Silent gives none, Full takes no
	// request, LoseAll answers Unavailable after the delay.
	Delay, Jitter time.Duration
	Silent, Full  bool
	Unavailable   bool
	// Profiles are what users get; others get nothing special.
	Profiles map[string]session.Profile
	Requests int
}

func newAuth(w *World) *Auth {
	return &Auth{w: w, Profiles: make(map[string]session.Profile)}
}

// Authenticate implements engine.Authenticator.
func (a *Auth) Authenticate(r *session.AuthRequest) bool {
	if a.Full {
		return false
	}
	a.Requests++
	if a.Silent {
		return true
	}
	d := a.Delay
	if a.Jitter > 0 {
		d += time.Duration(a.w.rng.Int64N(int64(a.Jitter)))
	}
	res := a.judge(r)
	in := a.w.In // an answer to an engine that is gone reaches nobody
	a.w.After(d, func() { in.AuthDone(res) })
	return true
}

func (a *Auth) judge(r *session.AuthRequest) *session.AuthResult {
	res := &session.AuthResult{Ref: r.Ref, Verdict: session.Reject, Message: "who are you?", Cause: "wrong password"}
	password := "pw-" + r.User
	ok := false
	switch r.Method {
	case session.AuthPAP:
		ok = string(r.Password) == password
	case session.AuthCHAP:
		ok = ppp.VerifyCHAP(r.ID, r.Challenge, r.Response, []byte(password))
	case session.AuthMSCHAPv2:
		res.MSCHAPSuccess, ok = ppp.VerifyMSCHAPv2(r.User, r.Challenge, r.Response, password)
	}
	switch {
	case a.Unavailable:
		res.Verdict, res.Message, res.Cause = session.Unavailable, "", "timeout"
	case ok:
		res.Verdict, res.Message, res.Cause = session.Accept, "welcome", ""
		res.Profile = a.Profiles[r.User]
	}
	return res
}

// account is the accounting of one session.
type account struct {
	start, stop *session.AcctRecord
	interims    int
}

// Acct is the accountant. It checks that each Start has one Stop, in that order.
type Acct struct {
	w        *World
	accounts map[string]*account
	Full     bool // takes no record
	Starts   int
	Stops    []*session.AcctRecord
	Interims int
}

func newAcct(w *World) *Acct {
	return &Acct{w: w, accounts: make(map[string]*account)}
}

// Account implements engine.Accountant.
func (a *Acct) Account(r *session.AcctRecord) bool {
	if a.Full {
		return false
	}
	// Killed now, the engine would leave a session that goes on and whose account is
	// closed.
	if id := r.Call.AcctSessionID; r.Kind == session.AcctStop && a.w.Journal.has(id) {
		a.w.T.Errorf("Stop of %s, with which another engine would go on", id)
	}
	a.take(r)
	return true
}

// take is Account for records of whoever makes them.
func (a *Acct) take(r *session.AcctRecord) {
	id := r.Call.AcctSessionID
	x := a.accounts[id]
	switch {
	case r.Kind == session.AcctStart && x != nil:
		a.w.T.Errorf("second Start of %s", id)
	case r.Kind == session.AcctStart:
		a.accounts[id] = &account{start: r}
		a.Starts++
		if !a.w.Forward.has(r.Ref) && a.w.Engine.Census().Backlog == 0 {
			a.w.T.Errorf("Start of %s before it is installed", id)
		}
	case x == nil || x.stop != nil:
		a.w.T.Errorf("record of kind %d of %s outside of Start and Stop", r.Kind, id)
	case r.Kind == session.AcctStop:
		x.stop = r
		a.Stops = append(a.Stops, r)
		if r.Cause == 0 {
			a.w.T.Errorf("Stop of %s without a cause", id)
		}
		// One that moves into a garden or out of it stays installed.
		if a.w.Forward.has(r.Ref) && r.Cause != session.CauseNASRequest {
			a.w.T.Errorf("Stop of %s while it is installed", id)
		}
	default:
		x.interims++
		a.Interims++
	}
}

// Open is how many Starts have no Stop.
func (a *Acct) Open() int { return a.Starts - len(a.Stops) }

// Forward is the forwarding path.
type Forward struct {
	w       *World
	records map[session.Ref]session.Record
	bySlot  map[uint32]session.Ref
	byAddr  map[netip.Addr]session.Ref
	byNet   map[netip.Prefix]session.Ref
	byIDs   map[[2]uint16]session.Ref
	traffic map[uint32]session.Counters
	// totals are what passed for sessions in all, gardened those that were in a
	// garden without an account.
	totals   map[session.Ref]session.Counters
	gardened map[session.Ref]bool
	// traces are the last counters of sessions that were taken out.
	traces   map[session.Ref]session.Counters
	installs map[session.Ref]int
	// slow are the sessions that the slow path knows.
	slow  map[session.Ref]bool
	Delay time.Duration
	// accountGarden says that gardens are accounted.
	accountGarden bool
	Capacity      int     // 0: no limit
	Fail          float64 // probability that an operation fails
	// RefuseSlot is the slot of which no services are taken.
	RefuseSlot uint32
	Stalled    bool
	stalled    []session.Programmed
	inFlight   int
}

func newForward(w *World) *Forward {
	return &Forward{
		w: w, records: make(map[session.Ref]session.Record), bySlot: make(map[uint32]session.Ref),
		byAddr: make(map[netip.Addr]session.Ref), byNet: make(map[netip.Prefix]session.Ref), byIDs: make(map[[2]uint16]session.Ref),
		traffic: make(map[uint32]session.Counters), totals: make(map[session.Ref]session.Counters),
		gardened: make(map[session.Ref]bool), traces: make(map[session.Ref]session.Counters),
		installs: make(map[session.Ref]int), slow: make(map[session.Ref]bool),
	}
}

var (
	errFull    = errors.New("map is full")
	errRefused = errors.New("refused")
)

// Apply implements engine.Forwarder.
func (f *Forward) Apply(ops []session.ProgramOp) {
	for i := range ops {
		p := f.apply(&ops[i])
		if f.Stalled {
			f.stalled = append(f.stalled, p)
			continue
		}
		f.answer(p)
	}
}

func (f *Forward) answer(p session.Programmed) {
	f.inFlight++
	in := f.w.In
	f.w.After(f.Delay, func() {
		f.inFlight--
		in.Programmed([]session.Programmed{p})
	})
}

// Resume answers what had to wait.
func (f *Forward) Resume() {
	f.Stalled = false
	for _, p := range f.stalled {
		f.answer(p)
	}
	f.stalled = nil
}

func (f *Forward) apply(op *session.ProgramOp) session.Programmed {
	r := &op.Record
	p := session.Programmed{Ref: r.Ref, Slot: r.Slot, Removed: op.Remove}
	// The slow path takes all there is, and lets go of it at the first word.
	if f.slow[r.Ref] = true; op.Remove {
		delete(f.slow, r.Ref)
	}
	if f.w.rng.Float64() < f.Fail {
		p.Err = errors.New("injected failure")
		return p
	}
	if !op.Remove && r.Slot == f.RefuseSlot && r.Services != nil {
		p.Err = errRefused
		return p
	}
	if op.Remove {
		if !f.has(r.Ref) {
			return p // an install that failed
		}
		p.Final = f.traffic[r.Slot]
		f.traces[r.Ref] = p.Final
		installed := f.records[r.Ref]
		f.leaveNetwork(&installed)
		delete(f.records, r.Ref)
		delete(f.bySlot, r.Slot)
		delete(f.byIDs, idsOf(r.Ref))
		delete(f.traffic, r.Slot)
		return p
	}
	if old, ok := f.records[r.Ref]; ok {
		p.Final = f.replace(&old, r)
		return p
	}
	if f.Capacity > 0 && len(f.records) >= f.Capacity {
		p.Err = errFull
		return p
	}
	f.installs[r.Ref]++
	f.install(r)
	return p
}

// replace changes the services of a session, or its families of addresses. Into a garden and out of it packets take
// another path, which counts from zero.
func (f *Forward) replace(old, r *session.Record) (final session.Counters) {
	same := *r
	same.Services, same.AcctSessionID, same.NextNs = old.Services, old.AcctSessionID, old.NextNs
	// LCP may have been negotiated anew.
	same.LocalMagic, same.MTU, same.ClampMSS, same.Framing = old.LocalMagic, old.MTU, old.ClampMSS, old.Framing
	same.Address, same.Routes, same.Prefixes6 = old.Address, old.Routes, old.Prefixes6
	if !reflect.DeepEqual(&same, old) {
		f.w.T.Errorf("%v changes from %+v to %+v", r.Ref, old, r)
	}
	if gardenOf(old.Services) != gardenOf(r.Services) {
		final = f.traffic[r.Slot]
		delete(f.traffic, r.Slot)
	}
	f.leaveNetwork(old)
	f.joinNetwork(r)
	f.records[r.Ref] = *r
	f.noteGarden(r)
	return final
}

func (f *Forward) noteGarden(r *session.Record) {
	if gardenOf(r.Services) != "" && !f.accountGarden {
		f.gardened[r.Ref] = true
	}
}

func (f *Forward) install(r *session.Record) {
	t := f.w.T
	if other, taken := f.bySlot[r.Slot]; taken {
		t.Errorf("slot %d of %v is held by %v", r.Slot, r.Ref, other)
	}
	if other, taken := f.byIDs[idsOf(r.Ref)]; taken {
		t.Errorf("ids of %v are held by %v", r.Ref, other)
	}
	if !r.Address.Is4() && len(r.Routes)+len(r.Prefixes6) == 0 || r.Slot == 0 || r.MTU < 576 || r.PeerTunnelID == 0 || r.PeerSessionID == 0 {
		t.Errorf("incomplete record %+v", r)
	}
	f.records[r.Ref], f.bySlot[r.Slot] = *r, r.Ref
	f.joinNetwork(r)
	f.byIDs[idsOf(r.Ref)] = r.Ref
	f.noteGarden(r)
}

// joinNetwork and leaveNetwork keep who has which address and prefix.
func (f *Forward) joinNetwork(r *session.Record) {
	if other, taken := f.byAddr[r.Address]; taken && r.Address.IsValid() {
		f.w.T.Errorf("address %v of %v is held by %v", r.Address, r.Ref, other)
	}
	if r.Address.IsValid() {
		f.byAddr[r.Address] = r.Ref
	}
	for _, p := range r.Prefixes6 {
		for q, other := range f.byNet {
			if q.Overlaps(p) && other != r.Ref {
				f.w.T.Errorf("prefix %v of %v is held by %v, as %v", p, r.Ref, other, q)
			}
		}
		f.byNet[p] = r.Ref
	}
}

func (f *Forward) leaveNetwork(r *session.Record) {
	delete(f.byAddr, r.Address)
	for _, p := range r.Prefixes6 {
		delete(f.byNet, p)
	}
}

func idsOf(r session.Ref) [2]uint16 { return [2]uint16{r.TunnelID, r.SessionID} }

// Counters implements engine.Forwarder.
func (f *Forward) Counters(slot uint32) session.Counters { return f.traffic[slot] }

// Pass lets a subscriber's packets pass.
func (f *Forward) Pass(a netip.Addr, up, down uint64) {
	ref, ok := f.byAddr[a]
	if !ok {
		return
	}
	slot := f.records[ref].Slot
	passed := session.Counters{
		UpPackets: up, UpBytes: 100 * up, DownPackets: down, DownBytes: 1000 * down, LastSeen: f.w.Now,
	}
	f.traffic[slot] = f.traffic[slot].Add(passed)
	f.totals[ref] = f.totals[ref].Add(passed)
}

func (f *Forward) has(r session.Ref) bool { _, ok := f.records[r]; return ok }
