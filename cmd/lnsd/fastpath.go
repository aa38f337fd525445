package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/acl"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/dataplane"
	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/intercept"
	"github.com/lnsd/lnsd/control/journal"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/maps"
)

// fastPath is the data plane, with XDP or without.
type fastPath interface {
	path
	Installed(slot uint32) bool
	Sequence(slot uint32) session.Sequence
	engine.Gate
	// AllowLACs gives the sources that tunnels may be asked for from; none for any.
	AllowLACs([]netip.Prefix) error
	// SetFilters puts access lists in force; left are those that stay for the
	// sessions that are held to them.
	SetFilters([]acl.Set) (left []string, err error)
	FilterHits(name string) [acl.Families][]uint64
	Modes() []dataplane.Mode
	// Spread returns the CPUs that the data of LACs is spread over.
	Spread() []int
	// SetHook puts an operator's function into the way of packets; nil takes it out.
	SetHook(up bool, h *dataplane.Hook) error
	HookFunction(up bool) string
	HookMaps(up bool) []string
	Counts() []session.Count
	// Settle is called once, before anything else.
	Settle(keep []session.Record, tunnels map[uint16]netip.AddrPort) ([]dataplane.Left, error)
	Trace(slot uint32) (dataplane.Left, bool)
	intercept.Source
	// RunCaptures calls f with what is captured until ctx ends.
	RunCaptures(ctx context.Context, f func(*session.PacketCopy)) error
	Capture(slot uint32, on bool)
	CapturesMissed() uint64
	// Forget makes Close leave nothing behind.
	Forget()
	Close() error
}

var (
	_ fastPath = (*dataplane.Plane)(nil)
	_ fastPath = (*dataplane.Null)(nil)
)

// openFastPath attaches XDP as configured. Where the kernel cannot do what is needed
// the daemon does not start by chance without its fast path: the operator has to
// say so by xdp_mode none.
func openFastPath(c *config.Config, d *daemon, log *zap.Logger) (fastPath, error) {
	done := answers(d.slow, d.inboxes.Programmed)
	if c.XDP.Mode == config.XDPNone {
		log.Info("XDP is off: all packets take the slow path")
		return dataplane.NewNull(done), nil
	}
	cfg := dataplane.Config{
		PinPath:     c.XDP.PinPath,
		MaxSessions: uint32(c.Limits.Sessions),
		Outer6:      c.L2TP.BindAddress6.IsValid(),
		Locals:      d.socket.LocalAddrs(),
		Interfaces:  c.XDP.Interfaces,
		Ignore:      []string{d.slow.Name()},
		IPv6:        d.ipv6,
		UDPChecksum: c.L2TP.UDPChecksum,
		LACSources:  lacSources(c),
		PacketLimit: uint32(c.Sessions.PacketLimit),
		Rates:       dataplane.Rates{SCCRQ: c.XDP.SCCRQRate, Call: c.XDP.CallRate, PPP: c.XDP.PPPRate},

		HookUp:   d.hooks.first(true, c.Hooks.Up, log),
		HookDown: d.hooks.first(false, c.Hooks.Down, log),

		DontFragment: c.L2TP.OuterDF,
		Persist:      true,
	}
	switch c.Sessions.Hairpin {
	case config.HairpinDeny:
		cfg.Hairpin = dataplane.HairpinDeny
	case config.HairpinCore:
		cfg.Hairpin = dataplane.HairpinCore
	}
	switch c.XDP.Spread {
	case config.SpreadOff:
		cfg.Spread = dataplane.SpreadOff
	case config.SpreadOn:
		cfg.Spread = dataplane.SpreadOn
	}
	for _, lac := range c.LACs {
		for _, prefix := range lac.Addresses {
			cfg.LACs = append(cfg.LACs, prefix.Addr())
		}
	}
	switch c.XDP.Mode {
	case config.XDPNative:
		cfg.Want = dataplane.Native
	case config.XDPGeneric:
		cfg.Want = dataplane.Generic
	}
	plane, err := dataplane.Open(cfg, done, log)
	if errors.Is(err, dataplane.ErrUnsupported) {
		return nil, fmt.Errorf("%w; `set xdp_mode none` runs without XDP", err)
	}
	if err != nil {
		return nil, err
	}
	return plane, nil
}

// lacSources are the prefixes that tunnels may be asked for from, none for any
// source: where LACs are let in that no lac command names, or that one names by
// their host name alone.
func lacSources(c *config.Config) []netip.Prefix {
	if c.AllowsUnknown() {
		return nil
	}
	var sources []netip.Prefix
	for _, t := range c.Outgoing.Tunnels {
		// Both ends may open it at once, and the peer's attempt may be the one that stands.
		sources = append(sources, netip.PrefixFrom(t.Peer, t.Peer.BitLen()))
	}
	for _, lac := range c.LACs {
		if len(lac.Addresses) == 0 {
			return nil
		}
		sources = append(sources, lac.Addresses...)
	}
	return sources
}

// cleanup removes what a daemon that is gone has left pinned.
func cleanup(f flags) error {
	c, _, err := config.Load(f.config)
	if err != nil {
		return err
	}
	return errors.Join(maps.Unpin(c.XDP.PinPath), forgetJournal(c))
}

// forgetJournal makes the next daemon begin without sessions.
func forgetJournal(c *config.Config) error {
	dir := c.JournalDir()
	if dir == "" {
		return nil
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	j, _, err := journal.Open(journal.Config{Dir: dir})
	if err != nil {
		return err
	}
	return errors.Join(j.Empty(), j.Close())
}

// volume is the traffic that both paths have forwarded since the start. Bytes are
// those of whole frames in the fast path, of IP packets in the slow path.
func (d *daemon) volume() volume {
	fast, slow := d.fast.Counts(), d.slow.Counts()
	// From one subscriber to another is both up and down.
	across, acrossBytes := count(fast, "xdp_sent_hairpin"), count(fast, "xdp_sent_hairpin_bytes")
	return volume{
		upPackets:   across + count(fast, "xdp_sent_up") + count(slow, "slow_up_forwarded"),
		upBytes:     acrossBytes + count(fast, "xdp_sent_up_bytes") + count(slow, "slow_up_forwarded_bytes"),
		downPackets: across + count(fast, "xdp_sent_down") + count(slow, "slow_down_forwarded"),
		downBytes:   acrossBytes + count(fast, "xdp_sent_down_bytes") + count(slow, "slow_down_forwarded_bytes"),
	}
}

// alive asks every shard for something small.
func (d *daemon) alive(ctx context.Context) error {
	_, err := d.engine.Tunnels(ctx)
	return err
}
