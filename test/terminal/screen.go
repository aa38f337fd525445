// Package terminal is a person at a terminal, for tests: types, and waits for what comes.
package terminal

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a screen is looked at for what does not come.
const patience = 60 * time.Second

// Screen is what came over a connection to a terminal, and the way back.
type Screen struct {
	t    testing.TB
	keys io.Writer

	mu   sync.Mutex
	more *sync.Cond
	all  bytes.Buffer
	read int // how much of it was looked at
	end  bool
}

// Watch reads r until it ends; what is typed goes to keys.
func Watch(t testing.TB, r io.Reader, keys io.Writer) *Screen {
	s := &Screen{t: t, keys: keys}
	s.more = sync.NewCond(&s.mu)
	go func() {
		var b [4096]byte
		for {
			n, err := r.Read(b[:])
			s.mu.Lock()
			s.all.Write(b[:n])
			s.end = err != nil
			s.more.Broadcast()
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

// Types presses keys.
func (s *Screen) Types(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.keys, text); err != nil {
		s.t.Fatal(err)
	}
}

// Sees waits until something is on the screen, behind what was looked at before, and
// returns all that came until then.
func (s *Screen) Sees(what string) string {
	s.t.Helper()
	text, ok := s.look(what, patience)
	if !ok {
		s.t.Fatalf("%q does not come; there is\n%s", what, text)
	}
	return text
}

// Comes is Sees for something that need not come within a time.
func (s *Screen) Comes(what string, within time.Duration) bool {
	s.t.Helper()
	text, ok := s.look(what, within)
	if !ok && s.over() {
		s.t.Fatalf("%q does not come any more; there is\n%s", what, text)
	}
	return ok
}

// Ends waits for the end of the connection.
func (s *Screen) Ends() {
	s.t.Helper()
	const nothing = "\x00"
	if text, _ := s.look(nothing, patience); !s.over() {
		s.t.Fatalf("the terminal does not end; there is\n%s", text)
	}
}

// look waits for what, and returns the text up to its end, or all that there is.
func (s *Screen) look(what string, within time.Duration) (string, bool) {
	late := false
	timer := time.AfterFunc(within, func() {
		s.mu.Lock()
		late = true
		s.more.Broadcast()
		s.mu.Unlock()
	})
	defer timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		text := string(s.all.Bytes()[s.read:])
		if i := strings.Index(text, what); i >= 0 {
			s.read += i + len(what)
			return text[:i+len(what)], true
		}
		if s.end || late {
			return text, false
		}
		s.more.Wait()
	}
}

func (s *Screen) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

// Text is all that came.
func (s *Screen) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// Fatalf ends the test.
func (s *Screen) Fatalf(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf(format, args...)
}
