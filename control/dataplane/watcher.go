package dataplane

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/lnsd/lnsd/maps"
)

// settle is how long the watcher lets changes of the host come to rest: a link
// that goes up is a dozen messages.
const settle = 50 * time.Millisecond

// devices is the part of the maps that says where packets come and go.
type devices interface {
	Attach(ifindex int) (maps.Attachment, error)
	Detach(ifindex int) error
	AddPort(maps.Port) error
	RemovePort(maps.Port) error
	AddLocal(netip.AddrPort) error
	RemoveLocal(netip.AddrPort) error
}

// watcher keeps attachments, ports and local addresses as the host's network is.
type watcher struct {
	cfg    *Config
	maps   devices
	handle *netlink.Handle
	events *nl.NetlinkSocket
	log    *zap.Logger

	// What is in the maps, owned by the caller of refresh.
	attached map[int]Mode
	ports    map[int]maps.Port
	locals   map[netip.AddrPort]struct{}

	mu    sync.Mutex
	modes []Mode

	wake chan struct{}
	stop chan struct{}
	wg   sync.WaitGroup
}

// newWatcher attaches to what is there now, in the calling thread's network
// namespace, and starts to follow changes.
func newWatcher(cfg *Config, m devices, log *zap.Logger) (w *watcher, err error) {
	w = &watcher{
		cfg: cfg, maps: m, log: log,
		attached: map[int]Mode{},
		ports:    map[int]maps.Port{},
		locals:   map[netip.AddrPort]struct{}{},
		wake:     make(chan struct{}, 1),
		stop:     make(chan struct{}),
	}
	// Routes, links and addresses alone: the other families that the library
	// opens by default are modules that a kernel need not have.
	if w.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	// Subscribed before the first look, so that no change falls in between.
	if w.events, err = nl.Subscribe(unix.NETLINK_ROUTE, cfg.groups()...); err != nil {
		w.handle.Close()
		return nil, fmt.Errorf("netlink subscription: %w", err)
	}
	if err := w.refresh(); err != nil {
		w.events.Close()
		w.handle.Close()
		return nil, err
	}
	w.wg.Go(w.listen)
	w.wg.Go(w.run)
	return w, nil
}

func (w *watcher) close() {
	close(w.stop)
	w.events.Close()
	w.wg.Wait()
	w.handle.Close()
}

