package cli

import (
	"io"
	"sync"
)

// What the keys send, and what the line editor understands.
const (
	keyInterrupt = 0x03 // ^C
	keySuspend   = 0x1a // ^Z
	// clearLine empties the line that is being edited: ^E goes to its end, ^U erases
	// what is before.
	clearLine = "\x05\x15"
)

// keyboard is where keys come from. ^C ends the command that runs, and empties the line
// when none does; ^Z leaves the configuration.
type keyboard struct {
	mu        sync.Mutex
	more      *sync.Cond
	buf       []byte
	err       error
	interrupt func() // ends what runs, nil for nothing
	waiting   bool   // a key is waited for
	// interrupted: what runs was told to end, and is not to wait for keys any more.
	interrupted bool
}

func newKeyboard(r io.Reader) *keyboard {
	k := &keyboard{}
	k.more = sync.NewCond(&k.mu)
	go k.pump(r)
	return k
}

// pump reads ahead, since ^C is to work while nobody reads.
func (k *keyboard) pump(r io.Reader) {
	var b [256]byte
	for {
		n, err := r.Read(b[:])
		k.mu.Lock()
		for _, c := range b[:n] {
			k.take(c)
		}
		if err != nil {
			k.err = err
			if k.interrupt != nil {
				k.interrupt()
			}
		}
		k.more.Broadcast()
		k.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (k *keyboard) take(c byte) {
	switch {
	case c == keyInterrupt && k.interrupt != nil:
		k.interrupt()
		k.interrupted = true
		k.buf = k.buf[:0] // what was typed ahead is not meant any more
		if k.waiting {
			k.buf = append(k.buf, keyInterrupt)
		}
	case c == keyInterrupt:
		k.buf = append(k.buf, clearLine+"\r"...)
	case c == keySuspend:
		k.buf = append(k.buf, clearLine+"end\r"...)
	default:
		k.buf = append(k.buf, c)
	}
}

// Read gives keys to the line editor.
func (k *keyboard) Read(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.buf) == 0 && k.err == nil {
		k.more.Wait()
	}
	if len(k.buf) == 0 {
		return 0, k.err
	}
	n := copy(p, k.buf)
	k.buf = k.buf[n:]
	return n, nil
}

// key waits for one key.
func (k *keyboard) key() (byte, error) {
	k.mu.Lock()
	if k.interrupted {
		k.mu.Unlock()
		return keyInterrupt, nil
	}
	k.waiting = true
	k.mu.Unlock()
	var b [1]byte
	_, err := k.Read(b[:])
	k.mu.Lock()
	k.waiting = false
	k.mu.Unlock()
	return b[0], err
}

// onInterrupt says what ^C does.
func (k *keyboard) onInterrupt(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.interrupt, k.interrupted = f, false
	if f != nil && k.err != nil {
		f()
	}
}

// open reports whether more keys can come.
func (k *keyboard) open() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err == nil
}
