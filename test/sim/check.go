package sim

import (
	"slices"
	"time"

	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/session"
)

// Check looks at the invariants: what is installed are the sessions
// that are up or on their way in or out, nobody shares an address, and the
// control channels are sane. The ports check theirs as things happen.
func (w *World) Check() {
	w.T.Helper()
	live := make(map[session.Ref]*session.Session)
	accounts := 0
	for _, s := range w.Engine.Shards() {
		s.Each(func(x *session.Session) {
			live[x.Ref()] = x
			if !x.IsUp() {
				return
			}
			if !x.OwnAddress().IsValid() && !x.IsChanging() && (gardenOf(x.Services()) == "" || x.Policy().AccountGarden) {
				accounts++
			}
			if !w.Notices.sessions[x.Ref()] {
				w.T.Errorf("%v is up, and nobody was told", x.Ref())
			}
			r, ok := w.Forward.records[x.Ref()]
			if !ok {
				w.T.Errorf("%v is up and not installed", x.Ref())
			} else if want := x.Record(); r.Slot != want.Slot || !x.IsRefreshing() && !x.IsChanging() &&
				(r.Address != want.Address || !slices.Equal(r.Prefixes6, want.Prefixes6)) {
				w.T.Errorf("%v is installed as %v and %v in slot %d, want %v, %v, %d",
					x.Ref(), r.Address, r.Prefixes6, r.Slot, want.Address, want.Prefixes6, want.Slot)
			} else if !x.IsChanging() && !sameServices(r.Services, want.Services) {
				w.T.Errorf("%v is served with %+v, want %+v", x.Ref(), r.Services, want.Services)
			}
		})
		s.EachTunnel(w.checkTunnel)
	}
	if c := w.Engine.Census(); c.Timers > c.Tunnels+c.Sessions+c.Wishes || c.TunnelIDs != c.Tunnels || c.Slots != c.Sessions {
		w.T.Errorf("out of balance: %+v", c)
	}
	if n := len(w.Gate.tunnels); n != w.Engine.Census().Tunnels {
		w.T.Errorf("%d tunnels at the gate, %d live", n, w.Engine.Census().Tunnels)
	}
	for ref := range w.Notices.sessions {
		if live[ref] == nil {
			w.T.Errorf("%v is gone, and nobody was told", ref)
		}
	}
	for ref := range w.Forward.records {
		if live[ref] == nil {
			w.T.Errorf("%v is installed and does not live", ref)
		}
	}
	for ref := range w.Forward.slow {
		if live[ref] == nil {
			w.T.Errorf("%v does not live, and the slow path has it", ref)
		}
	}
	if open := w.Acct.Open(); open < accounts && w.Engine.Census().Backlog == 0 {
		w.T.Errorf("%d sessions have service, %d accounts are open", accounts, open)
	}
}

// isUp reports whether a session lives and is up.
func (w *World) isUp(ref session.Ref) bool {
	up := false
	for _, s := range w.Engine.Shards() {
		s.Each(func(x *session.Session) { up = up || x.Ref() == ref && x.IsUp() })
	}
	return up
}

func gardenOf(s *session.Services) string {
	if s == nil {
		return ""
	}
	return s.Garden
}

func sameServices(a, b *session.Services) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// sequence is where a tunnel's control channel was at the last check.
type sequence struct {
	created time.Time
	ns, nr  uint16
}

func (w *World) checkTunnel(v session.TunnelView) {
	x := &v.Transport
	if at := w.Gate.tunnels[v.TunnelID]; at != v.Peer {
		w.T.Errorf("tunnel %d of %v is %v's at the gate", v.TunnelID, v.Peer, at)
	}
	// Numbers only grow, modulo 65536, and what is not acknowledged fits into the
	// peer's window (RFC 2661 section 5.8).
	if last := w.seen[v.TunnelID]; last.created.Equal(v.Created) {
		if int16(x.Ns-last.ns) < 0 || int16(x.Nr-last.nr) < 0 {
			w.T.Errorf("tunnel %d: Ns went from %d to %d, Nr from %d to %d",
				v.TunnelID, last.ns, x.Ns, last.nr, x.Nr)
		}
	}
	w.seen[v.TunnelID] = sequence{v.Created, x.Ns, x.Nr}
	if x.PeerWindow > 0 && x.Unacked > int(x.PeerWindow) {
		w.T.Errorf("tunnel %d: %d messages in a window of %d", v.TunnelID, x.Unacked, x.PeerWindow)
	}
}

// CheckEnd fails unless everything is over and nothing is left.
func (w *World) CheckEnd() {
	w.T.Helper()
	w.Check()
	if c := w.Engine.Census(); c != (engine.Census{}) {
		w.T.Errorf("leaked: %+v", c)
	}
	if n := len(w.Forward.records); n != 0 {
		w.T.Errorf("%d sessions still installed", n)
	}
	if n := w.Acct.Open(); n != 0 {
		w.T.Errorf("%d accounts still open", n)
	}
	w.checkBytes()
}

// checkBytes compares what the accounts of each session say with what passed.
// Nothing is missing when gardens are accounted too.
func (w *World) checkBytes() {
	billed := make(map[session.Ref]session.Counters)
	for _, r := range w.Acct.Stops {
		billed[r.Ref] = billed[r.Ref].Add(r.Counters)
	}
	for ref, passed := range w.Forward.totals {
		b := billed[ref]
		over := b.UpBytes > passed.UpBytes || b.DownBytes > passed.DownBytes
		short := b.UpBytes < passed.UpBytes || b.DownBytes < passed.DownBytes
		if over || short && !w.Forward.gardened[ref] {
			w.T.Errorf("%v: accounts have %d and %d bytes, %d and %d passed", ref,
				b.UpBytes, b.DownBytes, passed.UpBytes, passed.DownBytes)
		}
	}
}

// Count reads one of the engine's counters.
func (w *World) Count(name string) uint64 {
	w.T.Helper()
	for _, c := range w.Engine.Counts() {
		if c.Name == name {
			return c.Value
		}
	}
	w.T.Fatalf("no counter %q", name)
	return 0
}

// Logged reports whether a line with the message was logged.
func (w *World) Logged(message string) bool { return w.Logs.FilterMessage(message).Len() > 0 }

// settleTime is longer than any retransmit cycle and restart timer.
const settleTime = 3 * time.Minute
