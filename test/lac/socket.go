package lac

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/lnsd/lnsd/control/udp"
)

// socket is one UDP port of ours, and belongs to one worker.
type socket struct {
	udp *udp.Socket
	// control carries control messages and PPP negotiation, in order: ICCN must
	// not be overtaken by the first LCP frame. data carries test packets.
	control, data *udp.Sender
	unflushed     bool
}

// openSocket listens on bind. room is the longest datagram expected; own sockets
// are many and get small buffers.
func openSocket(bind netip.AddrPort, room int, many bool) (*socket, error) {
	cfg := udp.Config{Bind: bind, MaxDatagram: max(room, 4096)}
	if many {
		cfg.Batch, cfg.ReceiveBuffer, cfg.SendBuffer = 16, 4<<20, 1<<20
	}
	s, err := udp.Listen(cfg)
	if err != nil {
		return nil, err
	}
	return &socket{udp: s, control: s.NewControlSender(), data: s.NewSender()}, nil
}

// read delivers to the mailbox until ctx ends.
func (s *socket) read(ctx context.Context, box *mailbox) error {
	return s.udp.Run(ctx, func(_, peer netip.AddrPort, b []byte) { box.put(s, peer, b) })
}

func (s *socket) flush() {
	s.control.Flush()
	s.data.Flush()
	s.unflushed = false
}

// openSockets opens the sockets of worker number index and returns, for each of
// its tunnels, the one to use.
func (c *Config) openSockets(index int, tunnels []int) (all, byTunnel []*socket, err error) {
	defer func() {
		if err != nil {
			for _, s := range all {
				err = errors.Join(err, s.udp.Close())
			}
		}
	}()
	room := c.Traffic.Size + c.Framing.Offset + 64
	shared := make(map[netip.Addr]*socket)
	for _, number := range tunnels {
		addr := c.Bind[number%len(c.Bind)]
		s := shared[addr]
		if s == nil {
			port := c.SourcePort
			if port != 0 && c.SocketPerTunnel {
				port += uint16(number)
			}
			if s, err = openSocket(netip.AddrPortFrom(addr, port), room, c.SocketPerTunnel); err != nil {
				return all, nil, fmt.Errorf("worker %d: %w", index, err)
			}
			all = append(all, s)
			if !c.SocketPerTunnel {
				shared[addr] = s
			}
		}
		byTunnel = append(byTunnel, s)
	}
	return all, byTunnel, nil
}
