package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/lnsd/lnsd/control/session"
)

// version is the first byte of every payload. Values are CBOR maps (RFC 8949) from
// the names of fields, so that fields may be added and left out without a new version:
// a reader passes over what it does not know. A field may not be renamed, nor
// change its meaning.
const version = 1

// codec writes and reads values.
type codec struct {
	enc cbor.UserBufferEncMode
	dec cbor.DecMode
}

// Bounds of what is decoded: no record has more, and the file may be anybody's.
const (
	maxNesting  = 16
	maxElements = 1 << 16
)

func newCodec() (codec, error) {
	enc, err := cbor.EncOptions{
		Sort: cbor.SortNone, ShortestFloat: cbor.ShortestFloatNone, IndefLength: cbor.IndefLengthForbidden,
		Time: cbor.TimeRFC3339Nano, BinaryMarshaler: cbor.BinaryMarshalerByteString,
	}.UserBufferEncMode()
	if err != nil {
		return codec{}, err
	}
	dec, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden,
		MaxNestedLevels: maxNesting, MaxArrayElements: maxElements, MaxMapPairs: maxElements,
		BinaryUnmarshaler: cbor.BinaryUnmarshalerByteString,
	}.DecMode()
	return codec{enc, dec}, err
}

// marshal writes a value behind its key: most records that are read are out of date,
// and the key is enough to see that.
func (c codec) marshal(k key, v any) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(1024) // most are smaller
	b.Write(appendKey(b.AvailableBuffer(), k))
	err := c.enc.MarshalToBuffer(v, &b)
	return b.Bytes(), err
}

func (c codec) unmarshal(b []byte, v any) error {
	if len(b) < keySize || b[0] != version {
		return fmt.Errorf("journal: version %d", first(b))
	}
	return c.dec.Unmarshal(b[keySize:], v)
}

func first(b []byte) int {
	if len(b) == 0 {
		return -1
	}
	return int(b[0])
}

// key names a thing in the journal.
type key uint64

const (
	keyTunnel = iota + 1
	keyCall   // a session or a call
)

func tunnelKey(id uint16) key { return key(keyTunnel)<<32 | key(id) }

func callKey(tunnel, session uint16) key {
	return key(keyCall)<<32 | key(tunnel)<<16 | key(session)
}

// A call and what is gone are too small and too many for CBOR.

func appendCall(b []byte, c session.CallID) []byte {
	b = append(b, version)
	b = binary.BigEndian.AppendUint16(b, c.TunnelID)
	b = binary.BigEndian.AppendUint16(b, c.SessionID)
	return binary.BigEndian.AppendUint16(b, c.PeerSessionID)
}

func parseCall(b []byte) (c session.CallID, ok bool) {
	if len(b) != 7 || b[0] != version {
		return c, false
	}
	return session.CallID{
		TunnelID: binary.BigEndian.Uint16(b[1:]), SessionID: binary.BigEndian.Uint16(b[3:]),
		PeerSessionID: binary.BigEndian.Uint16(b[5:]),
	}, true
}

// keySize is that of a key with the version before it.
const keySize = 9

func appendKey(b []byte, k key) []byte {
	return binary.BigEndian.AppendUint64(append(b, version), uint64(k))
}

func parseKey(b []byte) (key, bool) {
	if len(b) < keySize || b[0] != version {
		return 0, false
	}
	return key(binary.BigEndian.Uint64(b[1:])), true
}
