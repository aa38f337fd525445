package perf

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"github.com/lnsd/lnsd/maps"
)

// Program is what one path through a program takes, with everything in the cache.
type Program struct {
	Forwarder string `json:"forwarder"`
	Path      string `json:"path"` // up, down, or pass: neither
	// NS is nanoseconds per packet by BPF_PROG_TEST_RUN, less those of a program
	// that does nothing.
	NS float64 `json:"ns"`
	// Instructions after the verifier's rewriting, bytes of machine code, and
	// instructions that the verifier walked; of the whole program.
	Translated int    `json:"translated_instructions"`
	JITed      uint32 `json:"jited_bytes"`
	Verified   uint32 `json:"verified_instructions"`
}

// A test run that is repeated goes on with what the last repetition left of the
// packet. The packets are nested so that each repetition does the same: what is
// decapsulated is an uplink packet of the same session again, what is encapsulated
// is for the same subscriber again. One address is peer, subscriber and next hop.
const (
	upRepeat   = 30 // bounded by the frame's length
	downRepeat = 5  // bounded by the headroom
	testSize   = 64
)

var (
	everyone = netip.MustParseAddr("192.0.2.50")
	// otherPort is the peer's, so that what is sent to it is not taken for uplink.
	otherPort uint16 = 1702
)

// loopback is the device that test runs come in on.
const loopback = 1

// path is one way through the programs.
type path struct {
	name   string
	frame  []byte
	repeat int
}

func (r *rig) paths() []path {
	addr := everyone.As4()
	ether := append(append([]byte{}, r.lac.far.mac...), r.lac.near.mac...)
	ether = append(ether, 0x08, 0x00)
	packet := appendUDP(appendIP(nil, testSize, Server.As4(), addr, true), Port, testSize-ipLen)
	packet = append(packet, make([]byte, testSize-len(packet))...)
	alien := appendIP(nil, testSize, Server.As4(), [4]byte{203, 0, 113, 9}, true)
	alien = append(alien, make([]byte, testSize-len(alien))...)
	return []path{
		{"up", append(slices.Clone(ether), nested(upRepeat, addr)...), upRepeat},
		{"down", append(slices.Clone(ether), packet...), downRepeat},
		{"pass", append(slices.Clone(ether), alien...), upRepeat},
	}
}

// nested is an IPv4 packet that can be decapsulated n times.
func nested(n int, addr [4]byte) []byte {
	inner := appendIP(nil, testSize, addr, addr, true)
	inner = append(inner, make([]byte, testSize-len(inner))...)
	inner[ipLen+4] = testSize - ipLen
	for range n {
		b := appendIP(nil, outerLen+len(inner), addr, addr, true)
		b = appendUDP(b, l2tpPort, outerLen-ipLen+len(inner))
		b[ipLen], b[ipLen+1] = byte(otherPort>>8), byte(otherPort&0xFF)
		length := l2tpLen + pppLen + len(inner)
		b = append(b, 0x40, 0x02, byte(length>>8), byte(length), 0, 1, 0, 1, 0xFF, 0x03, 0x00, 0x21)
		inner = append(b, inner...)
	}
	return inner
}

// everySession is the one that all test runs are of.
func everySession() Session {
	return Session{TunnelID: 1, SessionID: 1, PeerTunnelID: 1, PeerSessionID: 1, Address: everyone.As4()}
}

// MeasurePrograms times the paths of the reference and of lnsd's program. Each time
// is the median of runs.
func MeasurePrograms(runs int) (list []Program, err error) {
	var open closers
	defer func() { err = errors.Join(err, open.close()) }()
	r, err := newRig()
	if err != nil {
		return nil, err
	}
	open.add(r.close)
	if err := r.routeToSelf(); err != nil {
		return nil, err
	}
	b, err := newBaseline(r, nil)
	if err != nil {
		return nil, err
	}
	open.add(b.close)
	f, err := newFastPath(r, 16, nil)
	if err != nil {
		return nil, err
	}
	open.add(f.close)
	err = r.lab.LNS.Do(func() error {
		list, err = r.timePrograms(b, f, runs)
		return err
	})
	return list, err
}

// routeToSelf makes the one address a neighbour whose MAC is the port's own.
func (r *rig) routeToSelf() error {
	return r.lab.LNS.Do(func() error {
		dst := netlink.NewIPNet(everyone.AsSlice())
		return errors.Join(
			netlink.RouteAdd(&netlink.Route{LinkIndex: r.lac.far.ifindex, Dst: dst, Scope: netlink.SCOPE_LINK}),
			netlink.NeighSet(&netlink.Neigh{
				LinkIndex: r.lac.far.ifindex, IP: everyone.AsSlice(), HardwareAddr: r.lac.far.mac, State: netlink.NUD_PERMANENT,
			}),
		)
	})
}

