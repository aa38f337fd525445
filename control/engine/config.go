package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/pool"
	"github.com/lnsd/lnsd/control/session"
)

// Config is what an engine is made with.
type Config struct {
	Policy *Policy
	// Pools are the address pools, by their own names.
	Pools []*pool.Pool
	// Prefixes are the pools of IPv6 prefixes, by names of their own.
	Prefixes []*pool.Prefixes
	// MaxSessions is the number of slots of the data plane, 1 to 2^20.
	MaxSessions uint32
	// Epoch makes accounting ids unique over restarts: the Unix time of the
	// start in seconds will do. It is the upper half of every id.
	Epoch uint32
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Seed makes the random numbers of the shards; nil takes it from the
	// operating system. A simulation gives one to be replayable.
	Seed *[32]byte
}

// Policy is what may change while the engine runs. It holds for tunnels and
// sessions made after it was given; it is not changed itself.
type Policy struct {
	// LACs are tried in order; the first match decides. A peer that matches none
	// gets Default, or no answer when Default is nil: an answer would make us an
	// amplifier for spoofed SCCRQs.
	LACs    []LAC
	Default *l2tp.Config
	// DefaultIdle and DefaultTrace are IdleTimeout and Trace of LACs that match none.
	DefaultIdle  time.Duration
	DefaultTrace session.TraceMask
	// Session is for sessions of LACs that have none of their own.
	Session *session.Config
	Limits  Limits
	// OneTunnelPerLAC refuses a further tunnel of the same Host Name and address
	// (StopCCN result 3). Otherwise a LAC may open as many as it likes.
	OneTunnelPerLAC bool
	// TunnelAccounting sends accounting records of tunnels and links besides those of
	// sessions (RFC 2867).
	TunnelAccounting bool
	// Outgoing are the tunnels that we open, each of another name.
	Outgoing []Outgoing
	// DenyLocal opens none of them, and places no call in those that are; DenyRemote
	// refuses the tunnels of peers. What is up stays.
	DenyLocal, DenyRemote bool
}

// LAC says how tunnels of some peers are treated.
type LAC struct {
	// Source matches the peer's address; the zero prefix matches any.
	Source netip.Prefix
	// HostName is a glob (path.Match) over the peer's Host Name; "" matches any.
	HostName string
	L2TP     *l2tp.Config
	Session  *session.Config // nil: Policy.Session
	// MaxTunnels bounds the tunnels from one address, MaxSessions the sessions in
	// one tunnel of this LAC; 0 leaves it to Limits.
	MaxTunnels, MaxSessions int
	// IdleTimeout closes a tunnel that has been without a session for so long; 0 never
	// does.
	IdleTimeout time.Duration
	// Trace is what is traced of tunnels and sessions made under this entry.
	Trace session.TraceMask
}

// Limits bound what peers can make us keep. 0 is no limit, except that there are
// never more sessions than Config.MaxSessions.
type Limits struct {
	Tunnels           int
	TunnelsPerPeer    int // per source address
	HalfOpen          int // tunnels that are not established yet
	HalfOpenPerPeer   int
	Sessions          int
	SessionsPerTunnel int
}

// match returns the entry for a peer. cfg is nil when the peer is to be ignored.
func (p *Policy) match(peer netip.Addr, hostName string) LAC {
	peer = peer.Unmap()
	for i := range p.LACs {
		l := &p.LACs[i]
		if l.Source.IsValid() && !l.Source.Contains(peer) {
			continue
		}
		if l.HostName != "" {
			// The pattern was checked in Validate.
			if ok, _ := path.Match(l.HostName, hostName); !ok {
				continue
			}
		}
		return p.fill(*l)
	}
	return p.fill(LAC{L2TP: p.Default, IdleTimeout: p.DefaultIdle, Trace: p.DefaultTrace})
}

// Admits reports whether tunnels of such a peer are let in.
func (p *Policy) Admits(peer netip.Addr, hostName string) bool {
	return p.match(peer, hostName).L2TP != nil
}

// SessionFor is what sessions of such a peer are made with.
func (p *Policy) SessionFor(peer netip.Addr, hostName string) *session.Config {
	return p.match(peer, hostName).Session
}

func (p *Policy) fill(l LAC) LAC {
	if l.Session == nil {
		l.Session = p.Session
	}
	if l.MaxTunnels == 0 {
		l.MaxTunnels = p.Limits.TunnelsPerPeer
	}
	if l.MaxSessions == 0 {
		l.MaxSessions = p.Limits.SessionsPerTunnel
	}
	return l
}

// Validate reports what makes p unusable.
func (p *Policy) Validate() error {
	if p.Session == nil {
		return errors.New("engine: no session configuration")
	}
	if err := p.Session.Validate(); err != nil {
		return err
	}
	for i := range p.LACs {
		l := &p.LACs[i]
		if _, err := path.Match(l.HostName, ""); err != nil {
			return fmt.Errorf("engine: LAC %d: host name %q: %w", i, l.HostName, err)
		}
		if l.L2TP == nil {
			return fmt.Errorf("engine: LAC %d has no tunnel configuration", i)
		}
		if l.Session != nil {
			if err := l.Session.Validate(); err != nil {
				return fmt.Errorf("engine: LAC %d: %w", i, err)
			}
		}
	}
	names := make(map[string]bool, len(p.Outgoing))
	for i := range p.Outgoing {
		o := &p.Outgoing[i]
		if err := o.validate(); err != nil {
			return err
		}
		if names[o.Name] {
			return fmt.Errorf("engine: two tunnels are called %s", o.Name)
		}
		names[o.Name] = true
	}
	return nil
}
