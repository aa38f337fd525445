package engine

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

// class says how badly a packet is wanted when the inbox fills. What has begun is
// finished before anything new is taken on: a flood of set-ups must not cost a
// HELLO, an acknowledgement or a StopCCN its place.
type class uint8

const (
	classControl class = iota // control messages of existing tunnels and calls
	classFrame                // PPP frames
	classSetup                // SCCRQ, ICRQ, OCRQ
	classes
)

// inboxPackets and inboxBytes bound one shard's inbox. The worst wait of a HELLO
// behind a full inbox is the time to work through it, a few tens of milliseconds.
const (
	inboxPackets = 16384
	inboxBytes   = 8 << 20
)

// room is how full the inbox may be for a packet of a class to be taken.
var room = [classes]struct{ packets, bytes int }{
	classControl: {inboxPackets, inboxBytes},
	classFrame:   {inboxPackets * 3 / 4, inboxBytes * 3 / 4},
	classSetup:   {inboxPackets / 2, inboxBytes / 2},
}

// packet is a datagram in an inbox; its bytes are in the batch's arena.
type packet struct {
	local, peer netip.AddrPort
	off, n      int
}

// batch is what a shard takes out of its inbox at once. Two of them change
// places, so that in steady state nothing is allocated.
type batch struct {
	packets    []packet
	arena      []byte
	auth       []*session.AuthResult
	programmed []session.Programmed
	notices    []notice
	calls      []func(*Shard)
}

func (b *batch) reset() {
	clear(b.auth)
	clear(b.programmed)
	clear(b.notices)
	clear(b.calls)
	b.packets, b.arena = b.packets[:0], b.arena[:0]
	b.auth, b.programmed = b.auth[:0], b.programmed[:0]
	b.notices, b.calls = b.notices[:0], b.calls[:0]
}

func (b *batch) empty() bool {
	return len(b.packets)+len(b.auth)+len(b.programmed)+len(b.notices)+len(b.calls) == 0
}

// notice is what one shard, or the directory, tells another about a session.
type notice struct {
	ref     session.Ref
	kind    noticeKind
	address netip.Addr            // noticeGranted
	six     *session.ClaimResult6 // noticeGranted6
}

type noticeKind uint8

const (
	noticeKick     noticeKind = iota // a newer login of the user takes its place
	noticeGranted                    // the address it waited for is free and now its own
	noticeGranted6                   // likewise its prefixes
)

// inbox is the way into one shard.
type inbox struct {
	mu      sync.Mutex
	in      batch
	wake    chan struct{}
	refused [classes]atomic.Uint64
	_       [64]byte // keeps neighbours' locks off this cache line
}

// Inboxes are the ways into the shards. They exist before the engine, so that
// adapters can be made with their methods as plain functions. All methods may be
// called from any goroutine, also from inside of the engine's own ports.
type Inboxes struct {
	shards []inbox
	mask   uint16
	bits   int
	// malformed counts packets without a good L2TP header.
	malformed atomic.Uint64
	// called are the peers that we open tunnels to, with the shards that do so.
	called atomic.Pointer[map[netip.Addr]uint16]
}

// NewInboxes makes the inboxes of a number of shards, which is rounded up to a
// power of two, because the low bits of a tunnel id name its shard.
func NewInboxes(shards int) *Inboxes {
	bits := 0
	for 1<<bits < shards && bits < 8 {
		bits++
	}
	in := &Inboxes{shards: make([]inbox, 1<<bits), mask: 1<<bits - 1, bits: bits}
	for i := range in.shards {
		in.shards[i].wake = make(chan struct{}, 1)
	}
	return in
}

// Shards is the number of shards.
func (in *Inboxes) Shards() int { return len(in.shards) }

// Packet takes one datagram that came from peer to our address local. b is
// copied. When the shard's inbox is full the datagram is dropped and counted;
// control messages come again by retransmission.
func (in *Inboxes) Packet(local, peer netip.AddrPort, b []byte) {
	h, body, err := l2tp.ParseHeader(b)
	if err != nil {
		in.malformed.Add(1)
		return
	}
	c, shard := classFrame, h.TunnelID&in.mask
	if h.IsControl() {
		c = controlClass(body)
		if h.TunnelID == 0 {
			shard = in.newcomer(peer, body)
		}
	}
	in.shards[shard].packet(c, local, peer, b)
}

