package tun

import "encoding/binary"

// fragmenter cuts an IPv4 packet into fragments (RFC 791 section 3.2, "An Example
// Fragmentation Procedure"). A packet that is a fragment itself is cut further.
type fragmenter struct {
	packet []byte
	mtu    int
	at     int // how many bytes of the payload are done
	first  int // fragment offset of the packet, in 8 byte units
	more   uint16
}

// newFragmenter prepares to cut p to at most mtu bytes; ok is false when mtu has
// no room for a header and 8 bytes.
func newFragmenter(p []byte, mtu int) (f fragmenter, ok bool) {
	word := fragmentWord(p)
	f = fragmenter{packet: p, mtu: mtu, first: int(word & fragmentOffset), more: word & flagMF}
	return f, mtu >= headerLen(p)+8
}

// next appends the next fragment to dst; ok is false when there is none left.
func (f *fragmenter) next(dst []byte) (_ []byte, ok bool) {
	header := headerLen(f.packet)
	payload := f.packet[header:]
	if f.at >= len(payload) {
		return dst, false
	}
	start := len(dst)
	dst = append(dst, f.packet[:ipv4MinHeader]...)
	dst = f.appendOptions(dst, f.packet[ipv4MinHeader:header])
	header = len(dst) - start

	n, more := len(payload)-f.at, f.more
	if header+n > f.mtu {
		n = (f.mtu - header) &^ 7 // all but the last fragment in units of 8
		more = flagMF
	}
	dst = append(dst, payload[f.at:f.at+n]...)

	out := dst[start:]
	out[0] = 0x40 | byte(header/4)
	binary.BigEndian.PutUint16(out[2:], uint16(header+n))
	binary.BigEndian.PutUint16(out[6:], more|uint16(f.first+f.at/8))
	setHeaderChecksum(out)
	f.at += n
	return dst, true
}

// appendOptions appends the header options that this fragment must carry: all in
// the first one, then those whose copied flag is set (RFC 791 section 3.1).
func (f *fragmenter) appendOptions(dst, options []byte) []byte {
	if f.at == 0 {
		return append(dst, options...)
	}
	start := len(dst)
	for len(options) > 0 && options[0] != optionEnd {
		n := 1
		if options[0] != optionNop {
			if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
				break
			}
			n = int(options[1])
			if options[0]&0x80 != 0 {
				dst = append(dst, options[:n]...)
			}
		}
		options = options[n:]
	}
	for (len(dst)-start)%4 != 0 {
		dst = append(dst, optionEnd)
	}
	return dst
}
