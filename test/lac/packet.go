package lac

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"slices"
	"time"
)

// Sizes in bytes.
const (
	ipv4HeaderLen = 20
	udpHeaderLen  = 8
	probeLen      = 40 // what precedes the pattern in a payload, see appendProbe

	// MinPacketSize is the shortest test packet: IPv4, UDP and probe header.
	MinPacketSize = ipv4HeaderLen + udpHeaderLen + probeLen
	maxPacketSize = 65535
)

const (
	protoICMP = 1
	protoUDP  = 17
	ttl       = 64 // of what we and the reflector send
)

// Flags of the IPv4 fragment word.
const (
	flagDF         = 0x4000
	flagMF         = 0x2000
	fragmentOffset = 0x1fff
)

// Layout of the probe header at the start of each UDP payload, big endian.
const (
	probeMagic   = 0x6c616373 // "lacs"
	offMagic     = 0          // 4 bytes
	offVersion   = 4          // 1 byte
	offSeenTTL   = 5          // 1 byte: the TTL with which it reached the reflector
	offLength    = 6          // 2 bytes: of the payload
	offRun       = 8          // 8 bytes: tells runs apart
	offSession   = 16         // 4 bytes: number of the session
	offSeq       = 20         // 8 bytes: counts the session's packets
	offSent      = 28         // 8 bytes: ns since the start of the run
	offChecksum  = 36         // 4 bytes: CRC-32C of the payload without it and the TTL
	probeVersion = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// endpoint is what a session's packets carry in both directions.
type endpoint struct {
	run                   uint64
	session               uint32
	local, remote         [4]byte // the subscriber and the reflector
	local6, remote6       netip.AddrPort
	localPort, remotePort uint16
	size                  int // of the IPv4 packet
	fragmented            bool
	hops                  int // see Traffic.Hops
	verify                bool
}

// appendProbe appends an IPv4 packet with UDP and payload.
func (e *endpoint) appendProbe(dst []byte, seq uint64, sent time.Duration) []byte {
	start := len(dst)
	dst = slices.Grow(dst, e.size)[:start+e.size]
	p := dst[start:]
	clear(p)

	body := p[ipv4HeaderLen+udpHeaderLen:]
	e.fillProbe(body, seq, sent)
	be := binary.BigEndian
	u := p[ipv4HeaderLen:]
	be.PutUint16(u[0:], e.localPort)
	be.PutUint16(u[2:], e.remotePort)
	be.PutUint16(u[4:], uint16(len(u)))

	p[0] = 0x45
	be.PutUint16(p[2:], uint16(len(p)))
	be.PutUint16(p[4:], uint16(seq))
	if !e.fragmented {
		be.PutUint16(p[6:], flagDF)
	}
	p[8], p[9] = ttl, protoUDP
	copy(p[12:], e.local[:])
	copy(p[16:], e.remote[:])
	be.PutUint16(p[10:], ipChecksum(p[:ipv4HeaderLen]))
	be.PutUint16(u[6:], nonZero(udpChecksum(p[12:20], u)))
	return dst
}

// fillProbe writes a payload: the probe header and the pattern.
func (e *endpoint) fillProbe(body []byte, seq uint64, sent time.Duration) {
	be := binary.BigEndian
	be.PutUint32(body[offMagic:], probeMagic)
	body[offVersion] = probeVersion
	be.PutUint16(body[offLength:], uint16(len(body)))
	be.PutUint64(body[offRun:], e.run)
	be.PutUint32(body[offSession:], e.session)
	be.PutUint64(body[offSeq:], seq)
	be.PutUint64(body[offSent:], uint64(sent))
	fillPattern(body[probeLen:], e.pattern(seq))
	be.PutUint32(body[offChecksum:], probeChecksum(body))
}

// nonZero is how UDP sends a checksum of 0, which would mean that there is none
// (RFC 768).
func nonZero(sum uint16) uint16 {
	if sum == 0 {
		return 0xffff
	}
	return sum
}

func probeChecksum(body []byte) uint32 {
	c := crc32.Update(0, castagnoli, body[:offSeenTTL])
	c = crc32.Update(c, castagnoli, body[offLength:offChecksum])
	return crc32.Update(c, castagnoli, body[probeLen:])
}

// pattern seeds the bytes after the probe header, so that no two packets of a run
// have the same.
func (e *endpoint) pattern(seq uint64) uint64 {
	return (e.run ^ uint64(e.session)<<32 ^ seq) | 1
}

// next is Marsaglia's xorshift64: quick, and any bit error shows.
func next(x uint64) uint64 {
	x ^= x << 13
	x ^= x >> 7
	return x ^ x<<17
}

func fillPattern(b []byte, seed uint64) {
	for len(b) >= 8 {
		seed = next(seed)
		binary.BigEndian.PutUint64(b, seed)
		b = b[8:]
	}
	var tail [8]byte
	binary.BigEndian.PutUint64(tail[:], next(seed))
	copy(b, tail[:])
}

func patternFits(b []byte, seed uint64) bool {
	for len(b) >= 8 {
		seed = next(seed)
		if binary.BigEndian.Uint64(b) != seed {
			return false
		}
		b = b[8:]
	}
	var tail [8]byte
	binary.BigEndian.PutUint64(tail[:], next(seed))
	return bytes.Equal(b, tail[:len(b)])
}

// fault says what is wrong with a packet that should be an echo.
type fault uint8

// The faults, in the order in which they are looked for.
const (
	faultNone fault = iota
	// faultForeign: no echo of a probe; other traffic may use the session.
	faultForeign
	faultHeader      // not IPv4 without options, or the length is wrong
	faultIPChecksum  // of the IPv4 header
	faultAddress     // not from the target, or not to the session's address
	faultPort        // the UDP ports of the session and the target
	faultTTL         // in either direction
	faultLength      // of the UDP datagram or payload
	faultUDPChecksum // wrong; none at all is accepted
	faultStale       // from another run
	faultMisdelivery // of another session
	faultChecksum    // CRC of the payload
	faultPattern     // bytes of the payload
	faultCount       // number of faults
)

var faultNames = [faultCount]string{
	"none", "foreign", "ip_header", "ip_checksum", "address", "port", "ttl", "length",
	"udp_checksum", "stale", "misdelivered", "payload_checksum", "pattern",
}

func (f fault) String() string { return faultNames[f] }

// echo is what the reflector sent back.
type echo struct {
	seq  uint64
	sent time.Duration
}

// check reads a whole IPv4 packet that came down the session. p must be at least
// an IPv4 header long.
func (e *endpoint) check(p []byte) (echo, fault) {
	be := binary.BigEndian
	total := int(be.Uint16(p[2:]))
	if p[0] != 0x45 || total > len(p) || total < ipv4HeaderLen {
		return echo{}, faultHeader
	}
	p = p[:total]
	if e.verify && ipChecksum(p[:ipv4HeaderLen]) != 0 {
		return echo{}, faultIPChecksum
	}
	if p[9] != protoUDP || total < MinPacketSize {
		return echo{}, faultForeign
	}
	u := p[ipv4HeaderLen:]
	body := u[udpHeaderLen:]
	if be.Uint32(body[offMagic:]) != probeMagic || body[offVersion] != probeVersion {
		return echo{}, faultForeign
	}
	if f := e.checkEcho(p, u, body); f != faultNone {
		return echo{}, f
	}
	return echo{seq: be.Uint64(body[offSeq:]), sent: time.Duration(be.Uint64(body[offSent:]))}, faultNone
}

// checkEcho compares the echo p with what was sent; u is its UDP datagram, body
// the payload.
func (e *endpoint) checkEcho(p, u, body []byte) fault {
	be := binary.BigEndian
	if f := e.checkOwner(body); f != faultNone || !e.verify {
		return f
	}
	switch {
	case [4]byte(p[12:]) != e.remote || [4]byte(p[16:]) != e.local:
		return faultAddress
	case be.Uint16(u[0:]) != e.remotePort || be.Uint16(u[2:]) != e.localPort:
		return faultPort
	case !e.ttlFits(p[8], body[offSeenTTL]):
		return faultTTL
	case len(p) != e.size || int(be.Uint16(u[4:])) != len(u) || int(be.Uint16(body[offLength:])) != len(body):
		return faultLength
	// 0 is a datagram without checksum (RFC 768).
	case be.Uint16(u[6:]) != 0 && udpChecksum(p[12:20], u) != 0:
		return faultUDPChecksum
	}
	return e.checkBody(body)
}

// checkOwner tells whether a probe is this session's of this run.
func (e *endpoint) checkOwner(body []byte) fault {
	be := binary.BigEndian
	switch {
	case be.Uint64(body[offRun:]) != e.run:
		return faultStale
	case be.Uint32(body[offSession:]) != e.session:
		return faultMisdelivery
	}
	return faultNone
}

// checkBody compares every byte of a probe.
func (e *endpoint) checkBody(body []byte) fault {
	be := binary.BigEndian
	switch {
	case int(be.Uint16(body[offLength:])) != len(body):
		return faultLength
	case be.Uint32(body[offChecksum:]) != probeChecksum(body):
		return faultChecksum
	case !patternFits(body[probeLen:], e.pattern(be.Uint64(body[offSeq:]))):
		return faultPattern
	}
	return faultNone
}

// ttlFits compares the TTLs after each direction with the number of routers. up is
// 0 when the reflector did not note it.
func (e *endpoint) ttlFits(down, up uint8) bool {
	if e.hops <= 0 {
		return down > 0 && down <= ttl
	}
	want := uint8(ttl - e.hops)
	return down == want && (up == 0 || up == want)
}
