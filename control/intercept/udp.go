package intercept

import (
	"errors"
	"net"
	"net/netip"
	"os"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// sendBatch is how many datagrams go to the kernel at once.
const sendBatch = 64

// UDP sends datagrams from ports of its own. Send is for one goroutine.
type UDP struct {
	four  writer
	six   writer // nil on hosts without IPv6
	close []func() error
}

// writer is ipv4.PacketConn and ipv6.PacketConn, whose messages are the same type.
type writer interface {
	WriteBatch([]ipv4.Message, int) (int, error)
}

// OpenUDP opens the sockets, in the calling thread's network namespace.
func OpenUDP() (*UDP, error) {
	u := &UDP{}
	four, err := listen("udp4", netip.IPv4Unspecified())
	if err != nil {
		return nil, err
	}
	u.four, u.close = ipv4.NewPacketConn(four), append(u.close, four.Close)
	six, err := listen("udp6", netip.IPv6Unspecified())
	if err != nil {
		return u, nil // receivers in IPv6 count as not reached
	}
	u.six, u.close = ipv6.NewPacketConn(six), append(u.close, six.Close)
	return u, nil
}

// sendBuffer is what a socket holds: a batch of the longest packets and more.
const sendBuffer = 4 << 20

func listen(network string, addr netip.Addr) (*net.UDPConn, error) {
	c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
	if err != nil {
		return nil, err
	}
	if err := c.SetWriteBuffer(sendBuffer); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	// A copy is longer than the packet was, so that it may need fragments: what a
	// path's MTU was found to be must not make it fail.
	err = raw.Control(func(fd uintptr) {
		if network == "udp4" {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT)
		} else {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT)
		}
	})
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("setsockopt", err), c.Close())
	}
	return c, nil
}

// Close closes the sockets.
func (u *UDP) Close() error {
	var errs []error
	for _, f := range u.close {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// Send implements Transport. What a receiver's host answers (there is nobody) is no
// failure: datagrams after it are sent all the same.
func (u *UDP) Send(batch []Datagram, failed func(i int)) {
	messages := make([]ipv4.Message, 0, sendBatch)
	for from := 0; from < len(batch); {
		six := batch[from].To.Addr().Is6()
		messages = messages[:0]
		for i := from; i < len(batch) && len(messages) < sendBatch && batch[i].To.Addr().Is6() == six; i++ {
			messages = append(messages, ipv4.Message{
				Buffers: [][]byte{batch[i].Bytes}, Addr: net.UDPAddrFromAddrPort(batch[i].To),
			})
		}
		w := u.four
		if six {
			w = u.six
		}
		u.send(w, messages, func(i int) { failed(from + i) })
		from += len(messages)
	}
}

// send sends messages by w, once more each where the kernel reports what became of an
// earlier one.
func (u *UDP) send(w writer, messages []ipv4.Message, failed func(i int)) {
	again := true
	for done := 0; done < len(messages); {
		if w == nil {
			failed(done)
			done++
			continue
		}
		n, err := w.WriteBatch(messages[done:], 0)
		switch {
		case n > 0:
			done, again = done+n, true
		case err != nil && again:
			again = false
		default:
			failed(done)
			done, again = done+1, true
		}
	}
}
