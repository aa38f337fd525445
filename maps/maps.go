// Package maps is the only code that knows how the XDP program and its maps lie
// in the kernel: it loads them, attaches the program, pins both, and gives typed
// access to what they hold.
//
// Keys, values and reasons are generated from the C sources in bpf/, never
// written twice. With a pin path everything outlives the process: packets keep
// flowing, and the next Open goes on where the last one left.
package maps

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Config holds what is fixed once the maps exist.
type Config struct {
	// PinPath is a folder in a BPF file system, made when missing. Empty: the
	// maps and the program end with the process.
	PinPath string
	// Sessions is the largest slot number; 1 to MaxSessions.
	Sessions uint32
	// Routes is the most prefixes routed to subscribers, over all sessions.
	Routes uint32
	// IPv6 makes room for the sessions' IPv6 prefixes and counters, and for
	// as many IPv6 routes as IPv4 ones.
	IPv6 bool
	// Outer6 serves LACs that speak IPv6.
	Outer6 bool
	// OuterTTL is the time to live of packets to the peers; 0 means 64.
	OuterTTL uint8
	// Hairpin is what becomes of packets from one subscriber to another.
	Hairpin Hairpin
	// PacketLimit is the most packets to a session in a tenth of a second, for
	// sessions with FlagPacketLimit; 0 is no limit.
	PacketLimit uint32
	// FlowSeed makes it unforeseeable which flows of throttled sessions share a place.
	FlowSeed uint64
	// Rates bound what reaches the daemon.
	Rates Rates
	// Without leaves parts of the program out, to measure what they cost.
	Without Part
	// Generic attaches in generic mode even where the driver could do better.
	Generic bool
}

// Hairpin is a policy for packets from one subscriber to another.
type Hairpin = kernelLnsHairpin

// The policies.
const (
	HairpinAllow = kernelLnsHairpinLNS_HAIRPIN_ALLOW // sent on within the program
	HairpinDeny  = kernelLnsHairpinLNS_HAIRPIN_DENY  // dropped
	HairpinCore  = kernelLnsHairpinLNS_HAIRPIN_CORE  // left to the kernel's routes
)

// Part is parts of the program that can be left out, to measure what they cost.
type Part = kernelLnsPart

// The parts.
const (
	PartCounters = kernelLnsPartLNS_PART_COUNTERS // what sessions count of IPv4
	PartAtomic   = kernelLnsPartLNS_PART_ATOMIC   // they count, and lose some
	PartServices = kernelLnsPartLNS_PART_SERVICES // what is done for sessions beyond forwarding
	PartAdvance  = kernelLnsPartLNS_PART_ADVANCE  // that throttled sessions pay ahead
)

// MaxSessions is the most sessions that one set of maps can be made for.
const MaxSessions = 1 << 20

// Errors of Open and of changes to the maps, to be used with errors.Is.
var (
	// ErrIncompatible says that the pinned maps were made with another layout
	// or other sizes. Unpin them to start anew.
	ErrIncompatible = errors.New("pinned maps do not fit")
	// ErrInUse says that a key already leads to another session.
	ErrInUse = errors.New("key belongs to another session")
	// ErrFull says that a map has no room left.
	ErrFull = errors.New("map is full")
	// ErrNoIPv6 says that a session has IPv6 prefixes and the maps were made
	// without room for them.
	ErrNoIPv6 = errors.New("no room for IPv6")
	// ErrNoOuter6 says that a peer speaks IPv6 and the program was loaded for IPv4
	// peers alone.
	ErrNoOuter6 = errors.New("IPv6 peers are not served")
	// ErrSlot says that a slot number is 0 or beyond the maps' size.
	ErrSlot = errors.New("no such slot")
)

// Maps is a loaded program with its maps. Its methods may be called from any
// goroutine; changes wait for each other.
type Maps struct {
	cfg  Config
	objs kernelObjects
	// buffers is nil until it is needed, see forBuffers.
	buffers *ebpf.Program
	spread  spreading
	grace   *grace
	names   []string // of the reasons, by value
	reused  bool

	sessions mapped[kernelLnsSession]
	usage    mapped[kernelLnsUsage]
	shares   mapped[kernelLnsShare6]
	lines    mapped[kernelLnsLine]
	numbers  mapped[Sequence]
	homes    homes
	shapers  [2]mapped[kernelLnsShaper] // up, down
	paces    mapped[uint64]
	budget   mapped[kernelLnsAllowance]
	current  mapped[uint64] // of lns_filters
	tunnels  mapped[kernelLnsTunnel]
	ends     mapped[kernelLnsEnds] // by tunnel
	doors    mapped[kernelLnsDoor]
	hints    mapped[kernelLnsHint]
	paths    ways

	mu      sync.Mutex // held while maps are changed
	routes  map[uint32]routeKeys
	filters filters
	nroute  routeCount
	lacs    map[netip.Prefix]struct{}
	facts   kernelLnsFacts // as last written
	links   map[int]attached
	hooks   [directions]*loadedHook // nil for none
}

