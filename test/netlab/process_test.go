package netlab

import (
	"errors"
	"testing"
	"time"
)

// TestWaitAfterTheEnd asks often, because the answer that this guards against
// came at random.
func TestWaitAfterTheEnd(t *testing.T) {
	failed := errors.New("exit status 1")
	p := &Process{name: "done", exited: make(chan struct{}), err: failed}
	close(p.exited)
	for range 1000 {
		if err := p.Wait(0); !errors.Is(err, failed) {
			t.Fatalf("Wait(0) of a program that has ended: %v", err)
		}
		time.Sleep(time.Microsecond)
	}
}
