package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/capture"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/events"
	"github.com/lnsd/lnsd/control/garden"
	"github.com/lnsd/lnsd/control/history"
	"github.com/lnsd/lnsd/control/hooks"
	"github.com/lnsd/lnsd/control/intercept"
	"github.com/lnsd/lnsd/control/journal"
	"github.com/lnsd/lnsd/control/pool"
	"github.com/lnsd/lnsd/control/radius/dae"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/control/status"
	"github.com/lnsd/lnsd/control/trace"
	"github.com/lnsd/lnsd/control/tun"
	"github.com/lnsd/lnsd/control/udp"
)

// daemon is every part of a running lnsd, wired together:
//
//	udp ─▶ tun.Uplink ─ not a user's packet ─▶ engine.Inboxes ─▶ engine
//	engine ─▶ udp, subscribers, forwarder (tun and dataplane)
//	api ─▶ backend ─▶ engine and the others
type daemon struct {
	log     *zap.Logger
	started time.Time

	inboxes *engine.Inboxes
	// journal is nil where the end of the daemon is the end of the sessions; found
	// is what an earlier daemon has left in it.
	journal     *journal.Journal
	found       *session.Durable
	accounting  *accounting
	subscribers *subscribers
	socket      *udp.Pair
	slow        *tun.Path
	fast        fastPath
	hooks       *packetHooks
	plugins     *hooks.Chain
	gardens     *garden.Gardens
	grants      *grants
	intercepts  *intercept.Interceptions
	audit       *intercept.Audit
	captures    *capture.Hub
	engine      *engine.Engine
	dae         *dae.Server // nil where nobody may change sessions by RADIUS
	events      *events.Log
	history     *history.Book
	traces      *trace.Hub
	changes     *status.Changes // nil: no status files
	statusDir   string
	statusRate  int
	maxSessions int
	listener    net.Listener
	remote      *remote      // nil: managed from this host only
	scraped     net.Listener // nil: no metrics

	shells *shells // operators' shells by SSH and telnet

	ipv6 bool // subscribers' IPv6 is carried
	// keep: the daemon ends and the sessions go on.
	keep bool

	closers []func() error // in the order of opening
}

// open makes all parts in the order of what needs what. On an error it takes down
// what it had made.
func open(c *config.Config, traces *trace.Hub, log *zap.Logger) (d *daemon, err error) {
	d = &daemon{log: log, started: time.Now(), traces: traces}
	defer func() {
		if err != nil {
			if d.fast != nil && !d.keep {
				d.fast.Forget()
			}
			err = errors.Join(err, d.close())
			d = nil
		}
	}()
	epoch, err := d.openJournal(c)
	if err != nil {
		return d, err
	}
	if d.accounting, epoch, err = openAccounting(c, d.started, epoch, log.Named("accounting")); err != nil {
		return d, err
	}
	d.closers = append(d.closers, d.accounting.close)
	shards := c.Engine.Shards
	if shards == 0 {
		shards = runtime.GOMAXPROCS(0)
	}
	d.inboxes = engine.NewInboxes(shards)
	d.events = events.NewLog(eventsKept)
	d.history = history.NewBook(c.Log.History)
	if d.statusDir, d.statusRate = c.Management.StatusDir, c.Management.StatusRate; d.statusDir != "" {
		d.changes = status.NewChanges()
	}

	d.plugins = hooks.New(d.pluginConfig(c))
	d.closers = append(d.closers, d.plugins.Close)
	if d.subscribers, err = openSubscribers(c, epoch, d.plugins.AuthDone, d.accounting.delivered, log.Named("auth")); err != nil {
		return d, err
	}
	d.closers = append(d.closers, d.closeSubscribers)

	inherited := inheritedFiles()
	d.socket, err = udp.ListenPair(udp.Config{
		Bind: netip.AddrPortFrom(bindAddress(c), c.L2TP.Port), Segments: true, DontFragment: c.L2TP.OuterDF, Inherited: inherited,
	}, bindAddress6(c))
	for _, f := range inherited {
		f.Close()
	}
	if err != nil {
		return d, err
	}
	d.closers = append(d.closers, d.socket.Close)

	if err = d.openIntercepts(c); err != nil {
		return d, err
	}

	d.captures = d.newCaptures()

	d.ipv6 = servesIPv6(c, d.subscribers)
	slow := slowPathConfig(c, d.ipv6)
	slow.Copies = copies{d.intercepts, d.captures}
	// Asked for sessions alone, of which there are none before the fast path is open.
	slow.Sequences = func(slot uint32) session.Sequence { return d.fast.Sequence(slot) }
	if d.slow, err = tun.Open(slow, func() tun.Batch { return d.socket.NewSender() }, log.Named("tun")); err != nil {
		return d, err
	}
	d.closers = append(d.closers, d.slow.Close)

	d.hooks = newPacketHooks(c)
	if d.fast, err = openFastPath(c, d, log.Named("dataplane")); err != nil {
		return d, err
	}
	d.closers = append(d.closers, d.fast.Close)
	if _, err = d.setFilters(c); err != nil {
		return d, err
	}

	d.gardens = garden.New(gardenConfig(c, slow, d.slow.Name()), d.inboxes.Programmed, log.Named("garden"))
	d.closers = append(d.closers, func() error { return d.gardens.Close(d.keep) })
	d.grants = newGrants(c, d.gardens, log.Named("grants"))

	if d.engine, err = d.openEngine(c, epoch); err != nil {
		return d, err
	}
	d.engine.Drain(c.Engine.Drain)
	if err = d.loadPlugins(c); err != nil {
		return d, err
	}

	if d.dae, err = openDAE(c, d.engine, log.Named("dae")); err != nil {
		return d, err
	}
	if d.dae != nil {
		d.closers = append(d.closers, d.dae.Close)
	}
	if err = d.settle(); err != nil {
		return d, err
	}

	if d.remote, err = openRemote(&c.Management); err != nil {
		return d, err
	}
	if d.remote != nil {
		d.closers = append(d.closers, func() error { return ignoreClosed(d.remote.listener.Close()) })
	}
	if a := c.Management.Metrics; a.IsValid() {
		if d.scraped, err = net.Listen("tcp", a.String()); err != nil {
			return d, fmt.Errorf("metrics_address: %w", err)
		}
		d.closers = append(d.closers, func() error { return ignoreClosed(d.scraped.Close()) })
	}
	d.maxSessions = c.Limits.Sessions
	if d.shells, err = openShells(c, log.Named("shell")); err != nil {
		return d, err
	}
	d.closers = append(d.closers, d.shells.close)
	if d.listener, err = api.Listen(c.Management.Socket); err != nil {
		return d, err
	}
	d.closers = append(d.closers, func() error { return ignoreClosed(d.listener.Close()) })
	return d, nil
}

