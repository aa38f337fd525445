package udp

import (
	"errors"
	"net/netip"

	"github.com/lnsd/lnsd/control/session"
)

// Pair is a socket for IPv4 and, where one is wanted, one for IPv6.
type Pair struct{ v4, v6 *Socket }

// ListenPair opens the socket that cfg describes and, unless bind6 is the zero value,
// another that differs in the address alone.
func ListenPair(cfg Config, bind6 netip.AddrPort) (*Pair, error) {
	v4, err := Listen(cfg)
	if err != nil {
		return nil, err
	}
	if !bind6.IsValid() {
		return &Pair{v4: v4}, nil
	}
	cfg.Bind = bind6
	v6, err := Listen(cfg)
	if err != nil {
		return nil, errors.Join(err, v4.Close())
	}
	return &Pair{v4, v6}, nil
}

// Sockets are the one or two that there are.
func (p *Pair) Sockets() []*Socket {
	if p.v6 == nil {
		return []*Socket{p.v4}
	}
	return []*Socket{p.v4, p.v6}
}

// LocalAddrs are their addresses.
func (p *Pair) LocalAddrs() []netip.AddrPort {
	var out []netip.AddrPort
	for _, s := range p.Sockets() {
		out = append(out, s.LocalAddr())
	}
	return out
}

// Counts returns the sums of their counters.
func (p *Pair) Counts() []session.Count {
	sum := p.v4.Counts()
	if p.v6 != nil {
		for i, c := range p.v6.Counts() {
			sum[i].Value += c.Value
		}
	}
	return sum
}

// Close closes them.
func (p *Pair) Close() error {
	var errs []error
	for _, s := range p.Sockets() {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Outlet is what sends datagrams: a Sender, or two of them.
type Outlet interface {
	Send(local, peer netip.AddrPort, b []byte)
	Reserve(local, peer netip.AddrPort, tos byte, n int) []byte
	Flush()
}

// NewSender returns an outlet for subscribers' data, as Socket.NewSender does.
func (p *Pair) NewSender() Outlet { return p.outlet((*Socket).NewSender) }

// NewControlSender returns an outlet for control messages.
func (p *Pair) NewControlSender() Outlet { return p.outlet((*Socket).NewControlSender) }

func (p *Pair) outlet(open func(*Socket) *Sender) Outlet {
	if p.v6 == nil {
		return open(p.v4)
	}
	return &fork{open(p.v4), open(p.v6)}
}

// fork sends each datagram by the socket of its peer's family.
type fork struct{ v4, v6 *Sender }

func (f *fork) to(peer netip.AddrPort) *Sender {
	if peer.Addr().Is4() {
		return f.v4
	}
	return f.v6
}

func (f *fork) Send(local, peer netip.AddrPort, b []byte) { f.to(peer).Send(local, peer, b) }

func (f *fork) Reserve(local, peer netip.AddrPort, tos byte, n int) []byte {
	return f.to(peer).Reserve(local, peer, tos, n)
}

func (f *fork) Flush() {
	f.v4.Flush()
	f.v6.Flush()
}
