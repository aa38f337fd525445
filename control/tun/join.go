package tun

import (
	"bytes"
	"encoding/binary"
)

// maxJoined is how many packets become one at most.
const maxJoined = 64

// none ends a list of pieces, and marks an empty place in joiner.latest.
const none = -1

// joiner collects packets for the TUN device and joins consecutive segments of a
// TCP connection to one packet, which the kernel takes through its whole stack at
// the price of one and cuts again on the way out. Only what the kernel will cut
// into the very same segments is joined; the IPv4 Identification may differ where
// it has no meaning (RFC 6864 section 4.1).
//
// The order of a subscriber's packets is kept: one is joined only to what the same
// subscriber has sent last.
type joiner struct {
	enabled bool
	frames  []frame
	pieces  []piece
	// latest is the frame with the last packet of the subscriber whose address
	// has this hash; other subscribers may share it, and lose opportunities.
	latest [256]int16
}

// piece is memory that a frame consists of; pieces of a frame are a list.
type piece struct {
	b    []byte
	next int
}

// frame is a packet on its way to the device.
type frame struct {
	// header is the offload header, unless there was room for it in front of the
	// packet: then the first piece begins with it.
	header      [offloadLen]byte
	inFront     bool
	first, last int // pieces
	packets     int

	// What decides on joining.
	open    bool   // more may follow
	sound   bool   // checksums have been verified
	headers int    // length of the IPv4 and TCP headers
	segment int    // payload of the first packet
	length  int    // of all
	seq     uint32 // of the next byte
	id      uint16 // IPv4 Identification of the next packet
}

func newJoiner(room int, enabled bool) joiner {
	j := joiner{enabled: enabled, frames: make([]frame, 0, room), pieces: make([]piece, 0, room)}
	j.reset()
	return j
}

func (j *joiner) reset() {
	j.frames, j.pieces = j.frames[:0], j.pieces[:0]
	for i := range j.latest {
		j.latest[i] = none
	}
}

// packets is how many there are, joined or not.
func (j *joiner) packets() int { return len(j.pieces) }

// add takes packet b[at:], which trimIPv4 or trimIPv6 has accepted. All of b is used until
// reset, and may be changed.
func (j *joiner) add(b []byte, at int) {
	p := b[at:]
	latest := &j.latest[hash(source(p))]
	headers, data := dataSegment(p)
	if !data || !j.enabled {
		j.begin(b, at)
		*latest = none
		return
	}
	if *latest != none && j.frames[*latest].join(j, p, headers) {
		return
	}
	*latest = int16(len(j.frames))
	tcp := p[ipv4MinHeader:]
	f := j.begin(b, at)
	f.headers, f.segment = headers, len(p)-headers
	f.seq = binary.BigEndian.Uint32(tcp[4:]) + uint32(f.segment)
	f.id = binary.BigEndian.Uint16(p[4:]) + 1
	f.open = tcp[13]&tcpFlagPSH == 0
}

// hashFactor spreads addresses that are close together: 2^32 divided by the golden
// ratio, as a signed number, less 2^32.
const hashFactor = -0x61C88647

func hash(a uint32) uint8 { return uint8(uint32(int32(a)*hashFactor) >> 24) }

// begin starts a frame with packet b[at:].
func (j *joiner) begin(b []byte, at int) *frame {
	first, length := len(j.pieces), len(b)-at
	inFront := j.enabled && at >= offloadLen
	if inFront {
		at -= offloadLen
	}
	j.pieces = append(j.pieces, piece{b[at:], none})
	j.frames = append(j.frames, frame{inFront: inFront, first: first, last: first, packets: 1, length: length})
	return &j.frames[len(j.frames)-1]
}

// head is the first packet of a frame.
func (j *joiner) head(f *frame) []byte {
	b := j.pieces[f.first].b
	if f.inFront {
		return b[offloadLen:]
	}
	return b
}

