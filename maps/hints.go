package maps

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"
)

// TrustHops lets the answers of route lookups be used again, for the rest of the
// tick of the kernel's clock that they were given in, until a moment of
// CLOCK_MONOTONIC; 0 ends it. Who calls it says that up to then no routing rule and
// no multipath route makes a next hop depend on more than destination, TOS and the
// interface that a packet came in on. It makes no system call.
func (m *Maps) TrustHops(until time.Duration) {
	atomic.StoreUint64(&m.hints.values[0].TrustUntil, uint64(until))
}

// ForgetHops voids all answers of route lookups: something has changed. It makes no
// system call.
func (m *Maps) ForgetHops() { atomic.AddUint32(&m.hints.values[0].Generation, 1) }

// localBit is the bit that stands for addr in the hints.
func localBit(addr [4]byte) uint64 {
	return 1 << (binary.NativeEndian.Uint32(addr[:]) * localMix >> localShift)
}

// LOCAL_MIX and LOCAL_SHIFT of the C sources.
const (
	localMix   uint32 = 0x9E3779B1
	localShift uint32 = 26
)

// hintLocals makes the hints fit lns_locals. An address must be in the map before it
// is hinted at, and hinted at no more before it is taken out.
func (m *Maps) hintLocals(without *kernelLnsLocal) error {
	var key, one kernelLnsLocal
	var value uint32
	var bits uint64
	all := m.objs.LnsLocals.Iterate()
	for all.Next(&key, &value) {
		if without != nil && key == *without {
			continue
		}
		bits |= localBit(key.Addr)
		if key.Port != 0 {
			one = key
		}
	}
	if err := all.Err(); err != nil {
		return fmt.Errorf("read the local addresses: %w", err)
	}
	h := &m.hints.values[0]
	// As one word: no packet may see the address of one with the port of another.
	atomic.StoreUint64(word(&h.Local), *word(&one))
	atomic.StoreUint64(&h.Locals, bits)
	return nil
}

// addDoor puts a port into the place that is looked at first, unless another one is
// there: then it is found through lns_ingress alone.
func (m *Maps) addDoor(where kernelLnsWhere, port kernelLnsPort) error {
	door := &m.doors.values[where.Device%uint32(len(m.doors.values))]
	if door.Where.Device != 0 && door.Where != where {
		return nil
	}
	if err := m.removeDoor(where); err != nil {
		return err
	}
	door.Port, door.Where.Vlan = port, where.Vlan
	atomic.StoreUint32(&door.Where.Device, where.Device)
	return nil
}

// removeDoor takes a port out of there, and waits until nobody looks at it.
func (m *Maps) removeDoor(where kernelLnsWhere) error {
	door := &m.doors.values[where.Device%uint32(len(m.doors.values))]
	if where.Device == 0 || door.Where != where {
		return nil
	}
	atomic.StoreUint32(&door.Where.Device, 0)
	return m.grace.wait()
}

// clearHints begins anew with ports and addresses that an earlier process knew:
// what it has left may be half written.
func (m *Maps) clearHints() error {
	for i := range m.doors.values {
		atomic.StoreUint32(&m.doors.values[i].Where.Device, 0)
	}
	if err := m.grace.wait(); err != nil {
		return err
	}
	var where kernelLnsWhere
	var port kernelLnsPort
	all := m.objs.LnsIngress.Iterate()
	for all.Next(&where, &port) {
		if err := m.addDoor(where, port); err != nil {
			return err
		}
	}
	if err := all.Err(); err != nil {
		return fmt.Errorf("read the ports: %w", err)
	}
	m.ForgetHops()
	return m.hintLocals(nil)
}

// word is the one word that l is, for writing it as one.
func word(l *kernelLnsLocal) *uint64 { return (*uint64)(unsafe.Pointer(l)) }
