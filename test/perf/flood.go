package perf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/lnsd/lnsd/test/netlab"
)

// Load is what keeps the generator's CPU busy in the background.
type Load struct {
	stop  atomic.Bool
	made  made
	ended chan error
	open  closers
}

// floodRows is how many different packets a flood repeats.
const floodRows = 4096

// StartFlood sends control messages from the lab's LAC to its LNS, as fast as they can
// be made: requests for tunnels by strangers from all over, the same under the LAC's own
// address, and messages of tunnels that do not exist under that address. The LNS's device
// must have a program in native mode.
func StartFlood(lab *netlab.Lab) (l *Load, err error) {
	l = &Load{ended: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("flood: %w", err), l.open.close())
		}
	}()
	from := &side{}
	for to, at := range map[*port]struct {
		ns   *netlab.Namespace
		name string
	}{&from.near: {lab.LAC, "lac0"}, &from.far: {lab.LNS, netlab.LACSide}} {
		if *to, err = findPort(at.ns, at.name); err != nil {
			return l, err
		}
	}
	t, err := newTable(floodSenders())
	if err != nil {
		return l, err
	}
	l.open.add(t.close)
	g, err := newGeneratorOf(from, t, floodLayout(from))
	if err != nil {
		return l, err
	}
	l.open.add(g.close)
	go func() {
		var err error
		l.made, err = g.run(&l.stop, 0, 0)
		l.ended <- err
	}()
	return l, nil
}

// StartBurn takes as much of the same CPU as a flood does, and sends nothing.
func StartBurn() *Load {
	l := &Load{ended: make(chan error, 1)}
	go func() {
		release, err := occupy(GeneratorCPU)
		if err == nil {
			for !l.stop.Load() {
			}
			release()
		}
		l.ended <- err
	}()
	return l
}

// Stop ends the load. It returns how many packets were sent, and how many of them per
// second of the clock.
func (l *Load) Stop() (sent uint64, rate float64, err error) {
	l.stop.Store(true)
	err = errors.Join(<-l.ended, l.open.close())
	if l.made.wall > 0 {
		rate = float64(l.made.packets) / l.made.wall.Seconds()
	}
	return l.made.packets, rate, err
}

// floodSenders are the senders and the tunnel ids of a flood's packets. SCCRQ has
// tunnel id 0.
func floodSenders() []Session {
	random := rand.New(rand.NewPCG(5, 6))
	list := make([]Session, floodRows)
	for i := range list {
		s := &list[i]
		s.Address = netlab.LACAddr.As4()
		switch i % 3 {
		case 0: // a stranger: 12.0.0.0/8
			binary.BigEndian.PutUint32(s.Address[:], 12<<24|random.Uint32()>>8)
		case 1: // a tunnel that is none: lnsd's ids are drawn from all
			s.TunnelID = uint16(1 + random.Uint32()%0xFFFF)
		}
	}
	return list
}

// Of a control message (RFC 2661 section 3.1, 4.1 and 4.4).
const (
	controlLen = 12
	typeLen    = 8
	hostLen    = 6 + stampLen + 4 // Host Name, whose value the stamp begins
)

// floodLayout is an SCCRQ whose sender, ids and host name change.
func floodLayout(from *side) layout {
	const length = controlLen + typeLen + hostLen
	b := append([]byte{}, from.far.mac...)
	b = append(b, from.near.mac...)
	b = append(b, 0x08, 0x00)
	l := layout{inner: len(b)}
	l.addr, l.ip, l.udp = l.inner+12, l.inner+10, l.inner+ipLen+6
	b = appendIP(b, ipLen+udpLen+length, [4]byte{}, netlab.LNSAddr.As4(), false)
	b = appendUDP(b, l2tpPort, udpLen+length)
	l.call = len(b) + 4
	b = append(b, 0xC8, 0x02, 0, length, 0, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, 0x80, typeLen, 0, 0, 0, 0, 0, 1) // Message Type: SCCRQ
	b = append(b, 0x80, hostLen, 0, 0, 0, 7)       // Host Name
	l.stamp = len(b)
	l.frame = append(b, make([]byte, stampLen+4)...)
	return l
}