// attached is a link that this process holds.
type attached struct {
	link link.Link
	mode Mode
	// buffers: with the program for frames in several buffers.
	buffers bool
}

// Open loads the program and makes the maps, or goes on with those that are
// pinned at cfg.PinPath. Sessions that were half installed or half removed when
// the last process died are taken out.
func Open(cfg Config) (*Maps, error) {
	if cfg.Sessions == 0 || cfg.Sessions > MaxSessions {
		return nil, fmt.Errorf("maps: %d sessions: not in 1..%d", cfg.Sessions, MaxSessions)
	}
	spec, err := loadKernel()
	if err != nil {
		return nil, fmt.Errorf("maps: %w", err)
	}
	names, err := reasonNames(spec)
	if err != nil {
		return nil, fmt.Errorf("maps: %w", err)
	}
	if err := cfg.apply(spec); err != nil {
		return nil, fmt.Errorf("maps: %w", err)
	}
	m := newMaps(cfg, names)
	if err := m.load(spec); err != nil {
		return nil, fmt.Errorf("maps: %w", err)
	}
	if err := m.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("maps: %w", err), m.Close())
	}
	return m, nil
}

// newMaps is without kernel objects yet.
func newMaps(cfg Config, names []string) *Maps {
	return &Maps{
		cfg: cfg, names: names,
		routes:  make(map[uint32]routeKeys),
		lacs:    make(map[netip.Prefix]struct{}),
		links:   make(map[int]attached),
		filters: filters{indices: make(map[string]uint16)},
	}
}

// apply puts sizes, knobs and pinning into spec.
func (cfg Config) apply(spec *ebpf.CollectionSpec) error {
	sizes := map[string]uint32{
		kernelMapLnsCalls:    strayCalls(cfg.Sessions),
		kernelMapLnsHosts:    cfg.Sessions,
		kernelMapLnsRoutes:   max(cfg.Routes, 1),
		kernelMapLnsSessions: cfg.Sessions + 1, // slot 0 is not used
		kernelMapLnsCounters: cfg.Sessions + 1,
		kernelMapLnsLines:    cfg.Sessions + 1,

		kernelMapLnsUplinks:   CallPlaces(cfg.Sessions),
		kernelMapLnsDownlinks: hostPlaces(cfg.Sessions),

		kernelMapLnsShapeUp:   cfg.Sessions + 1,
		kernelMapLnsShapeDown: cfg.Sessions + 1,
		kernelMapLnsPaces:     cfg.Sessions + 1,
		kernelMapLnsFlows:     cfg.flows(),

		kernelMapLnsSequences: cfg.Sessions + 1,
	}
	if cfg.IPv6 {
		if err := spec.Variables[kernelVarHomes6].Set(homes6(cfg.Sessions)); err != nil {
			return err
		}
		sizes[kernelMapLnsNets6] = strays6(cfg.Sessions)
		sizes[kernelMapLnsHomes6] = homes6(cfg.Sessions)
		sizes[kernelMapLnsRoutes6] = max(cfg.Routes, 1)
		sizes[kernelMapLnsCounters6] = cfg.Sessions + 1
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	sizes[kernelMapLnsCpus] = uint32(cpus)
	for name, size := range sizes {
		spec.Maps[name].MaxEntries = size
	}
	if cfg.PinPath != "" {
		for name, m := range spec.Maps {
			// The knobs (.rodata) belong to one load of the program.
			if strings.HasPrefix(name, "lns_") {
				m.Pinning = ebpf.PinByName
			}
		}
	}
	if err := spec.Variables[kernelVarCallPlaces].Set(CallPlaces(cfg.Sessions)); err != nil {
		return err
	}
	if err := spec.Variables[kernelVarHairpin].Set(cfg.Hairpin); err != nil {
		return err
	}
	if cfg.Outer6 {
		if err := spec.Variables[kernelVarOuter6].Set(uint8(1)); err != nil {
			return err
		}
	}
	if err := spec.Variables[kernelVarWithout].Set(cfg.Without); err != nil {
		return err
	}
	if err := cfg.limits(spec); err != nil {
		return err
	}
	if cfg.OuterTTL != 0 {
		return spec.Variables[kernelVarOuterTtl].Set(cfg.OuterTTL)
	}
	return nil
}

// load creates or reopens the kernel objects.
func (m *Maps) load(spec *ebpf.CollectionSpec) error {
	if path := m.cfg.PinPath; path != "" {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
		var err error
		if m.reused, err = adopt(path); err != nil {
			return err
		}
	}
	opts := &ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: m.cfg.PinPath}}
	err := spec.LoadAndAssign(&m.objs, opts)
	if errors.Is(err, ebpf.ErrMapIncompatible) {
		return fmt.Errorf("%w: %w", ErrIncompatible, err)
	}
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) {
		return fmt.Errorf("the kernel refused the program: %+v", refused)
	}
	return err
}

