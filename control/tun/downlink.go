package tun

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"time"

	"golang.org/x/time/rate"

	"github.com/lnsd/lnsd/control/l2tp"
)

// Sender sends datagrams: Send copies b into a batch, Flush hands the batch to
// the network. It is used by one goroutine.
type Sender interface {
	Send(local, peer netip.AddrPort, b []byte)
	Flush()
}

// DataSender sends subscribers' data: SendTOS is Send with the TOS of the outer
// packet.
type DataSender interface {
	Sender
	SendTOS(local, peer netip.AddrPort, tos byte, b []byte)
}

// downlink takes packets from the TUN device to the LACs.
type downlink struct {
	p     *Path
	send  DataSender
	limit *rate.Limiter // of ICMP errors
	paths *pathMTUs     // nil where outer packets may be fragmented
	now   time.Time

	packets [][]byte
	sizes   []int
	// scratch holds the datagram that is being built, piece a fragment.
	scratch, piece []byte
}

func newDownlink(p *Path, send DataSender, mtu, icmpRate int) *downlink {
	d := &downlink{
		p:       p,
		send:    send,
		limit:   rate.NewLimiter(rate.Limit(icmpRate), icmpRate),
		packets: make([][]byte, p.dev.BatchSize()),
		sizes:   make([]int, p.dev.BatchSize()),
		scratch: make([]byte, 0, maxPacket),
		piece:   make([]byte, 0, maxPacket),
	}
	for i := range d.packets {
		d.packets[i] = make([]byte, packetOffset+mtu)
	}
	return d
}

// Run forwards packets from the TUN device to subscribers until ctx ends or the
// path is closed, and then returns nil.
func (p *Path) Run(ctx context.Context) error {
	if err := p.file.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = p.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for ctx.Err() == nil {
		err := p.down.batch()
		switch {
		case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		case errors.Is(err, os.ErrClosed):
			return nil
		default:
			// A packet that the library can't take apart: the next one
			// may be better. A device that fails for ever must not take
			// a whole CPU.
			p.counts.add(downReadError, 1)
			time.Sleep(time.Millisecond)
		}
		// Packets that came in one by one leave together, when no more are
		// waiting.
		if err != nil || !p.ready.readable() {
			p.down.send.Flush()
		}
	}
	return nil
}

// batch reads once and forwards what it got.
func (d *downlink) batch() error {
	n, err := d.p.dev.Read(d.packets, d.sizes, packetOffset)
	d.now = time.Now()
	for i := range n {
		if b := d.packets[i][packetOffset:]; d.sizes[i] <= len(b) {
			d.p.counts.add(d.packet(b[:d.sizes[i]]), 1)
		} else {
			d.p.counts.add(downReadError, 1)
		}
	}
	return err
}

// packet forwards one packet.
func (d *downlink) packet(b []byte) reason {
	if len(b) > 0 && b[0]>>4 == 6 && d.p.ipv6 {
		return d.packet6(b)
	}
	if len(b) > 0 && b[0]>>4 != 4 {
		return downNotIPv4
	}
	packet, ok := trimIPv4(b)
	if !ok {
		return downMalformed
	}
	t := d.p.table
	t.mu.RLock()
	e := t.byDestination(destination(packet))
	if e == nil {
		t.mu.RUnlock()
		d.unreachable(d.p.address, packet, codeHost, 0)
		return downNoSession
	}
	// The MTU is for the packet itself, before it is wrapped.
	if mtu := d.paths.inner(e, l2tp.ProtocolIPv4, d.now); len(packet) > mtu {
		defer t.mu.RUnlock()
		return d.tooBig(e, packet, mtu)
	}
	clampMSS(packet, e.mss)
	d.wrap(e, packet)
	// Sending may wait for room in the socket; changes of the table need not.
	t.mu.RUnlock()
	d.send.SendTOS(e.local, e.peer, e.outer.TOS(packet), d.scratch)
	return downForwarded
}

// tooBig handles a packet longer than mtu, the session's or its path's: it is cut, or its sender
// told (RFC 1812 section 4.2.2.7 and RFC 1191 section 3).
func (d *downlink) tooBig(e *entry, packet []byte, mtu int) reason {
	f, fits := newFragmenter(packet, mtu)
	if fragmentWord(packet)&flagDF != 0 || !fits {
		e.downDropped.Add(1)
		from := d.p.address
		if from == 0 && e.local.Addr().Is4() {
			from = number(e.local.Addr())
		}
		d.unreachable(from, packet, codeFragmentNeed, uint16(mtu))
		return downTooBig
	}
	// A SYN is never this long, so there is no MSS to clamp.
	for {
		var more bool
		if d.piece, more = f.next(d.piece[:0]); !more {
			return downFragmented
		}
		d.wrap(e, d.piece)
		d.send.SendTOS(e.local, e.peer, e.outer.TOS(d.piece), d.scratch)
	}
}

// wrap builds the data message in d.scratch, and counts it.
func (d *downlink) wrap(e *entry, packet []byte) {
	var ns uint16
	if e.framing.Sequence {
		ns = e.nextNs()
	}
	d.scratch = l2tp.AppendDataIP(d.scratch[:0], e.framing, e.peerTunnel, e.peerSession, ns, packet)
	e.down(len(packet), d.now.UnixNano())
	d.p.counts.downBytes.Add(uint64(len(packet)))
}

// unreachable tells the sender of a packet that it could not be forwarded.
func (d *downlink) unreachable(from uint32, packet []byte, code byte, mtu uint16) {
	if from == 0 || !mayAnswer(packet) || !d.limit.AllowN(d.now, 1) {
		d.p.counts.add(icmpSuppressed, 1)
		return
	}
	d.scratch = appendUnreachable(d.scratch[:0], from, packet, code, mtu)
	if err := d.p.icmp.send(d.scratch); err != nil {
		d.p.counts.add(icmpError, 1)
		return
	}
	d.p.counts.add(icmpSent, 1)
}
