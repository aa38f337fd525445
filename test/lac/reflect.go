package lac

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// reflectBatch is how many datagrams one system call moves.
const reflectBatch = 64

// Reflector answers test packets from the core side: each UDP datagram goes back
// to where it came from, with the payload unchanged but for the TTL with which it
// arrived, which is noted in the probe header.
type Reflector struct {
	// Sink only counts and sends nothing back. It is read when Run begins.
	Sink bool

	conn                          *net.UDPConn
	batch                         packetBatches
	six                           bool // IPv6
	packets, bytes, probes, fails atomic.Uint64
}

// Reflected is what a Reflector has counted.
type Reflected struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`  // of UDP payload
	Probes  uint64 `json:"probes"` // of the packets, those that are a run's
	Failed  uint64 `json:"failed"` // could not be sent back
}

// ListenReflector opens a reflector's socket. It uses the caller's network
// namespace.
func ListenReflector(addr netip.AddrPort) (*Reflector, error) {
	six, network := addr.Addr().Is6(), "udp4"
	if six {
		network = "udp6"
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, fmt.Errorf("reflector: %w", err)
	}
	batch, err := prepare(conn, six)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reflector: %w", err), conn.Close())
	}
	growBuffers(conn)
	return &Reflector{conn: conn, batch: batch, six: six}, nil
}

// packetBatches moves datagrams of either family.
type packetBatches interface {
	ReadBatch([]ipv4.Message, int) (int, error)
	WriteBatch([]ipv4.Message, int) (int, error)
}

// prepare has the TTL and the destination of what comes in told, and sets the TTL of
// what leaves. The answer leaves from the address that the packet came to.
func prepare(conn *net.UDPConn, six bool) (packetBatches, error) {
	if six {
		p := ipv6.NewPacketConn(conn)
		return p, errors.Join(p.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagDst, true), p.SetHopLimit(ttl))
	}
	p := ipv4.NewPacketConn(conn)
	return p, errors.Join(p.SetControlMessage(ipv4.FlagTTL|ipv4.FlagDst, true), p.SetTTL(ttl))
}

// room is memory for what is told of a packet.
func (r *Reflector) room() []byte {
	if r.six {
		return ipv6.NewControlMessage(ipv6.FlagHopLimit | ipv6.FlagDst)
	}
	return ipv4.NewControlMessage(ipv4.FlagTTL | ipv4.FlagDst)
}

// told reads the TTL of a packet, and makes what is to be told with its answer.
func (r *Reflector) told(oob []byte) (ttl int, reply []byte) {
	if r.six {
		var c ipv6.ControlMessage
		if c.Parse(oob) != nil {
			c = ipv6.ControlMessage{}
		}
		return c.HopLimit, (&ipv6.ControlMessage{Src: c.Dst}).Marshal()
	}
	var c ipv4.ControlMessage
	if c.Parse(oob) != nil {
		c = ipv4.ControlMessage{}
	}
	return c.TTL, (&ipv4.ControlMessage{Src: c.Dst}).Marshal()
}

// growBuffers asks for more than the system's limit, where privilege allows, for a
// burst of all subscribers at once.
func growBuffers(conn *net.UDPConn) {
	const size = 16 << 20
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		for _, o := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, o[0], size) != nil {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, o[1], size)
			}
		}
	})
}

// Addr is where the reflector listens.
func (r *Reflector) Addr() netip.AddrPort {
	a := r.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Counts may be called at any time.
func (r *Reflector) Counts() Reflected {
	return Reflected{
		Packets: r.packets.Load(),
		Bytes:   r.bytes.Load(),
		Probes:  r.probes.Load(),
		Failed:  r.fails.Load(),
	}
}

// Run reflects until ctx ends, and closes the socket.
func (r *Reflector) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = r.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	defer r.conn.Close()
	p := r.batch
	msgs := make([]ipv4.Message, reflectBatch)
	bufs := make([][]byte, reflectBatch)
	for i := range msgs {
		bufs[i] = make([]byte, maxPacketSize)
		msgs[i].OOB = r.room()
	}
	oob := len(msgs[0].OOB)
	for {
		for i := range msgs {
			msgs[i].Buffers = [][]byte{bufs[i]}
			msgs[i].OOB = msgs[i].OOB[:oob]
		}
		n, err := p.ReadBatch(msgs, 0)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("reflector: %w", err)
			}
			continue // an ICMP error for an earlier answer
		}
		r.turn(msgs[:n])
		if !r.Sink {
			r.sendBack(p, msgs[:n])
		}
	}
}

// turn counts messages and makes them ready to be sent back.
func (r *Reflector) turn(msgs []ipv4.Message) {
	for i := range msgs {
		m := &msgs[i]
		body := m.Buffers[0][:m.N]
		r.packets.Add(1)
		r.bytes.Add(uint64(m.N))
		seen, reply := r.told(m.OOB[:m.NN])
		if len(body) >= probeLen && binary.BigEndian.Uint32(body) == probeMagic {
			r.probes.Add(1)
			body[offSeenTTL] = uint8(seen)
		}
		m.Buffers[0] = body
		m.OOB = append(m.OOB[:0], reply...)
	}
}

// sendBack sends all it can; a packet that can't be sent is counted.
func (r *Reflector) sendBack(p packetBatches, msgs []ipv4.Message) {
	for len(msgs) > 0 {
		n, err := p.WriteBatch(msgs, 0)
		if err != nil || n == 0 {
			r.fails.Add(1)
			n = 1
		}
		msgs = msgs[n:]
	}
}

// Reflect listens on addr and reflects until ctx ends.
func Reflect(ctx context.Context, addr netip.AddrPort) (Reflected, error) {
	r, err := ListenReflector(addr)
	if err != nil {
		return Reflected{}, err
	}
	err = r.Run(ctx)
	return r.Counts(), err
}
