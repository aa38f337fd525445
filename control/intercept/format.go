package intercept

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/lnsd/lnsd/control/session"
)

// Header is what a format may tell of a packet besides the packet.
type Header struct {
	// Sequence counts the packets of an interception from 0, so that the receiver
	// sees what the network has lost.
	Sequence      uint32
	AcctSessionID string
}

// Format is how a copied packet looks on the wire.
type Format interface {
	// Append appends the datagram for c to b.
	Append(b []byte, c *session.PacketCopy, h *Header) []byte
}

var formats = map[string]Format{"raw": raw{}, "header": withHeader{}}

// ParseFormat returns the format of a name: raw or header.
func ParseFormat(name string) (Format, error) {
	f, ok := formats[name]
	if !ok {
		return nil, fmt.Errorf("intercept: no format %q", name)
	}
	return f, nil
}

// raw is the packet and nothing else, from its IP header on, as l2tpns sends it.
type raw struct{}

func (raw) Append(b []byte, c *session.PacketCopy, _ *Header) []byte { return append(b, c.Packet...) }

// withHeader puts 28 bytes before the packet, big endian:
//
//	0   version, 1
//	1   direction: 0 from the subscriber, 1 to it
//	2   length of this header, 28
//	4   sequence number in the interception, from 0
//	8   time of the copy, in nanoseconds since 1970
//	16  the account's id, see below
//	24  length of the packet
//
// The id is the number that Acct-Session-Id writes in hexadecimal digits, without what
// follows a hyphen.
type withHeader struct{}

const headerLength = 28

func (withHeader) Append(b []byte, c *session.PacketCopy, h *Header) []byte {
	direction := byte(1)
	if c.Up {
		direction = 0
	}
	b = slices.Grow(b, headerLength+len(c.Packet))
	b = append(b, 1, direction)
	b = binary.BigEndian.AppendUint16(b, headerLength)
	b = binary.BigEndian.AppendUint32(b, h.Sequence)
	b = binary.BigEndian.AppendUint64(b, uint64(c.At.UnixNano()))
	var id [8]byte
	hex.Decode(id[:], []byte(h.AcctSessionID)[:min(len(h.AcctSessionID), 2*len(id))]) // ids are ours
	b = append(b, id[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(c.Length))
	return append(b, c.Packet...)
}
