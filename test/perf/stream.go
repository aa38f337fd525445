package perf

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/lnsd/lnsd/test/netlab"
)

// Direction is the way that packets go.
type Direction uint8

// The directions: Up from the LAC to the core, Down the other way.
const (
	Up Direction = iota
	Down
)

func (d Direction) String() string { return [...]string{"up", "down"}[d] }

// Server is the host behind the core that subscribers talk to, Port the UDP port on
// both ends of it.
var Server = netip.MustParseAddr("198.51.100.10")

// Port is the UDP port, source and destination, of the subscribers' packets.
const Port = 20000

// Lengths of headers, bytes.
const (
	etherLen = 14
	ipLen    = 20
	udpLen   = 8
	l2tpLen  = 8 // with the Length field
	pppLen   = 4 // FF 03 00 21
	outerLen = ipLen + udpLen + l2tpLen + pppLen
	stampLen = 8
)

// MinSize is the smallest inner packet: the generator writes whole words of 8
// bytes, the last of which holds the end of its stamp.
const MinSize = ipLen + udpLen + stampLen + 8

const (
	l2tpPort = 1701
	sentTTL  = 64
)

// stream describes the packets of one measurement.
type stream struct {
	direction Direction
	tunnelled bool // sent inside L2TP
	size      int  // of the inner IPv4 packet, bytes
	table     *table
	from, to  *side
}

// layout is where things lie in a stream's frames, as the generator wants it.
type layout struct {
	frame []byte
	inner int // offset of the inner IPv4 header
	addr  int // offset of the subscriber's address
	ip    int // offset of the inner IPv4 checksum
	udp   int // offset of the inner UDP checksum
	stamp int
	call  int // offset of the ids, 0 for none
}

// layout builds a frame whose address, ids, stamp and inner checksums are zero.
func (s *stream) layout() layout {
	b := append([]byte{}, s.from.far.mac...)
	b = append(b, s.from.near.mac...)
	b = append(b, 0x08, 0x00)
	var l layout
	if s.tunnelled {
		b = appendIP(b, outerLen+s.size, netlab.LACAddr.As4(), netlab.LNSAddr.As4(), true)
		b = appendUDP(b, l2tpPort, outerLen-ipLen+s.size)
		l.call = len(b) + 4
		b = append(b, 0x40, 0x02)
		b = binary.BigEndian.AppendUint16(b, uint16(l2tpLen+pppLen+s.size))
		b = append(b, 0, 0, 0, 0, 0xFF, 0x03, 0x00, 0x21)
	}
	l.inner = len(b)
	src, dst := [4]byte{}, Server.As4()
	l.addr = l.inner + 12
	if s.direction == Down {
		src, dst = dst, src
		l.addr = l.inner + 16
	}
	b = appendIP(b, s.size, src, dst, false)
	b = appendUDP(b, Port, s.size-ipLen)
	l.ip, l.udp, l.stamp = l.inner+10, l.inner+ipLen+6, len(b)
	for len(b) < l.inner+s.size {
		b = append(b, payloadByte(len(b)-l.stamp))
	}
	clear(b[l.stamp : l.stamp+stampLen])
	l.frame = b
	return l
}

// payloadByte is what stands at offset i of the payload, behind the stamp.
func payloadByte(i int) byte { return byte(i*7 + 3) }

// appendIP appends a header with DF set.
func appendIP(b []byte, total int, src, dst [4]byte, checksum bool) []byte {
	at := len(b)
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(total))
	b = append(b, 0, 0, 0x40, 0, sentTTL, 17, 0, 0)
	b = append(b, src[:]...)
	b = append(b, dst[:]...)
	if checksum {
		binary.NativeEndian.PutUint16(b[at+10:], ^fold(sum(b[at:])))
	}
	return b
}

// appendUDP appends a header with the checksum left out.
func appendUDP(b []byte, port uint16, length int) []byte {
	b = binary.BigEndian.AppendUint16(b, port)
	b = binary.BigEndian.AppendUint16(b, port)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	return append(b, 0, 0)
}

// ipSum and udpSum are the parts of the inner checksums that are the same in all
// packets, not folded.
func (l *layout) ipSum() uint32 { return sum(l.frame[l.inner : l.inner+ipLen]) }

func (l *layout) udpSum() uint32 {
	udp := l.frame[l.inner+ipLen:]
	return pseudoSum(l.frame[l.inner:], len(udp)) + sum(udp)
}

// pseudoSum is the sum of the pseudo header (RFC 768) of a UDP datagram of length
// bytes behind the header at ip.
func pseudoSum(ip []byte, length int) uint32 {
	var rest [4]byte
	rest[1] = 17
	binary.BigEndian.PutUint16(rest[2:], uint16(length))
	return sum(ip[12:20]) + sum(rest[:])
}

// sum adds the 16-bit words of b as they lie in memory (RFC 1071 section 2(B)).
func sum(b []byte) uint32 {
	var s uint32
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(binary.NativeEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(binary.NativeEndian.Uint16([]byte{b[0], 0}))
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xFFFF {
		s = s&0xFFFF + s>>16
	}
	return uint16(s)
}

func (s *stream) check() error {
	if s.size < MinSize || s.size > 1460 {
		return fmt.Errorf("packet size %d is not within %d to 1460", s.size, MinSize)
	}
	return nil
}
