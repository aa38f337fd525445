package maps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

const flagCapture = kernelLnsFlagLNS_CAPTURE

// Copy is a copy of a session's packet, taken before it was changed on its way.
type Copy struct {
	// Time is CLOCK_MONOTONIC in nanoseconds.
	Time uint64
	Slot uint32
	// TunnelID and SessionID are ours: the slot may be another session's by now.
	TunnelID, SessionID uint16
	// Up: the subscriber has sent it.
	Up bool
	// Outer: Packet begins with the outer IP header; else it is the subscriber's.
	Outer bool
	// Reason is why it was not forwarded, "" if it was.
	Reason string
	// Length is that of the packet, of which Packet may be the first bytes.
	Length int
	Packet []byte
}

// CopyReader reads copies in the order in which they were taken. Read and Close may be
// called at the same time, Read from one goroutine.
type CopyReader struct {
	ring   *ringbuf.Reader
	names  []string
	record ringbuf.Record
}

// Copies reads the packets of sessions with FlagIntercept. There is to be one reader
// at a time.
func (m *Maps) Copies() (*CopyReader, error) { return m.readCopies(m.objs.LnsCopies) }

// Captures reads the packets of sessions that SetCapture names.
func (m *Maps) Captures() (*CopyReader, error) { return m.readCopies(m.objs.LnsCaptures) }

func (m *Maps) readCopies(ring *ebpf.Map) (*CopyReader, error) {
	r, err := ringbuf.NewReader(ring)
	if err != nil {
		return nil, fmt.Errorf("maps: %w", err)
	}
	return &CopyReader{ring: r, names: m.names}, nil
}

// Where the fields of struct lns_copy are.
const (
	copyTime    = unsafe.Offsetof(kernelLnsCopy{}.Time)
	copySlot    = unsafe.Offsetof(kernelLnsCopy{}.Slot)
	copyTunnel  = unsafe.Offsetof(kernelLnsCopy{}.TunnelId)
	copySession = unsafe.Offsetof(kernelLnsCopy{}.SessionId)
	copyLength  = unsafe.Offsetof(kernelLnsCopy{}.Length)
	copyTaken   = unsafe.Offsetof(kernelLnsCopy{}.Taken)
	copyReason  = unsafe.Offsetof(kernelLnsCopy{}.Reason)
	copyUp      = unsafe.Offsetof(kernelLnsCopy{}.Up)
	copyOuter   = unsafe.Offsetof(kernelLnsCopy{}.Outer)
	copyData    = int(unsafe.Offsetof(kernelLnsCopy{}.Data))
)

// Read waits for the next copy, until Close, or until there has been none for as long
// as given. c.Packet is valid until the next Read. The errors are those of ringbuf:
// os.ErrClosed and os.ErrDeadlineExceeded.
func (r *CopyReader) Read(c *Copy, wait time.Duration) error {
	for {
		if r.ring.AvailableBytes() == 0 {
			r.ring.SetDeadline(time.Now().Add(wait))
		}
		if err := r.ring.ReadInto(&r.record); err != nil {
			return err
		}
		if r.parse(c, r.record.RawSample) {
			return nil
		}
	}
}

// parse reads what the program has written; ok is false for what it never writes.
func (r *CopyReader) parse(c *Copy, b []byte) (ok bool) {
	if len(b) < copyData {
		return false
	}
	order := binary.NativeEndian
	taken := int(order.Uint32(b[copyTaken:]))
	reason := int(order.Uint32(b[copyReason:]))
	if copyData+taken > len(b) || reason >= len(r.names) {
		return false
	}
	*c = Copy{
		Time: order.Uint64(b[copyTime:]), Slot: order.Uint32(b[copySlot:]),
		TunnelID: order.Uint16(b[copyTunnel:]), SessionID: order.Uint16(b[copySession:]),
		Up: b[copyUp] != 0, Outer: b[copyOuter] != 0,
		Length: int(order.Uint32(b[copyLength:])), Packet: b[copyData : copyData+taken],
	}
	if reason != 0 {
		c.Reason = r.names[reason]
	}
	return true
}

// Close ends the reading, and a Read that waits.
func (r *CopyReader) Close() error { return r.ring.Close() }

// CopiesLost is how many packets of the session in slot could not be copied for its
// interception, since that began. Of slot 0 it is the packets of those sessions that lost
// some when Losers others had, since the maps were made.
func (m *Maps) CopiesLost(slot uint32) uint64 {
	var lost uint64
	if err := m.objs.LnsLosses.Lookup(slot, &lost); err != nil {
		return 0 // as most have
	}
	return lost
}

// ForgetCopiesLost gives back what counts the losses of a slot, once its interception is
// over: the next session that loses a packet needs it.
func (m *Maps) ForgetCopiesLost(slot uint32) {
	if slot != 0 {
		_ = m.objs.LnsLosses.Delete(slot) // there is nothing, most often
	}
}

// clearLosses forgets what an earlier interception in slot has missed when one begins.
func (m *Maps) clearLosses(slot uint32, flags kernelLnsFlag) {
	if flags&FlagIntercept != 0 {
		_ = m.objs.LnsLosses.Delete(slot) // there is nothing, most often
	}
}

// SetCapture begins or ends the capture of the session in slot. It lasts until the
// session is installed anew. A slot that holds no session is left alone.
func (m *Maps) SetCapture(slot uint32, on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slot == 0 || slot > m.cfg.Sessions || !m.isOpen(slot) {
		return
	}
	flags := m.sessions.values[slot].Flags &^ flagCapture
	if on {
		flags |= flagCapture
	}
	m.setFlags(slot, flags)
}

// endCaptures forgets the captures of an earlier process, which nobody reads.
func (m *Maps) endCaptures() {
	for slot := range m.sessions.values {
		if f := m.sessions.values[slot].Flags; f&flagCapture != 0 && m.isOpen(uint32(slot)) {
			m.setFlags(uint32(slot), f&^flagCapture)
		}
	}
}

// CaptureBudget bounds all captures together.
type CaptureBudget struct {
	// Packets is the most in a second, 0 for any number.
	Packets int
	// Snap is the most bytes of a packet that are captured.
	Snap int
}

// SetCaptureBudget sets what captures may cost from now on.
func (m *Maps) SetCaptureBudget(b CaptureBudget) {
	v := &m.budget.values[0]
	var interval uint64
	if b.Packets > 0 {
		interval = max(uint64(time.Second)/uint64(b.Packets), 1)
	}
	atomic.StoreUint64(&v.Interval, interval)
	atomic.StoreUint32(&v.Snap, uint32(b.Snap))
}

// CapturesMissed returns how many packets were not captured: those beyond the budget's
// rate, and those that found the ring full.
func (m *Maps) CapturesMissed() (withheld, lost uint64) {
	v := &m.budget.values[0]
	return atomic.LoadUint64(&v.Withheld), atomic.LoadUint64(&v.Lost)
}

// mapCopies maps what the daemon shares with the program of copies into memory.
func (m *Maps) mapCopies() (err error) {
	none := uint64(0)
	if err = m.objs.LnsLosses.Update(uint32(0), &none, ebpf.UpdateNoExist); err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
		return err
	}
	m.budget, err = newMapped[kernelLnsAllowance](m.objs.LnsBudget)
	return err
}
