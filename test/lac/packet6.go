package lac

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/lnsd/lnsd/control/ip6"
)

// MinPacketSize6 is the shortest IPv6 test packet.
const MinPacketSize6 = MinPacketSize + ip6.HeaderLen - ipv4HeaderLen

// initFlow6 takes over the address that the subscriber sends IPv6 from.
func (s *session) initFlow6() {
	cfg := s.t.w.cfg
	from, target := s.six.source(), cfg.Traffic.Target6
	if !from.IsValid() || !target.IsValid() {
		return
	}
	s.flow6.ready = true
	s.flow6.endpoint = endpoint{
		run:        s.t.w.run,
		session:    uint32(s.number()),
		local6:     netip.AddrPortFrom(from, uint16(firstPort+s.index%portRange)),
		remote6:    target,
		remotePort: target.Port(),
		localPort:  uint16(firstPort + s.index%portRange),
		size:       max(cfg.Traffic.Size, MinPacketSize6),
		hops:       cfg.Traffic.Hops,
		verify:     cfg.Traffic.Verify,
	}
}

// appendProbe6 appends an IPv6 packet with UDP and payload.
func (e *endpoint) appendProbe6(dst []byte, seq uint64, sent time.Duration) []byte {
	body := make([]byte, e.size-ip6.HeaderLen-udpHeaderLen)
	e.fillProbe(body, seq, sent)
	return ip6.AppendUDP(slices.Grow(dst, e.size), e.local6, e.remote6, body)
}

// check6 reads an IPv6 packet p that came down the session; m is its payload.
func (e *endpoint) check6(p []byte, h *ip6.Header, m []byte) (echo, fault) {
	be := binary.BigEndian
	if h.Next != protoUDP || len(m) < udpHeaderLen+probeLen {
		return echo{}, faultForeign
	}
	body := m[udpHeaderLen:]
	if be.Uint32(body[offMagic:]) != probeMagic || body[offVersion] != probeVersion {
		return echo{}, faultForeign
	}
	if f := e.checkOwner(body); f != faultNone {
		return echo{}, f
	}
	if e.verify {
		if f := e.checkEcho6(p, h, m, body); f != faultNone {
			return echo{}, f
		}
	}
	return echo{seq: be.Uint64(body[offSeq:]), sent: time.Duration(be.Uint64(body[offSent:]))}, faultNone
}

func (e *endpoint) checkEcho6(p []byte, h *ip6.Header, m, body []byte) fault {
	from, to, _, ok := ip6.ParseUDP(h, m)
	switch {
	case h.Src != e.remote6.Addr() || h.Dst != e.local6.Addr():
		return faultAddress
	case !ok:
		return faultUDPChecksum
	case from != e.remotePort || to != e.localPort:
		return faultPort
	case !e.ttlFits(h.HopLimit, body[offSeenTTL]):
		return faultTTL
	case len(p) != e.size:
		return faultLength
	}
	return e.checkBody(body)
}

// probe6 sends the session's next IPv6 test packet.
func (s *session) probe6() {
	w := s.t.w
	w.packet = s.flow6.appendProbe6(w.packet[:0], s.flow6.seq, w.clock)
	s.flow6.seq++
	w.stats.sent++
	w.stats.sent6++
	w.stats.sentBytes += uint64(len(w.packet))
	s.sendIP(w.packet)
}
