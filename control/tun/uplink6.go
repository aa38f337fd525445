package tun

// packet6 handles an IPv6 packet of session e, within datagram b; the caller holds the read lock.
// What belongs to the subscriber's link (discovery, DHCPv6) is not for the data
// path: handled is false then.
func (u *Uplink) packet6(e *entry, b, ip []byte) (_ reason, handled bool) {
	if len(e.prefixes6) == 0 {
		e.upDropped.Add(1)
		return upNotIPv4, true
	}
	packet, ok := trimIPv6(ip)
	if !ok {
		e.upDropped.Add(1)
		return upMalformed, true
	}
	src, dst := source6(packet), destination6(packet)
	link := linkScope(dst)
	// An address that is not assigned yet is asked for from ::, on the link
	// alone (RFC 4862 section 5.4.2).
	if !linkScope(src) && (!src.IsUnspecified() || !link) && u.p.table.byAddress6(src) != e {
		e.upDropped.Add(1)
		return upSpoofedSource, true
	}
	if link || linkScope(src) {
		return 0, false
	}
	// Back to where it came from: the kernel's route would turn it round until its
	// hop limit ends, for every address of a prefix that nobody uses.
	if u.p.table.byAddress6(dst) == e {
		e.upDropped.Add(1)
		return upHairpin, true
	}
	if u.p.isolate && u.p.table.byAddress6(dst) != nil {
		e.upDropped.Add(1)
		return upHairpin, true
	}
	if !e.filterUp.permits(packet, 1) {
		e.upDropped.Add(1)
		return upFiltered, true
	}
	if !u.p.admitsUp(e.liveCounter, packet) {
		e.upDropped.Add(1)
		return upThrottled, true
	}
	if e.outer.ECN && !markIPv6(packet, u.tos) {
		e.upDropped.Add(1)
		return upECN, true
	}
	clampMSS6(packet, e.mss)
	e.up6(len(packet))
	u.queue(e, b, packet)
	return upForwarded, true
}
