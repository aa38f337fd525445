package lac

import "encoding/binary"

// appendFragments cuts an IPv4 packet without options into fragments of at most
// size bytes (RFC 791 section 2.3) and calls emit for each; the fragment is valid
// until emit returns. scratch is memory to build them in, and is returned grown.
func appendFragments(scratch, packet []byte, size int, emit func([]byte)) []byte {
	header, data := packet[:ipv4HeaderLen], packet[ipv4HeaderLen:]
	step := (size - ipv4HeaderLen) &^ 7 // all but the last are multiples of 8 bytes
	for off := 0; off < len(data); off += step {
		end := min(off+step, len(data))
		scratch = append(scratch[:0], header...)
		scratch = append(scratch, data[off:end]...)
		word := uint16(off / 8)
		if end < len(data) {
			word |= flagMF
		}
		be := binary.BigEndian
		be.PutUint16(scratch[2:], uint16(len(scratch)))
		be.PutUint16(scratch[6:], word)
		be.PutUint16(scratch[10:], 0)
		be.PutUint16(scratch[10:], ipChecksum(scratch[:ipv4HeaderLen]))
		emit(scratch)
	}
	return scratch
}

// isFragment tells whether an IPv4 packet is a part of a larger one.
func isFragment(p []byte) bool {
	return binary.BigEndian.Uint16(p[6:])&(flagMF|fragmentOffset) != 0
}

// underWay is how many packets of a session may be in pieces at one time: echoes that
// were held up come all at once, and their fragments mixed.
const underWay = 16

// reassembly puts the IPv4 packets of a session together. The oldest one gives way to
// one too many: it has lost a part.
type reassembly struct {
	packets []*pieces
	oldest  int // in packets, once there are underWay
}

// pieces is what has come of one packet.
type pieces struct {
	id    uint16
	have  int // bytes of data; 0 is a place that is free
	total int // bytes of data, 0 until the last fragment came
	buf   []byte
}

// add takes a fragment, which is at least a header long, and returns the whole
// packet once it is complete; it is valid until the next call.
func (r *reassembly) add(p []byte) []byte {
	be := binary.BigEndian
	total := int(be.Uint16(p[2:]))
	if p[0] != 0x45 || total > len(p) || total <= ipv4HeaderLen {
		return nil
	}
	word := be.Uint16(p[6:])
	off := int(word&fragmentOffset) * 8
	if off+total > maxPacketSize {
		return nil
	}
	return r.of(be.Uint16(p[4:])).add(p[:total], off, word&flagMF != 0)
}

// of is where the fragments with this identification are gathered.
func (r *reassembly) of(id uint16) *pieces {
	var free *pieces
	for _, q := range r.packets {
		switch {
		case q.have == 0:
			free = q
		case q.id == id:
			return q
		}
	}
	switch {
	case free != nil:
	case len(r.packets) < underWay:
		free = &pieces{}
		r.packets = append(r.packets, free)
	default:
		free = r.packets[r.oldest]
		r.oldest = (r.oldest + 1) % underWay
	}
	free.id, free.have, free.total = id, 0, 0
	return free
}

func (q *pieces) add(p []byte, off int, more bool) []byte {
	data := p[ipv4HeaderLen:]
	if need := ipv4HeaderLen + off + len(data); len(q.buf) < need {
		q.buf = append(q.buf, make([]byte, need-len(q.buf))...)
	}
	if off == 0 {
		copy(q.buf, p[:ipv4HeaderLen])
	}
	copy(q.buf[ipv4HeaderLen+off:], data)
	q.have += len(data)
	if !more {
		q.total = off + len(data)
	}
	if q.total == 0 || q.have < q.total {
		return nil
	}
	q.have = 0
	whole := q.buf[:ipv4HeaderLen+q.total]
	be := binary.BigEndian
	be.PutUint16(whole[2:], uint16(len(whole)))
	be.PutUint16(whole[6:], 0)
	be.PutUint16(whole[10:], 0)
	be.PutUint16(whole[10:], ipChecksum(whole[:ipv4HeaderLen]))
	return whole
}