// begin maps the shared arrays into memory and puts the maps into a known state.
func (m *Maps) begin() (err error) {
	if m.grace, err = newGrace(); err != nil {
		return err
	}
	if m.sessions, err = newMapped[kernelLnsSession](m.objs.LnsSessions); err != nil {
		return err
	}
	if m.usage, err = newMapped[kernelLnsUsage](m.objs.LnsCounters); err != nil {
		return err
	}
	if m.shares, err = newMapped[kernelLnsShare6](m.objs.LnsCounters6); err != nil {
		return err
	}
	if m.lines, err = newMapped[kernelLnsLine](m.objs.LnsLines); err != nil {
		return err
	}
	if err = m.homes.open(m.objs.LnsHomes6, m.objs.LnsNets6, m.sessions.values); err != nil {
		return err
	}
	if m.numbers, err = newMapped[Sequence](m.objs.LnsSequences); err != nil {
		return err
	}
	if err = m.mapShapers(); err != nil {
		return err
	}
	if err = m.mapCopies(); err != nil {
		return err
	}
	if m.current, err = newMapped[uint64](m.objs.LnsFilters); err != nil {
		return err
	}
	if m.tunnels, err = newMapped[kernelLnsTunnel](m.objs.LnsTunnels); err != nil {
		return err
	}
	if m.ends, err = newMapped[kernelLnsEnds](m.objs.LnsOuter6); err != nil {
		return err
	}
	if m.doors, err = newMapped[kernelLnsDoor](m.objs.LnsDoors); err != nil {
		return err
	}
	if m.hints, err = newMapped[kernelLnsHint](m.objs.LnsHints); err != nil {
		return err
	}
	if err := m.openPaths(); err != nil {
		return err
	}
	if m.reused {
		if err := m.clearHints(); err != nil {
			return err
		}
		if err := errors.Join(m.adoptPaths(), m.sweep(), m.learnLACs(), m.learnFilters()); err != nil {
			return err
		}
		m.endCaptures()
	}
	return m.putFacts()
}

// putFacts writes the layout number, the rates and the numbers of routes and LACs,
// where they are not what is written already.
func (m *Maps) putFacts() error {
	facts := m.cfg.Rates.facts()
	facts.Routes, facts.Routes6, facts.Lacs = m.nroute.v4, m.nroute.v6, uint32(len(m.lacs))
	if facts == m.facts {
		return nil
	}
	if err := m.objs.LnsLive.Put(uint32(0), &facts); err != nil {
		return err
	}
	m.facts = facts
	return nil
}

// Reused reports whether Open went on with maps of an earlier process.
func (m *Maps) Reused() bool { return m.reused }

// Close gives up this process's hold. What is pinned stays and keeps forwarding;
// without a pin path the program is detached. No other method may run or follow.
func (m *Maps) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	errs = append(errs, m.closeHooks())
	for _, a := range m.links {
		if m.cfg.PinPath == "" {
			errs = append(errs, m.drop(a.link))
		} else {
			errs = append(errs, a.link.Close())
		}
	}
	errs = append(errs, m.budget.close(), m.sessions.close(), m.usage.close(), m.shares.close(), m.lines.close(), m.homes.close(),
		m.numbers.close(), m.shapers[0].close(), m.shapers[1].close(), m.paces.close(), m.current.close(), m.tunnels.close(), m.doors.close(), m.hints.close(),
		m.ends.close(), m.paths.up.close(), m.paths.down.close(), m.paths.blocks.close())
	if m.buffers != nil {
		errs = append(errs, m.buffers.Close())
	}
	errs = append(errs, m.spread.close())
	if m.grace != nil {
		errs = append(errs, m.grace.close())
	}
	return errors.Join(append(errs, m.objs.Close())...)
}

// Unpin detaches the program and removes the maps pinned at path, by whatever
// process. Those still held by a running one live until it ends. A path where
// nothing is pinned is no error.
func Unpin(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("maps: %w", err)
	}
	var errs []error
	for _, e := range entries {
		pin := filepath.Join(path, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), linkPrefix):
			errs = append(errs, dropPinned(pin))
		case strings.HasPrefix(e.Name(), "lns_"), strings.HasPrefix(e.Name(), hookPrefix):
			errs = append(errs, os.Remove(pin))
		}
	}
	errs = append(errs, os.Remove(path))
	return errors.Join(errs...)
}
