package maps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// allCPUs are the CPUs of the machine.
func allCPUs(t *testing.T) []int {
	t.Helper()
	n, err := ebpf.PossibleCPU()
	if err != nil {
		t.Fatal(err)
	}
	cpus := make([]int, n)
	for i := range cpus {
		cpus[i] = i
	}
	return cpus
}

// isData says by other means than the program whether a frame is data for one of our
// sockets, in an IPv4 datagram that is whole.
func (w *world) isData(frame []byte) bool {
	if len(frame) < 14+28+8 || binary.BigEndian.Uint16(frame[12:]) != 0x0800 {
		return false
	}
	ip, datagram := frame[14:34], frame[34:]
	if ip[0] != 0x45 || binary.BigEndian.Uint16(ip[6:])&0x3FFF != 0 || ip[9] != 17 ||
		binary.BigEndian.Uint16(datagram[8:])&0x800F != 2 {
		return false
	}
	key := kernelLnsLocal{Addr: [4]byte(ip[16:20]), Port: binary.BigEndian.Uint16(datagram[2:])}
	return w.m.objs.LnsLocals.Lookup(&key, new(uint32)) == nil
}

func (w *world) hands(t *testing.T) (sum Hand, cpus []Hand) {
	t.Helper()
	cpus, err := w.m.Hands()
	w.must(err)
	for _, c := range cpus {
		sum.Handed, sum.Taken = sum.Handed+c.Handed, sum.Taken+c.Taken
	}
	return sum, cpus
}

// handing makes test runs go to the program that hands over.
func (w *world) handing(t *testing.T) {
	t.Helper()
	w.must(w.m.Spread(allCPUs(t)))
	usual := w.m.objs.LnsXdp
	w.m.objs.LnsXdp = w.m.spread.hand
	t.Cleanup(func() { w.m.objs.LnsXdp = usual })
}

// checkHanded makes sure that a frame is handed over as it came, and counted as that
// alone.
func (c testCase) checkHanded(t *testing.T, w *world) {
	t.Helper()
	before := w.snapshot(t)
	was, _ := w.hands(t)
	verdict, out := w.run(t, "lac0", c.in)
	if verdict != xdpRedirect {
		t.Errorf("verdict %s", xdpNames[verdict])
	}
	compare(t, out, c.in)
	if moved := w.snapshot(t).moved(before); len(moved) != 0 {
		t.Errorf("counters moved: %s", strings.Join(moved, "; "))
	}
	if now, _ := w.hands(t); now.Handed != was.Handed+1 || now.Taken != was.Taken {
		t.Errorf("%+v after %+v", now, was)
	}
}

// TestHandOver: with CPUs to take it, data for our sockets is handed over, and all
// else is judged at once as it was without them.
func TestHandOver(t *testing.T) {
	w := newWorld(t)
	w.handing(t)
	handed, others := 0, 0
	for _, c := range slices.Concat(uplinkCases(), downlinkCases()) {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			w.enter(t)
			w.install(t, subscriberSession())
			if c.with != nil {
				c.with(w, t)
				c.with = nil
			}
			if c.meta == 0 && c.dev != "core0" && w.isData(c.in) {
				handed++
				c.checkHanded(t, w)
				return
			}
			others++
			c.check(t, w, reached{})
		})
	}
	if handed < 20 || others < 20 {
		t.Errorf("%d frames handed over, %d not", handed, others)
	}
	w.must(w.m.AddLocal(at6(local)))
	for _, c := range handedCases() {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			w.enter(t)
			c.checkHanded(t, w)
		})
	}
	// Where the CPU takes nothing, everything is judged at once.
	w.must(w.m.dropCPUs(nil))
	before, _ := w.hands(t)
	runCases(t, w, reached{}, goodCases())
	if after, _ := w.hands(t); after != before {
		t.Errorf("%+v after %+v", after, before)
	}
}

// handedCases are all the ways to write the headers of data.
func handedCases() []testCase {
	short := l2tpData{offset: -1, ppp: longPPP}
	long := l2tpData{length: true, sequence: true, priority: true, offset: 6, ppp: longPPP}
	six, _ := over6(good)
	tagged := func(tags ...tag) []byte { return ether(lacMAC, peerMAC, 0x0800, good[14:], tags...) }
	return []testCase{
		{name: "data without Length", in: fromPeer(short.message(inner))},
		{name: "data with all fields", in: fromPeer(long.message(inner))},
		{name: "data over IPv6", in: six},
		{name: "data with a tag", in: tagged(tag{0x8100, 5})},
		{name: "data with two tags", in: tagged(tag{0x88A8, 5}, tag{0x8100, 6})},
	}
}

