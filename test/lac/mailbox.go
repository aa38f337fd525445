package lac

import (
	"net/netip"
	"sync"
)

// maxMail bounds what waits in a mailbox, in bytes. It holds a second of a busy
// socket; more would only make every latency a lie.
const maxMail = 64 << 20

// mail is a batch of datagrams; their bytes lie one after another in data.
type mail struct {
	data  []byte
	items []mailItem
}

type mailItem struct {
	socket     *socket
	peer       netip.AddrPort
	start, end int
}

func (m *mail) add(s *socket, peer netip.AddrPort, b []byte) {
	start := len(m.data)
	m.data = append(m.data, b...)
	m.items = append(m.items, mailItem{s, peer, start, len(m.data)})
}

func (m *mail) reset() { m.data, m.items = m.data[:0], m.items[:0] }

// mailbox takes datagrams from the goroutines that read sockets to the worker. It
// is two batches: one is filled while the worker empties the other.
type mailbox struct {
	wake chan struct{} // has a token when there may be mail

	mu      sync.Mutex
	filling *mail
	dropped uint64
}

func newMailbox() *mailbox {
	return &mailbox{wake: make(chan struct{}, 1), filling: &mail{}}
}

// put copies b. When the worker is too slow it is dropped and counted.
func (m *mailbox) put(s *socket, peer netip.AddrPort, b []byte) {
	m.mu.Lock()
	if len(m.filling.data)+len(b) > maxMail {
		m.dropped++
		m.mu.Unlock()
		return
	}
	first := len(m.filling.items) == 0
	m.filling.add(s, peer, b)
	m.mu.Unlock()
	if first {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
}

// take exchanges the filled batch for an empty one, which the caller has read.
func (m *mailbox) take(empty *mail) *mail {
	empty.reset()
	m.mu.Lock()
	defer m.mu.Unlock()
	full := m.filling
	m.filling = empty
	return full
}

func (m *mailbox) drops() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dropped
}
