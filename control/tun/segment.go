package tun

import "encoding/binary"

// TCP flags (RFC 9293 section 3.1).
const (
	tcpFlagFIN = 0x01
	tcpFlagPSH = 0x08
	tcpFlagACK = 0x10
	tcpFlagCWR = 0x80
)

// segmenter cuts a TCP packet that the kernel has left uncut into the segments
// that it stands for.
type segmenter struct {
	headers []byte // IPv4 and TCP
	payload []byte
	ip      int // length of the IPv4 header
	size    int // payload of each segment but the last
	at      int // how much of the payload is done
	pseudo  uint32
}

// newSegmenter prepares to cut p, which trimIPv4 has accepted; ok is false when the
// offload header contradicts the packet.
func newSegmenter(o *offload, p []byte) (s segmenter, ok bool) {
	ip := headerLen(p)
	if protocol(p) != protoTCP || int(o.checksumStart) != ip || o.segment == 0 || len(p) < ip+tcpMinHeader {
		return s, false
	}
	// The header's own length field is only a hint, and wrong for what the
	// kernel forwards.
	all := ip + int(p[ip+12]>>4)*4
	if all < ip+tcpMinHeader || all >= len(p) {
		return s, false
	}
	return segmenter{
		headers: p[:all], payload: p[all:], ip: ip, size: int(o.segment),
		pseudo: pseudoSum(p),
	}, true
}

// count is how many segments there are, longest and total the lengths of the
// longest and of all as IPv4 packets.
func (s *segmenter) count() int   { return (len(s.payload) + s.size - 1) / s.size }
func (s *segmenter) longest() int { return len(s.headers) + min(s.size, len(s.payload)) }
func (s *segmenter) total() int   { return s.count()*len(s.headers) + len(s.payload) }

// length is that of the next segment as an IPv4 packet, 0 at the end.
func (s *segmenter) length() int {
	if s.at >= len(s.payload) {
		return 0
	}
	return len(s.headers) + min(s.size, len(s.payload)-s.at)
}

// next writes the next segment to dst, which is length bytes long.
func (s *segmenter) next(dst []byte) {
	n := copy(dst, s.headers)
	copy(dst[n:], s.payload[s.at:])
	id := binary.BigEndian.Uint16(s.headers[4:]) + uint16(s.at/s.size)
	binary.BigEndian.PutUint16(dst[2:], uint16(len(dst)))
	binary.BigEndian.PutUint16(dst[4:], id)
	setHeaderChecksum(dst)

	tcp := dst[s.ip:]
	seq := binary.BigEndian.Uint32(tcp[4:]) + uint32(s.at)
	binary.BigEndian.PutUint32(tcp[4:], seq)
	if s.at > 0 {
		tcp[13] &^= tcpFlagCWR // once for all of them (RFC 3168 section 6.1.2)
	}
	s.at += len(dst) - n
	if s.at < len(s.payload) {
		tcp[13] &^= tcpFlagFIN | tcpFlagPSH // these are about the end
	}
	tcp[16], tcp[17] = 0, 0
	sum := s.pseudo + uint32(len(tcp)) + uint32(onesSum(tcp))
	binary.BigEndian.PutUint16(tcp[16:], ^fold(sum))
}