// tunnelSessions is how many sessions share the tunnel of a test with live frames.
const tunnelSessions = 32

func tunnelSession(i int) Session {
	s := subscriberSession()
	s.Slot = uint32(i + 1)
	s.Policy.SessionId = uint16(0x100 + i)
	s.Policy.PeerSessionId = s.Policy.SessionId
	s.Policy.Address[3] = byte(100 + i)
	return s
}

// tunnelFrame is packet n of session i.
func tunnelFrame(i, n int) []byte {
	s := tunnelSession(i)
	packet := header{src: netip.AddrFrom4(s.Policy.Address), dst: server, protocol: 253}.packet(
		binary.BigEndian.AppendUint32(nil, uint32(n)))
	return put16(uplinkFrame(packet), atL2TP+6, s.Policy.SessionId)
}

// tunnel is one tunnel's traffic, all its sessions in turn, and what arrives of it.
type tunnel struct {
	stop chan struct{}
	sent [tunnelSessions]int
	got  [tunnelSessions]int // each packet once
	late int                 // packets that came behind a later one
	window
	wg sync.WaitGroup
}

func (w *world) tunnel(t *testing.T) *tunnel {
	t.Helper()
	out, in := w.packetSocket(t, "lac0x"), w.packetSocket(t, "core0x")
	w.must(unix.SetsockoptTimeval(in, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 500_000}))
	to := &unix.SockaddrLinklayer{Ifindex: w.ifindex("lac0x")}
	s := &tunnel{stop: make(chan struct{})}
	sent := make(chan struct{})
	s.wg.Go(func() {
		defer unix.Close(out)
		defer close(sent)
		s.send(t, out, to)
	})
	s.wg.Go(func() {
		defer unix.Close(in)
		s.receive(in, sent)
	})
	return s
}

func (s *tunnel) send(t *testing.T, out int, to unix.Sockaddr) {
	for n := int64(0); ; n++ {
		if !s.room(n) {
			t.Error("nothing arrives any more")
			return
		}
		select {
		case <-s.stop:
			return
		default:
		}
		i := n % tunnelSessions
		if err := unix.Sendto(out, tunnelFrame(int(i), s.sent[i]), 0, to); err != nil {
			t.Errorf("send: %v", err)
			return
		}
		s.sent[i]++
	}
}

// receive ends when nothing has come for a while after the last was sent, and for a long
// while when some are missing.
func (s *tunnel) receive(in int, sent chan struct{}) {
	seen := map[uint64]bool{}
	next := [tunnelSessions]uint32{}
	buf := make([]byte, 2048)
	for silent := 0; ; {
		n, _, err := unix.Recvfrom(in, buf, 0)
		if err != nil {
			select {
			case <-sent:
				if silent++; s.got == s.sent || silent > mostSilence {
					return
				}
			default:
			}
			continue
		}
		if n != 14+20+4 || buf[14+9] != 253 {
			continue
		}
		i, number := int(buf[14+15])-100, binary.BigEndian.Uint32(buf[34:])
		if key := uint64(i)<<32 | uint64(number); !seen[key] {
			seen[key] = true
			s.got[i]++
			s.arrived.Add(1)
		}
		if number < next[i] {
			s.late++
		}
		next[i] = max(next[i], number+1)
	}
}

// carryTunnel installs the sessions and lets their packets flow while change runs;
// every one must arrive and be counted. It returns how many came late.
func (w *world) carryTunnel(t *testing.T, change func(*tunnel)) (late int) {
	t.Helper()
	for i := range tunnelSessions {
		w.must(w.m.Install(tunnelSession(i)))
	}
	s := w.tunnel(t)
	change(s)
	s.flow(20 * tunnelSessions)
	close(s.stop)
	s.wg.Wait()
	if s.got != s.sent || s.sent[tunnelSessions-1] < 20 {
		t.Errorf("arrived %v\nof      %v", s.got, s.sent)
	}
	for i, n := range s.sent {
		if u := w.m.Usage(uint32(i + 1)); u.Up.Packets != uint64(n) || u.Up.Bytes != uint64(n)*24 || u.Up.Dropped() != 0 {
			t.Errorf("session %d: %d packets sent, counted %+v", i, n, u.Up)
		}
	}
	return s.late
}