func (d *daemon) openEngine(c *config.Config, epoch uint32) (*engine.Engine, error) {
	pools, err := pools(c)
	if err != nil {
		return nil, err
	}
	prefixes, err := prefixPools(c)
	if err != nil {
		return nil, err
	}
	senders := make([]engine.Sender, d.inboxes.Shards())
	for i := range senders {
		// Numbered data sessions share their Ns with the slow path's packets.
		senders[i] = d.slow.Sequenced(d.socket.NewControlSender())
	}
	ports := engine.Ports{
		Authenticator: d.plugins.Before(d.subscribers.authenticator()),
		Accountant:    d.accounting,
		Observer:      d.observer(),
		Tracer:        d.traces,
		Tap:           d.captures,
		Forwarder:     forwarder{slow: d.slow, fast: d.fast, gardens: d.gardens, intercepts: d.intercepts},
		Services:      d.grants,
		Auditor:       d.audit,
		Gate:          d.fast,
		Send:          senders,
	}
	if d.journal != nil {
		ports.Journal, ports.Volatile = d.journal, d.slow.Counters
	}
	return engine.New(engine.Config{
		Policy:      enginePolicy(c, d.ipv6),
		Pools:       pools,
		Prefixes:    prefixes,
		MaxSessions: uint32(c.Limits.Sessions),
		Epoch:       epoch,
	}, d.inboxes, ports, d.log.Named("engine"))
}

// authDone takes the answers to logins, of which there are none before the engine.
func (d *daemon) authDone(r *session.AuthResult) { d.inboxes.AuthDone(d.grants.admit(r)) }

// pools makes the address pools. Our own addresses are never given out.
func pools(c *config.Config) ([]*pool.Pool, error) {
	var out []*pool.Pool
	for _, p := range c.Pools {
		made, err := pool.New(pool.Config{
			Name: p.Name, Prefixes: p.Prefixes, Edges: pool.SkipEnds,
			Exclude: ownAddresses(c),
		})
		if err != nil {
			return nil, fmt.Errorf("pool %s: %w", p.Name, err)
		}
		out = append(out, made)
	}
	return out, nil
}

func ownAddresses(c *config.Config) []netip.Addr {
	var own []netip.Addr
	for _, a := range []netip.Addr{c.L2TP.BindAddress, c.PPP.PeerAddress, c.SlowPath.Address} {
		if a.IsValid() {
			own = append(own, a)
		}
	}
	return own
}

func bindAddress(c *config.Config) netip.Addr {
	if c.L2TP.BindAddress.IsValid() {
		return c.L2TP.BindAddress
	}
	return netip.IPv4Unspecified()
}

// bindAddress6 is the zero value without IPv6 LACs.
func bindAddress6(c *config.Config) netip.AddrPort {
	if !c.L2TP.BindAddress6.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(c.L2TP.BindAddress6, c.L2TP.Port)
}

// slowPathQueues bounds the queues of the slow path: what it carries beside XDP
// does not need every processor of a large machine.
const slowPathQueues = 4

func slowPathConfig(c *config.Config, ipv6 bool) tun.Config {
	t := tun.Config{
		Name:       c.SlowPath.Device,
		Address:    c.SlowPath.Address,
		MTU:        int(c.L2TP.MTU),
		MaxSlot:    uint32(c.Limits.Sessions),
		Offload:    true,
		Queues:     min(runtime.GOMAXPROCS(0), slowPathQueues),
		ICMPRate:   c.SlowPath.ICMPRate,
		Forwarding: true,
		Isolate:    c.Sessions.Hairpin == config.HairpinDeny,

		DontFragment: c.L2TP.OuterDF,
	}
	if !t.Address.IsValid() {
		t.Address = c.L2TP.BindAddress
	}
	for _, p := range c.Pools {
		t.Pools = append(t.Pools, p.Prefixes...)
	}
	if ipv6 {
		t.IPv6, t.Address6 = true, address6(c)
		t.Pools = append(t.Pools, routes6(c)...)
	}
	return t
}

// close takes the parts down in the reverse order of opening.
func (d *daemon) close() error {
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i]())
	}
	d.closers = nil
	return errors.Join(errs...)
}

// accountingGrace is how long a stop waits for accounting records to be delivered.
const accountingGrace = 5 * time.Second

func (d *daemon) closeSubscribers() error {
	ctx, cancel := context.WithTimeout(context.Background(), accountingGrace)
	defer cancel()
	if d.keep {
		// The next daemon delivers; it must not wait for a server.
		cancel()
		return d.subscribers.leave(ctx)
	}
	d.accounting.drain(ctx)
	return d.subscribers.close(ctx)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
