package telnet

import (
	"bytes"
	"net"
	"sync/atomic"
	"time"
)

// The commands and options of RFC 854, 857, 858 and 1073.
const (
	iac  = 255
	dont = 254
	do   = 253
	wont = 252
	will = 251
	sb   = 250
	se   = 240

	optEcho = 1
	optSGA  = 3
	optNAWS = 31
)

// stream is a connection without telnet's commands: Read gives keys, Write takes text.
type stream struct {
	conn    net.Conn
	idle    time.Duration // after which a silent terminal is dropped; 0 leaves it alone
	state   state
	sub     []byte // of a subnegotiation
	afterCR bool
	keys    []byte
	window  atomic.Uint32 // width and height
	resized chan struct{}
}

// state is where in a command the reader is.
type state int

const (
	inData state = iota
	inCommand
	inOption
	inSub
	inSubCommand
)

// maxSub bounds a subnegotiation.
const maxSub = 64

func newStream(c net.Conn, idle time.Duration) *stream {
	return &stream{conn: c, idle: idle, resized: make(chan struct{}, 1)}
}

// begin tells the client that we echo, that there are no turns (RFC 858), and asks for
// the size of the window.
func (t *stream) begin() error {
	_, err := t.conn.Write([]byte{iac, will, optEcho, iac, will, optSGA, iac, do, optNAWS})
	return err
}

func (t *stream) size() (width, height int) {
	w := t.window.Load()
	return int(w >> 16), int(w & 0xffff)
}

// Read reads keys.
func (t *stream) Read(p []byte) (int, error) {
	var b [512]byte
	for len(t.keys) == 0 {
		if t.idle > 0 {
			if err := t.conn.SetReadDeadline(time.Now().Add(t.idle)); err != nil {
				return 0, err
			}
		}
		n, err := t.conn.Read(b[:])
		for _, c := range b[:n] {
			t.take(c)
		}
		if err != nil && len(t.keys) == 0 {
			return 0, err
		}
	}
	n := copy(p, t.keys)
	t.keys = t.keys[n:]
	return n, nil
}

// take goes on by one byte from the client.
func (t *stream) take(c byte) {
	switch t.state {
	case inData:
		t.data(c)
	case inCommand:
		switch c {
		case iac:
			t.state = inData
			t.keys = append(t.keys, iac)
		case will, wont, do, dont:
			t.state = inOption // what it offers or refuses changes nothing for us
		case sb:
			t.state, t.sub = inSub, t.sub[:0]
		default:
			t.state = inData
		}
	case inOption:
		t.state = inData
	case inSub:
		switch {
		case c == iac:
			t.state = inSubCommand
		case len(t.sub) < maxSub:
			t.sub = append(t.sub, c)
		}
	case inSubCommand:
		switch {
		case c == iac && len(t.sub) < maxSub:
			t.state, t.sub = inSub, append(t.sub, iac)
		case c == se:
			t.state = inData
			t.negotiated()
		default:
			t.state = inSub
		}
	}
}

// data takes a byte that is none of telnet's own. The end of a line is CR LF or CR NUL
// (RFC 854); to a terminal both are the Enter key.
func (t *stream) data(c byte) {
	switch {
	case c == iac:
		t.state = inCommand
		return
	case t.afterCR && (c == '\n' || c == 0):
		t.afterCR = false
		return
	}
	t.afterCR = c == '\r'
	t.keys = append(t.keys, c)
}

// negotiated obeys a subnegotiation: the size of the window (RFC 1073).
func (t *stream) negotiated() {
	if len(t.sub) != 5 || t.sub[0] != optNAWS {
		return
	}
	t.window.Store(uint32(t.sub[1])<<24 | uint32(t.sub[2])<<16 | uint32(t.sub[3])<<8 | uint32(t.sub[4]))
	select {
	case t.resized <- struct{}{}:
	default:
	}
}

// Write writes text; a byte that would be a command is doubled.
func (t *stream) Write(p []byte) (int, error) {
	if _, err := t.conn.Write(bytes.ReplaceAll(p, []byte{iac}, []byte{iac, iac})); err != nil {
		return 0, err
	}
	return len(p), nil
}
