package ppp

import "encoding/binary"

// Out collects what a link wants done: send the frames, in order, then act on the
// events, in order. Frames begin with the protocol field in full, after FF 03 when
// the link is to use it (LCP always does); they go behind an L2TP data header.
// Nothing in it may be kept past Reset.
type Out struct {
	Send   [][]byte
	Events []Event
	// Trace, set by the owner, asks for Steps, which serve traces alone; it outlives a
	// Reset.
	Trace bool
	Steps []Step
	// arena holds the bytes of Send and of the credentials. It only grows by
	// append, so slices into an outgrown array stay what they were.
	arena []byte
	// naks and rejects are the two possible answers to a Configure-Request while
	// its options are looked at, and scratch for comparing with our own request.
	naks, rejects []byte
}

// Reset empties o and keeps its memory.
func (o *Out) Reset() {
	o.Send, o.Events, o.Steps, o.arena = o.Send[:0], o.Events[:0], o.Steps[:0], o.arena[:0]
}

func (o *Out) event(e Event) { o.Events = append(o.Events, e) }

// keep copies b to where it lives until Reset.
func (o *Out) keep(b []byte) []byte {
	start := len(o.arena)
	o.arena = append(o.arena, b...)
	return o.arena[start:len(o.arena):len(o.arena)]
}

// builder is a control packet under construction at the end of the arena.
type builder struct {
	out *Out
	// frame and packet are the offsets of the frame and of the packet's Code.
	frame, packet int
}

// build begins a packet. bare leaves out address and control.
func (o *Out) build(p Protocol, bare bool, code, id uint8) builder {
	b := builder{out: o, frame: len(o.arena)}
	if !bare {
		o.arena = append(o.arena, allStations, unnumbered)
	}
	// Every protocol sent from here has a first octet that is not zero, so
	// Protocol-Field-Compression never applies (RFC 1661 section 6.5).
	o.arena = binary.BigEndian.AppendUint16(o.arena, uint16(p))
	b.packet = len(o.arena)
	o.arena = append(o.arena, code, id, 0, 0)
	return b
}

func (b builder) bytes(data ...byte) builder {
	b.out.arena = append(b.out.arena, data...)
	return b
}

func (b builder) text(s string) builder {
	b.out.arena = append(b.out.arena, s...)
	return b
}

func (b builder) uint32(v uint32) builder {
	b.out.arena = binary.BigEndian.AppendUint32(b.out.arena, v)
	return b
}

// send closes the packet, cut to at most limit bytes, and queues its frame.
func (b builder) send(limit uint16) {
	a := b.out.arena
	if over := len(a) - b.packet - int(limit); over > 0 {
		a = a[:len(a)-over]
		b.out.arena = a
	}
	binary.BigEndian.PutUint16(a[b.packet+2:], uint16(len(a)-b.packet))
	b.out.Send = append(b.out.Send, a[b.frame:len(a):len(a)])
}