// dataSegment says whether p is a TCP segment that carries data and nothing that
// would single it out, and how long its headers are.
func dataSegment(p []byte) (headers int, ok bool) {
	if p[0] != 0x45 || protocol(p) != protoTCP || fragmentWord(p)&^flagDF != 0 || len(p) < ipv4MinHeader+tcpMinHeader {
		return 0, false
	}
	tcp := p[ipv4MinHeader:]
	headers = ipv4MinHeader + int(tcp[12]>>4)*4
	return headers, headers >= ipv4MinHeader+tcpMinHeader && headers < len(p) && tcp[13]&^tcpFlagPSH == tcpFlagACK
}

// join adds segment p to the frame, if it is the one that follows.
func (f *frame) join(j *joiner, p []byte, headers int) bool {
	n := len(p) - headers
	head := j.head(f)
	if !f.open || headers != f.headers || n > f.segment || f.packets == maxJoined || f.length+n > maxPacket ||
		!f.follows(head, p) {
		return false
	}
	// What the sender or the way here has broken must not get a new checksum.
	if !f.sound && !soundTCP(head) {
		f.open = false
		return false
	}
	f.sound = true
	if !soundTCP(p) {
		return false
	}
	at := len(j.pieces)
	j.pieces = append(j.pieces, piece{p[headers:], none})
	j.pieces[f.last].next = at
	f.last = at
	f.packets++
	f.length += n
	f.seq += uint32(n)
	f.id++
	push := p[ipv4MinHeader+13] & tcpFlagPSH
	head[ipv4MinHeader+13] |= push
	f.open = push == 0 && n == f.segment
	return true
}

// follows compares the headers of two packets, head the first one of the frame.
func (f *frame) follows(head, p []byte) bool {
	a, b := head[ipv4MinHeader:f.headers], p[ipv4MinHeader:f.headers]
	return binary.BigEndian.Uint32(b[4:]) == f.seq &&
		bytes.Equal(head[12:24], p[12:24]) && // addresses and ports
		head[1] == p[1] && head[8] == p[8] && // TOS, TTL
		fragmentWord(head) == fragmentWord(p) &&
		(fragmentWord(p)&flagDF != 0 || binary.BigEndian.Uint16(p[4:]) == f.id) &&
		bytes.Equal(a[8:13], b[8:13]) && // acknowledgment, data offset
		bytes.Equal(a[14:16], b[14:16]) && // window
		bytes.Equal(a[18:], b[18:]) // urgent pointer, options
}

// soundTCP verifies the checksums of a packet.
func soundTCP(p []byte) bool {
	if onesSum(p[:ipv4MinHeader]) != 0xFFFF {
		return false
	}
	tcp := p[ipv4MinHeader:]
	return fold(pseudoSum(p)+uint32(len(tcp))+uint32(onesSum(tcp))) == 0xFFFF
}

// finish writes the offload headers, and those of the packets that were joined.
// Nothing can be added after it.
func (j *joiner) finish() {
	if !j.enabled {
		return
	}
	for i := range j.frames {
		f := &j.frames[i]
		header := &f.header
		if f.inFront {
			header = (*[offloadLen]byte)(j.pieces[f.first].b)
		}
		var o offload
		if f.packets > 1 {
			o = f.joined(j.head(f))
		}
		o.put(header)
	}
}

// joined makes the packet at head, the first of several, the head of them all.
func (f *frame) joined(head []byte) offload {
	binary.BigEndian.PutUint16(head[2:], uint16(f.length))
	setHeaderChecksum(head)
	// The kernel adds the rest to the sum of the pseudo header.
	binary.BigEndian.PutUint16(head[ipv4MinHeader+16:], fold(pseudoSum(head)+uint32(f.length-ipv4MinHeader)))
	return offload{
		flags: offloadNeedsChecksum, kind: offloadTCP4,
		headers: uint16(f.headers), segment: uint16(f.segment),
		checksumStart: ipv4MinHeader, checksumAt: 16,
	}
}
