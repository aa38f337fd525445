package tun

import "github.com/lnsd/lnsd/control/l2tp"

// packet6 forwards one IPv6 packet.
func (d *downlink) packet6(b []byte) reason {
	packet, ok := trimIPv6(b)
	if !ok {
		return downMalformed
	}
	t := d.p.table
	t.mu.RLock()
	e := t.byAddress6(destination6(packet))
	if e == nil {
		t.mu.RUnlock()
		d.error6(packet, icmp6Unreachable, code6Address, 0)
		return downNoSession
	}
	if !e.filterDown.permits(packet, 1) {
		e.downDropped.Add(1)
		d.p.watch(e, false, packet, downFiltered)
		t.mu.RUnlock()
		return downFiltered
	}
	// Routers cut nothing in IPv6 (RFC 8200 section 5).
	if mtu := d.paths.inner(e, l2tp.ProtocolIPv6, d.now); len(packet) > mtu {
		defer t.mu.RUnlock()
		e.downDropped.Add(1)
		d.p.watch(e, false, packet, downTooBig)
		d.error6(packet, icmp6TooBig, 0, uint32(mtu))
		return downTooBig
	}
	if !d.p.admitsDown(e.liveCounter, packet) {
		e.downDropped.Add(1)
		d.p.watch(e, false, packet, downThrottled)
		t.mu.RUnlock()
		return downThrottled
	}
	d.count(e, 1, len(packet))
	e.down6(len(packet))
	// Sending may wait for room in the socket; the table is not locked.
	t.mu.RUnlock()
	clampMSS6(packet, e.mss)
	d.p.watch(e, false, packet, downForwarded)
	d.begin(e)
	copy(d.header(e, l2tp.ProtocolIPv6, e.outer.TOS(packet), len(packet)), packet)
	d.end(e)
	return downForwarded
}

// error6 tells the sender of a packet that it could not be forwarded.
func (d *downlink) error6(packet []byte, typ, code byte, mtu uint32) {
	if !d.p.address6.IsValid() || !mayAnswer6(packet, typ) || !d.limit.AllowN(d.now, 1) {
		d.p.counts.add(icmpSuppressed, 1)
		return
	}
	d.scratch = appendICMP6(d.scratch[:0], d.p.address6, packet, typ, code, mtu)
	if err := d.p.icmp6.send(d.scratch); err != nil {
		d.p.counts.add(icmpError, 1)
		return
	}
	d.p.counts.add(icmpSent, 1)
}
