package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/config/commit"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/control/trace"
	"github.com/lnsd/lnsd/control/udp"
)

// shutdownLimit bounds the time in which sessions and tunnels are disconnected: a LAC
// that has not answered four StopCCNs by then is not there.
const shutdownLimit = 16 * time.Second

// run is the daemon from its start to its end.
func run(f flags) error {
	recovered, err := commit.Recover(f.config, time.Now(), func(text string) error {
		_, _, err := config.LoadText(f.config, text)
		return err
	})
	if err != nil {
		return fmt.Errorf("undoing a commit that was not confirmed: %w", err)
	}
	c, text, warnings, err := loadFile(f.config)
	if err != nil {
		return err
	}
	sink, err := openLogSink(f.logFile(c))
	if err != nil {
		return err
	}
	saveMemory()
	level := zap.NewAtomicLevelAt(logLevel(int(c.Log.Level) + f.verbose))
	log := newLogger(sink, level, f.logFormat)
	for _, w := range warnings {
		log.Warn("configuration", zap.String("at", w.Pos.String()), zap.String("problem", w.Message))
	}
	if recovered != "" {
		log.Warn("configuration", zap.String("problem", recovered))
	}
	if f.remote && !c.Management.Remote.IsValid() {
		c.Management.Remote = netip.AddrPortFrom(netip.IPv6Unspecified(), api.RemotePort)
	}
	if f.status && c.Management.StatusDir == "" {
		c.Management.StatusDir = defaultStatusDir
	}
	// What is traced was asked for: it is logged whatever the log's level.
	traces := trace.New(newLogger(sink, zap.NewAtomicLevelAt(zap.InfoLevel), f.logFormat).Named("trace"), time.Now)
	if mask, _ := f.traced(); mask != 0 {
		if _, err := traces.Set(session.TraceTarget{System: true}, mask, 0, "command line"); err != nil {
			return err
		}
	}
	d, err := open(c, traces, log)
	if err != nil {
		return err
	}
	stop := newStopper()
	current := newLive(f, c, text, d, sink, level)
	err = d.serve(current, stop)
	return errors.Join(err, d.close())
}

// loadFile reads the configuration, and the text of the startup-config that it was made of.
func loadFile(path string) (*config.Config, string, []config.Warning, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, "", nil, err
	}
	c, warnings, err := config.Load(path)
	return c, string(b), warnings, err
}

// heapGrowth is by how much of what is in use the heap may grow between two
// collections, in percent: most of it lives as long as the sessions do, and a quarter of the
// usual growth costs a storm of calls some of its processor time.
const heapGrowth = 25

// saveMemory sets it, unless the operator has done so by the runtime's GOGC.
func saveMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}

// stopper lets several parts ask for the end; the first decides how.
type stopper struct{ ask chan string }

func newStopper() stopper { return stopper{make(chan string, 1)} }

// stop asks for the end. reason is for the log.
func (s stopper) stop(reason string) {
	select {
	case s.ask <- reason:
	default: // it has been asked for already
	}
}

// serve runs all parts until a signal, an operator or a broken part ends it. SIGQUIT
// and the operator disconnect every session. Otherwise they go on: the next daemon
// takes them over, and until then the data plane forwards their packets. Where nothing
// is kept for it they are disconnected too: LACs and accounting must not believe that
// they live on.
func (d *daemon) serve(current *live, stop stopper) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b := newBackend(d, current, stop)
	parts := d.start(ctx, b)
	if err := d.keepStatus(ctx, parts, b); err != nil {
		d.log.Error("no status files", zap.Error(err)) // nobody's session is to hang on them
	}

	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	defer signal.Stop(signals)

	if d.journal != nil {
		keepSockets(d.log, d.socket)
	}
	notify(d.log, sd.SdNotifyReady)
	d.log.Info("started", zap.String("version", version), zap.Stringers("addresses", d.socket.LocalAddrs()),
		zap.Duration("after", time.Since(d.started)))
	var broken error
	d.keep = false
	for ended := false; !ended; {
		select {
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				d.hangup(ctx, current)
				continue
			}
			d.keep = d.journal != nil && sig != syscall.SIGQUIT
			d.log.Info("stopping", zap.String("reason", sig.String()), zap.Bool("sessions_go_on", d.keep))
			ended = true
		case reason := <-stop.ask:
			d.log.Info("stopping", zap.String("reason", reason))
			ended = true
		case broken = <-parts.failed:
			d.keep = d.journal != nil
			d.log.Error("stopping: a part has failed", zap.Error(broken))
			ended = true
		}
	}
	notify(d.log, sd.SdNotifyStopping)
	if !d.keep {
		dropSockets(d.log)
		d.disconnect()
	}
	if err := d.shells.close(); err != nil {
		d.log.Warn("shells", zap.Error(err))
	}
	for _, s := range parts.servers {
		s.close()
	}
	cancel()
	parts.wait()
	if d.keep {
		d.leave()
		return broken
	}
	return errors.Join(broken, d.finish())
}

// hangup answers SIGHUP: configuration and users are read again.
func (d *daemon) hangup(ctx context.Context, current *live) {
	// Before all that can go wrong: a log that was rotated away must not stay open.
	if err := current.sink.Reopen(); err != nil {
		d.log.Error("the log was not reopened", zap.Error(err))
	}
	notify(d.log, sd.SdNotifyReloading)
	defer notify(d.log, sd.SdNotifyReady)
	notes, err := current.commits.Reload(ctx, "SIGHUP")
	if err != nil {
		d.log.Error("the configuration was not changed", zap.Error(err))
		return
	}
	d.log.Info("configuration read again", zap.Strings("notes", notes))
}

// disconnect tells every subscriber and LAC that it is over.
func (d *daemon) disconnect() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownLimit)
	defer cancel()
	if err := d.engine.Shutdown(ctx); err != nil {
		d.log.Warn("not every peer has confirmed the end of its tunnel", zap.Error(err))
	}
}

// receive hands datagrams to whom they are for: subscribers' packets that XDP passed
// up go through the slow path, everything else to the engine.
func (d *daemon) receive(ctx context.Context, socket *udp.Socket) error {
	uplink := d.slow.NewUplink()
	return socket.RunMarked(ctx, func(local, peer netip.AddrPort, tos byte, b []byte) {
		if !uplink.Packet(local, peer, tos, b) {
			d.inboxes.Packet(local, peer, b)
		}
	}, uplink.Flush)
}

// server is the management interface.
type server struct{ api *api.Server }

func (s server) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.api.Close(ctx)
}