// listen turns netlink messages into wake-ups. What exactly changed is not kept: it
// may be lost when there is too much of it (ENOBUFS), so the state is read anew.
func (w *watcher) listen() {
	for {
		messages, _, err := w.events.Receive()
		select {
		case <-w.stop:
			return
		default:
		}
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			w.log.Warn("netlink subscription failed; interfaces are not followed any more", zap.Error(err))
			return
		}
		if err == nil && !slices.ContainsFunc(messages, func(m syscall.NetlinkMessage) bool { return w.cfg.concerns(&m) }) {
			continue
		}
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (w *watcher) run() {
	for {
		select {
		case <-w.stop:
			return
		case <-w.wake:
		}
		select {
		case <-w.stop:
			return
		case <-time.After(settle):
		}
		if err := w.refresh(); err != nil {
			w.log.Warn("interfaces not followed", zap.Error(err))
		}
	}
}

// refresh makes the maps fit the host as it is now. What fails for one interface
// is reported and leaves the others alone.
func (w *watcher) refresh() error {
	h, err := readHost(w.handle, w.cfg)
	if err != nil {
		return err
	}
	p := w.cfg.plan(h)
	w.refreshLocals(p.locals)
	modes := slices.Concat(p.unfit, w.refreshDevices(p.devices))
	w.refreshPorts(p.ports)
	w.publish(modes)
	return nil
}

func (w *watcher) refreshDevices(want []netif) []Mode {
	for index := range w.attached {
		if !slices.ContainsFunc(want, func(n netif) bool { return n.index == index }) {
			w.report("detach", w.maps.Detach(index), zap.Int("ifindex", index))
			delete(w.attached, index)
		}
	}
	var modes []Mode
	for _, n := range want {
		mode, ok := w.attached[n.index]
		if !ok {
			var err error
			if mode, err = w.attach(n); err == nil {
				w.attached[n.index] = mode
			}
		}
		mode.Interface = n.name // it may have been renamed
		modes = append(modes, mode)
	}
	return modes
}

// attach hangs the program on an interface in the mode that is wanted.
func (w *watcher) attach(n netif) (Mode, error) {
	at, err := w.maps.Attach(n.index)
	if err == nil && w.cfg.Want == Native && at.Mode != maps.Native {
		err = errors.Join(at.WhyGeneric, w.maps.Detach(n.index))
	}
	if err != nil {
		return Mode{Interface: n.name, Mode: maps.Mode(0).String(), Reason: err.Error()}, err
	}
	mode := Mode{Interface: n.name, Mode: at.Mode.String()}
	if at.WhyGeneric != nil {
		mode.Reason = at.WhyGeneric.Error()
	}
	return mode, nil
}

func (w *watcher) refreshPorts(want []maps.Port) {
	for index, old := range w.ports {
		i := slices.IndexFunc(want, func(p maps.Port) bool { return p.Ifindex == index })
		if i < 0 || !reflect.DeepEqual(want[i], old) {
			w.report("remove port", w.maps.RemovePort(old), zap.Int("ifindex", index))
			delete(w.ports, index)
		}
	}
	for _, p := range want {
		if _, ok := w.attached[p.Device]; !ok {
			continue
		}
		if _, ok := w.ports[p.Ifindex]; ok {
			continue
		}
		if err := w.maps.AddPort(p); err != nil {
			w.report("add port", err, zap.Int("ifindex", p.Ifindex))
			continue
		}
		w.ports[p.Ifindex] = p
	}
}

func (w *watcher) refreshLocals(want []netip.AddrPort) {
	for l := range w.locals {
		if !slices.Contains(want, l) {
			w.report("remove local address", w.maps.RemoveLocal(l), zap.Stringer("local", l))
			delete(w.locals, l)
		}
	}
	for _, l := range want {
		if _, ok := w.locals[l]; ok {
			continue
		}
		if err := w.maps.AddLocal(l); err != nil {
			w.report("add local address", err, zap.Stringer("local", l))
			continue
		}
		w.locals[l] = struct{}{}
	}
}

func (w *watcher) report(what string, err error, fields ...zap.Field) {
	if err != nil {
		w.log.Warn("fast path: "+what+" failed", append(fields, zap.Error(err))...)
	}
}

// publish makes modes known, and logs those that are new.
func (w *watcher) publish(modes []Mode) {
	w.mu.Lock()
	before := w.modes
	w.modes = modes
	w.mu.Unlock()
	used := false
	for _, m := range modes {
		used = used || m.Mode != maps.Mode(0).String()
		if slices.Contains(before, m) {
			continue
		}
		fields := []zap.Field{zap.String("interface", m.Interface), zap.String("mode", m.Mode)}
		switch {
		case m.Mode == maps.Mode(0).String():
			w.log.Warn("XDP not attached: packets of this interface take the slow path", append(fields, zap.String("reason", m.Reason))...)
		case m.Reason != "":
			w.log.Info("XDP attached", append(fields, zap.String("reason", m.Reason))...)
		default:
			w.log.Info("XDP attached", fields...)
		}
	}
	for _, m := range before {
		if !slices.ContainsFunc(modes, func(n Mode) bool { return n.Interface == m.Interface }) {
			w.log.Warn("XDP detached", zap.String("interface", m.Interface))
		}
	}
	if !used && (before == nil || !slices.Equal(before, modes)) {
		w.log.Warn("XDP is on no interface: every packet takes the slow path")
	}
}

func (w *watcher) list() []Mode {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.modes)
}