func (x *inbox) packet(c class, local, peer netip.AddrPort, b []byte) {
	x.mu.Lock()
	if len(x.in.packets) >= room[c].packets || len(x.in.arena)+len(b) > room[c].bytes {
		x.mu.Unlock()
		x.refused[c].Add(1)
		return
	}
	off := len(x.in.arena)
	x.in.arena = append(x.in.arena, b...)
	x.in.packets = append(x.in.packets, packet{local: local, peer: peer, off: off, n: len(b)})
	first := len(x.in.packets) == 1
	x.mu.Unlock()
	if first {
		x.ring()
	}
}

// ring wakes the shard if it sleeps. One pending ring is as good as many.
func (x *inbox) ring() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// newcomer chooses the shard of a message to tunnel id 0: an SCCRQ, or a StopCCN
// of a peer that never learnt our id (RFC 2661 section 4.4.3). Repeats must come
// to the same shard, hence the peer's own id decides with its address. What a peer
// begins to whom we open tunnels goes where these are.
func (in *Inboxes) newcomer(peer netip.AddrPort, body []byte) uint16 {
	if called := in.called.Load(); called != nil && len(*called) > 0 {
		if shard, ok := (*called)[peer.Addr().Unmap()]; ok {
			return shard & in.mask
		}
	}
	_, id, ok := l2tp.PeekSCCRQ(body)
	if !ok {
		id, _ = l2tp.PeekStopCCN(body)
	}
	var buf [20]byte
	addr := peer.Addr().As16()
	copy(buf[:], addr[:])
	binary.BigEndian.PutUint16(buf[16:], peer.Port())
	binary.BigEndian.PutUint16(buf[18:], id)
	h := fnv.New32a()
	h.Write(buf[:])
	sum := h.Sum32()
	return uint16(sum^sum>>16) & in.mask
}

// AuthDone takes the answer to an authentication request.
func (in *Inboxes) AuthDone(r *session.AuthResult) {
	x := in.of(r.TunnelID)
	x.mu.Lock()
	x.in.auth = append(x.in.auth, r)
	x.mu.Unlock()
	x.ring()
}

// Programmed takes answers of the forwarding path, in any mixture of sessions;
// the slice is not kept. Answers are never refused: there are no more of them
// than operations outstanding.
func (in *Inboxes) Programmed(ps []session.Programmed) {
	for i := range in.shards {
		x := &in.shards[i]
		any := false
		x.mu.Lock()
		for _, p := range ps {
			if p.TunnelID&in.mask == uint16(i) {
				x.in.programmed = append(x.in.programmed, p)
				any = true
			}
		}
		x.mu.Unlock()
		if any {
			x.ring()
		}
	}
}

func (in *Inboxes) notify(n notice) {
	x := in.of(n.ref.TunnelID)
	x.mu.Lock()
	x.in.notices = append(x.in.notices, n)
	x.mu.Unlock()
	x.ring()
}

func (in *Inboxes) call(shard int, f func(*Shard)) {
	x := &in.shards[shard]
	x.mu.Lock()
	x.in.calls = append(x.in.calls, f)
	x.mu.Unlock()
	x.ring()
}

func (in *Inboxes) of(tunnel uint16) *inbox { return &in.shards[tunnel&in.mask] }

// swap gives the owner what has come in, and takes an empty batch for it.
func (x *inbox) swap(b *batch) {
	x.mu.Lock()
	x.in, *b = *b, x.in
	x.mu.Unlock()
}

func (x *inbox) pending() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return !x.in.empty()
}

// controlClass tells messages that begin something from all others.
func controlClass(body []byte) class {
	switch t, _ := l2tp.PeekType(body); t {
	case l2tp.SCCRQ, l2tp.ICRQ, l2tp.OCRQ:
		return classSetup
	}
	return classControl
}
