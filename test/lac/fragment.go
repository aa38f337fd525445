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

// reassembly puts one IPv4 packet at a time together: an echo travels alone on its
// session, so that a fragment of another packet means that the first lost a part.
type reassembly struct {
	id    uint16
	have  int // bytes of data
	total int // bytes of data, 0 until the last fragment came
	buf   []byte
}

// add takes a fragment, which is at least a header long, and returns the whole
// packet once it is complete.
func (r *reassembly) add(p []byte) []byte {
	be := binary.BigEndian
	total := int(be.Uint16(p[2:]))
	if p[0] != 0x45 || total > len(p) || total <= ipv4HeaderLen {
		return nil
	}
	word := be.Uint16(p[6:])
	data := p[ipv4HeaderLen:total]
	off := int(word&fragmentOffset) * 8
	if ipv4HeaderLen+off+len(data) > maxPacketSize {
		return nil
	}
	if id := be.Uint16(p[4:]); id != r.id || r.have == 0 {
		r.id, r.have, r.total = id, 0, 0
	}
	if need := ipv4HeaderLen + off + len(data); len(r.buf) < need {
		r.buf = append(r.buf, make([]byte, need-len(r.buf))...)
	}
	if off == 0 {
		copy(r.buf, p[:ipv4HeaderLen])
	}
	copy(r.buf[ipv4HeaderLen+off:], data)
	r.have += len(data)
	if word&flagMF == 0 {
		r.total = off + len(data)
	}
	if r.total == 0 || r.have < r.total {
		return nil
	}
	r.have = 0
	whole := r.buf[:ipv4HeaderLen+r.total]
	be.PutUint16(whole[2:], uint16(len(whole)))
	be.PutUint16(whole[6:], 0)
	be.PutUint16(whole[10:], 0)
	be.PutUint16(whole[10:], ipChecksum(whole[:ipv4HeaderLen]))
	return whole
}
