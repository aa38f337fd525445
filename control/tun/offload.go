package tun

import "encoding/binary"

// offloadLen is the length of struct virtio_net_hdr (linux/virtio_net.h), in front
// of each packet that the kernel and this package exchange.
const offloadLen = 10

const (
	offloadNeedsChecksum = 1    // flags: VIRTIO_NET_HDR_F_NEEDS_CSUM
	offloadTCP4          = 1    // type: VIRTIO_NET_HDR_GSO_TCPV4
	offloadECN           = 0x80 // type: VIRTIO_NET_HDR_GSO_ECN
)

// udpChecksumAt is where in the UDP header the checksum is, and in no other header
// that the kernel leaves to us.
const udpChecksumAt = 6

// offload is the header's contents. All numbers are in host order.
type offload struct {
	flags, kind   byte
	headers       uint16 // length of all headers of a segment, a hint
	segment       uint16 // payload of each segment
	checksumStart uint16 // what is to be summed up begins here,
	checksumAt    uint16 // and the sum belongs here, counted from the start
}

func parseOffload(b []byte) offload {
	_ = b[offloadLen-1]
	return offload{
		flags: b[0], kind: b[1] &^ offloadECN,
		headers:       binary.NativeEndian.Uint16(b[2:]),
		segment:       binary.NativeEndian.Uint16(b[4:]),
		checksumStart: binary.NativeEndian.Uint16(b[6:]),
		checksumAt:    binary.NativeEndian.Uint16(b[8:]),
	}
}

func (o *offload) put(b *[offloadLen]byte) {
	b[0], b[1] = o.flags, o.kind
	binary.NativeEndian.PutUint16(b[2:], o.headers)
	binary.NativeEndian.PutUint16(b[4:], o.segment)
	binary.NativeEndian.PutUint16(b[6:], o.checksumStart)
	binary.NativeEndian.PutUint16(b[8:], o.checksumAt)
}

// complete fills in the checksum that the kernel has left to us; its field holds
// the sum of the pseudo header. It returns false when the header contradicts the
// packet.
func (o *offload) complete(p []byte) bool {
	start, at := int(o.checksumStart), int(o.checksumStart)+int(o.checksumAt)
	if at+2 > len(p) {
		return false
	}
	sum := checksum(p[start:])
	if sum == 0 && o.checksumAt == udpChecksumAt {
		sum = 0xFFFF // 0 would mean that there is none (RFC 768)
	}
	binary.BigEndian.PutUint16(p[at:], sum)
	return true
}
