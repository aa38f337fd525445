// Package terminal is a person at a terminal, for tests: types, and waits for what comes.
package terminal

import (
	"bytes"
	"fmt"
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
func (s *Screen) Sees(what string) (text string) {
	s.t.Helper()
	s.wait(fmt.Sprintf("%q does not come", what), func() bool {
		text = string(s.all.Bytes()[s.read:])
		i := strings.Index(text, what)
		if i < 0 {
			return false
		}
		text = text[:i+len(what)]
		s.read += len(text)
		return true
	})
	return text
}

// Ends waits for the end of the connection.
func (s *Screen) Ends() {
	s.t.Helper()
	s.wait("the terminal does not end", func() bool { return s.end })
}

// wait looks again whenever something came, and ends the test when nothing more can.
func (s *Screen) wait(failure string, done func() bool) {
	s.t.Helper()
	late := false
	timer := time.AfterFunc(patience, func() {
		s.mu.Lock()
		late = true
		s.more.Broadcast()
		s.mu.Unlock()
	})
	defer timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !done() {
		if s.end || late {
			s.t.Fatalf("%s; there is\n%s", failure, s.all.Bytes()[s.read:])
		}
		s.more.Wait()
	}
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
