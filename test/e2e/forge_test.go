package e2e

import (
	"bytes"
	"context"
	wire "encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/test/netlab"
)

var lnsPort = netip.AddrPortFrom(netlab.LNSAddr, 1701)

// appendIPv4UDP appends an IPv4 packet with a UDP datagram and no UDP checksum.
func appendIPv4UDP(dst []byte, from, to netip.AddrPort, payload []byte) []byte {
	const ipHeader, udpHeader = 20, 8
	start := len(dst)
	dst = append(dst, 0x45, 0)
	dst = wire.BigEndian.AppendUint16(dst, uint16(ipHeader+udpHeader+len(payload)))
	dst = append(dst, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0)
	dst = append(append(dst, from.Addr().AsSlice()...), to.Addr().AsSlice()...)
	sum := uint32(0)
	for i := start; i < len(dst); i += 2 {
		sum += uint32(wire.BigEndian.Uint16(dst[i:]))
	}
	sum = sum&0xffff + sum>>16
	wire.BigEndian.PutUint16(dst[start+10:], ^uint16(sum&0xffff+sum>>16))
	dst = wire.BigEndian.AppendUint16(dst, from.Port())
	dst = wire.BigEndian.AppendUint16(dst, to.Port())
	dst = wire.BigEndian.AppendUint16(dst, uint16(udpHeader+len(payload)))
	return append(append(dst, 0, 0), payload...)
}

// forger sends datagrams to the LNS from the LAC's host under any address and port.
type forger struct {
	r  *rig
	fd int
}

func (r *rig) forger() *forger {
	r.t.Helper()
	f := &forger{r: r, fd: -1}
	err := r.lab.LAC.Do(func() (err error) {
		f.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = unix.Close(f.fd) })
	return f
}

func (f *forger) send(from netip.AddrPort, payload []byte) {
	f.r.t.Helper()
	packet := appendIPv4UDP(nil, from, lnsPort, payload)
	if err := unix.Sendto(f.fd, packet, 0, &unix.SockaddrInet4{Addr: lnsPort.Addr().As4()}); err != nil {
		f.r.t.Fatal(err)
	}
}

// listener remembers what comes to a UDP port in a namespace.
type listener struct {
	conn net.PacketConn
	mu   sync.Mutex
	got  []string
}

func (r *rig) listen(ns *netlab.Namespace, address netip.AddrPort) *listener {
	r.t.Helper()
	l := &listener{}
	err := ns.Do(func() (err error) {
		l.conn, err = (&net.ListenConfig{}).ListenPacket(context.Background(), "udp4", address.String())
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = l.conn.Close() })
	go func() {
		b := make([]byte, 2048)
		for {
			n, _, err := l.conn.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				l.mu.Lock()
				l.got = append(l.got, string(b[:n]))
				l.mu.Unlock()
			}
		}
	}()
	return l
}

func (l *listener) received() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.got)
}

func (l *listener) receivedBytes() (n int) {
	for _, s := range l.received() {
		n += len(s)
	}
	return n
}

// sccrq is the first message of a LAC that has no tunnel yet.
func sccrq(tunnelID uint16) []byte {
	t := l2tp.NewTunnel(&l2tp.Config{
		Role: l2tp.LAC, HostName: "stranger", ReceiveWindow: 4, FramingCaps: 3, BearerCaps: 3,
		RetryInterval: time.Second, RetryCap: 8 * time.Second, MaxRetries: 5, EstablishTimeout: time.Minute,
	}, tunnelID, func(b []byte) { clear(b) })
	var out l2tp.Out
	t.Open(time.Now(), &out)
	return bytes.Clone(out.Send[0])
}

// controlMessage is one message with the AVPs given, as types and values.
func controlMessage(tunnelID, sessionID, ns, nr uint16, avps ...avp) []byte {
	const header = 12
	b := []byte{0xc8, 0x02} // T, L and S set, version 2 (RFC 2661 section 3.1)
	length := header
	for _, a := range avps {
		length += 6 + len(a.value)
	}
	for _, v := range []int{length, int(tunnelID), int(sessionID), int(ns), int(nr)} {
		b = wire.BigEndian.AppendUint16(b, uint16(v))
	}
	for _, a := range avps {
		b = wire.BigEndian.AppendUint16(b, 0x8000|uint16(6+len(a.value))) // M set
		b = wire.BigEndian.AppendUint16(b, 0)                             // IETF
		b = wire.BigEndian.AppendUint16(b, a.typ)
		b = append(b, a.value...)
	}
	return b
}

type avp struct {
	typ   uint16
	value []byte
}

// The messages that end something, with the types of RFC 2661 section 3.2 and the AVPs
// of section 4.4.
func stopCCN(tunnelID, ns, nr, assigned uint16) []byte {
	return controlMessage(tunnelID, 0, ns, nr,
		avp{0, []byte{0, 4}}, avp{9, wire.BigEndian.AppendUint16(nil, assigned)}, avp{1, []byte{0, 1}})
}

func cdn(tunnelID, sessionID, ns, nr, assigned uint16) []byte {
	return controlMessage(tunnelID, sessionID, ns, nr,
		avp{0, []byte{0, 14}}, avp{1, []byte{0, 3}}, avp{14, wire.BigEndian.AppendUint16(nil, assigned)})
}

func hello(tunnelID, ns, nr uint16) []byte {
	return controlMessage(tunnelID, 0, ns, nr, avp{0, []byte{0, 6}})
}