// TestSpread: in the driver and behind it, the packets of one tunnel arrive, each
// session's in their order, and each CPU has its share.
func TestSpread(t *testing.T) {
	for _, generic := range []bool{false, true} {
		t.Run(fmt.Sprintf("generic=%v", generic), func(t *testing.T) {
			w := newNetwork(t)
			w.m = open(t, Config{Sessions: 64, Generic: generic})
			defer w.m.Close()
			w.must(w.m.AddLocal(local))
			cpus := allCPUs(t)
			w.must(w.m.Spread(cpus))
			w.attachAll(t)
			if late := w.carryTunnel(t, func(s *tunnel) { s.flow(2000) }); late != 0 {
				t.Errorf("%d packets came behind later ones", late)
			}
			sum, each := w.hands(t)
			if sum.Handed != sum.Taken || sum.Handed == 0 {
				t.Errorf("%+v", each)
			}
			for cpu, h := range each {
				if h.Taken == 0 {
					t.Errorf("CPU %d has taken nothing", cpu)
				}
			}
			if got := w.m.Spreading(); !slices.Equal(got, cpus) {
				t.Errorf("spread over %v", got)
			}
		})
	}
}

// TestSpreadChanges: switching it on, off and to other CPUs loses nothing.
func TestSpreadChanges(t *testing.T) {
	w := newNetwork(t)
	w.m = open(t, Config{Sessions: 64})
	defer w.m.Close()
	w.must(w.m.AddLocal(local))
	w.attachAll(t)
	late := w.carryTunnel(t, func(s *tunnel) {
		for range 2 {
			for _, cpus := range [][]int{allCPUs(t), {0}, nil} {
				w.must(w.m.Spread(cpus))
				s.flow(2 * mostUnderWay)
			}
		}
	})
	t.Logf("%d packets came late", late)
	if sum, each := w.hands(t); sum.Handed != sum.Taken || sum.Handed == 0 {
		t.Errorf("%+v", each)
	}
}

// TestSpreadHotReplace: processes take over from each other, with and without, and
// lose nothing; in between and at the end the kernel holds nothing that it need not.
func TestSpreadHotReplace(t *testing.T) {
	w := newNetwork(t)
	cfg := Config{Sessions: 64, Routes: 16, PinPath: bpffs(t)}
	w.m = open(t, cfg)
	w.must(w.m.AddLocal(local))
	w.must(w.m.Spread(allCPUs(t)))
	w.attachAll(t)
	info, err := w.m.objs.LnsCpus.Info()
	w.must(err)
	id, _ := info.ID()
	w.carryTunnel(t, func(s *tunnel) {
		for _, cpus := range [][]int{allCPUs(t), nil, allCPUs(t), {0}} {
			s.flow(2 * mostUnderWay)
			w.must(w.m.Close())
			s.flow(2 * mostUnderWay) // with nobody there
			w.m = open(t, cfg)
			if len(cpus) > 0 {
				w.must(w.m.Spread(cpus))
			}
			w.attachAll(t)
			if len(cpus) == 0 {
				w.must(w.m.Spread(nil)) // ends what the process before has left
			}
		}
	})
	if sum, each := w.hands(t); sum.Handed != sum.Taken || sum.Handed == 0 {
		t.Errorf("%+v", each)
	}
	w.must(w.m.Close())
	w.must(Unpin(cfg.PinPath))
	w.gone(t, id)
}

// gone waits until a map is no more: the kernel frees it in its own time.
func (w *world) gone(t *testing.T, id ebpf.MapID) {
	t.Helper()
	for range 6000 {
		m, err := ebpf.NewMapFromID(id)
		if errors.Is(err, os.ErrNotExist) {
			return
		}
		w.must(err)
		w.must(m.Close())
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the kernel keeps the CPU map for ever")
}

// TestSpreadEnds: without pins nothing outlives the maps.
func TestSpreadEnds(t *testing.T) {
	w := newNetwork(t)
	w.m = open(t, Config{Sessions: 64})
	w.must(w.m.Spread(allCPUs(t)))
	w.attachAll(t)
	info, err := w.m.objs.LnsCpus.Info()
	w.must(err)
	id, _ := info.ID()
	w.must(w.m.Close())
	w.gone(t, id)
}

// TestSpreadRefused: CPUs that there are not leave things as they were.
func TestSpreadRefused(t *testing.T) {
	w := newNetwork(t)
	w.m = open(t, Config{Sessions: 64})
	defer w.m.Close()
	for _, cpus := range [][]int{{len(allCPUs(t))}, make([]int, SpreadMost+1)} {
		if err := w.m.Spread(cpus); err == nil {
			t.Errorf("spread over %d CPUs, the first of them %d", len(cpus), cpus[0])
		}
		if got := w.m.Spreading(); len(got) != 0 {
			t.Errorf("spread over %v", got)
		}
	}
}