func (r *rig) timePrograms(b *baseline, f *fastPath, runs int) ([]Program, error) {
	lnsd, err := r.prepare(b, f)
	if err != nil {
		return nil, err
	}
	defer lnsd.Close()
	empty, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()},
	})
	if err != nil {
		return nil, err
	}
	defer empty.Close()
	release, err := occupy(GeneratorCPU)
	if err != nil {
		return nil, err
	}
	defer release()
	var list []Program
	for _, p := range []struct {
		name    string
		program *ebpf.Program
	}{{Reference, b.objs.Reference}, {LNSD, lnsd}} {
		for _, way := range r.paths() {
			row, err := r.timePath(p.program, empty, way, runs)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", p.name, way.name, err)
			}
			row.Forwarder, row.Path = p.name, way.name
			list = append(list, row)
		}
	}
	return list, nil
}

// prepare enters the one session everywhere and finds lnsd's program.
func (r *rig) prepare(b *baseline, f *fastPath) (*ebpf.Program, error) {
	s := everySession()
	if err := b.fillOne(s, everyone, netip.AddrPortFrom(everyone, otherPort)); err != nil {
		return nil, err
	}
	if err := b.objs.RefDevices.Put(uint32(r.lac.far.ifindex), uint32(r.lac.far.ifindex)); err != nil {
		return nil, err
	}
	entry := maps.Port{Ifindex: loopback, Device: loopback}
	copy(entry.MAC[:], r.lac.far.mac)
	err := errors.Join(
		f.maps.AddPort(entry),
		f.maps.AddLocal(netip.AddrPortFrom(everyone, l2tpPort)),
		f.maps.Install(maps.Session{Slot: 1, Policy: maps.Policy{
			Flags: usualFlags, Local: everyone.As4(), Peer: everyone.As4(), LocalPort: l2tpPort, PeerPort: otherPort,
			TunnelId: s.TunnelID, SessionId: s.SessionID, PeerTunnelId: s.PeerTunnelID, PeerSessionId: s.PeerSessionID,
			Address: s.Address, Mtu: usualMTU, ClampMss: usualMSS,
		}}),
		f.attach(),
	)
	if err != nil {
		return nil, err
	}
	return attachedProgram(r.lac.far.ifindex)
}

// attachedProgram opens the program on a device of the caller's namespace.
func attachedProgram(ifindex int) (*ebpf.Program, error) {
	l, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		return nil, err
	}
	if xdp := l.Attrs().Xdp; xdp != nil && xdp.Attached {
		return ebpf.NewProgramFromID(ebpf.ProgramID(xdp.ProgId))
	}
	return nil, fmt.Errorf("%s: no program: %w", l.Attrs().Name, os.ErrNotExist)
}

// timePath runs one path and reads the program's sizes.
func (r *rig) timePath(p, empty *ebpf.Program, way path, runs int) (row Program, err error) {
	verdict, _, err := p.Test(way.frame)
	if err != nil {
		return row, err
	}
	const xdpRedirect = 4
	if want := map[bool]uint32{true: xdpPass, false: xdpRedirect}[way.name == "pass"]; verdict != want {
		return row, fmt.Errorf("verdict %d, want %d", verdict, want)
	}
	own, err := r.medianRun(p, way, runs)
	if err != nil {
		return row, err
	}
	idle, err := r.medianRun(empty, way, runs)
	if err != nil {
		return row, err
	}
	row.NS = own - idle
	info, err := p.Info()
	if err != nil {
		return row, err
	}
	instructions, err := info.Instructions()
	if err != nil {
		return row, err
	}
	row.Translated = len(instructions)
	if row.JITed, err = info.JitedSize(); err != nil {
		return row, err
	}
	row.Verified, _ = info.VerifiedInstructions() // 0 where the kernel does not tell
	return row, nil
}

// medianRun is in ns per repetition. What interrupts a run does not count. The
// program is attached to a device meanwhile: for one that is not, the kernel patches
// its own code before each run, and the first repetitions pay for it.
func (r *rig) medianRun(p *ebpf.Program, way path, runs int) (ns float64, err error) {
	var l link.Link
	err = r.core.near.ns.Do(func() (err error) {
		l, err = link.AttachXDP(link.XDPOptions{Program: p, Interface: r.core.near.ifindex, Flags: link.XDPDriverMode})
		return err
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	times := make([]time.Duration, runs)
	for i := range times {
		_, d, err := p.Benchmark(way.frame, way.repeat, nil)
		if err != nil {
			return 0, err
		}
		times[i] = d
	}
	slices.Sort(times)
	return float64(times[len(times)/2]), nil
}
