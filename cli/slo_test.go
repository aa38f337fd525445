package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lnsd/lnsd/cli"
	"github.com/lnsd/lnsd/control/api/apitest"
	"github.com/lnsd/lnsd/control/session"
)

const manySessions = 60_000

func crowded() *apitest.Backend {
	b := &apitest.Backend{Batch: 512}
	for i := range uint32(manySessions) {
		b.SessionList = append(b.SessionList, session.View{
			Ref: session.Ref{TunnelID: 7, SessionID: uint16(i + 1)}, Slot: i, State: "up", User: fmt.Sprintf("user%d@example", i), UserVerified: true,
		})
	}
	return b
}

// firstRow closes seen with the first row that is written.
type firstRow struct {
	bytes.Buffer
	seen chan struct{}
	once sync.Once
}

func (w *firstRow) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if bytes.Contains(w.Bytes(), []byte("user0@example")) {
		w.once.Do(func() { close(w.seen) })
	}
	return n, err
}

// Of 60,000 sessions the first row is there before the daemon has looked at the last.
func TestFirstRowComesAtOnce(t *testing.T) {
	b := crowded()
	out := &firstRow{seen: make(chan struct{})}
	batches := 0
	b.BeforeBatch = func() {
		if batches++; batches == 3 {
			select {
			case <-out.seen:
			case <-time.After(30 * time.Second):
				t.Error("the daemon is asked for the third batch, and no row is shown yet")
			}
		}
	}
	code := cli.Run(context.Background(), cli.Env{Out: out, Err: out, Socket: apitest.Start(t, b, now)}, []string{"show", "session"})
	if rows := strings.Count(out.String(), "\n"); code != 0 || rows != manySessions+1 {
		t.Errorf("%d lines, code %d", rows, code)
	}
	if want := (manySessions + 511) / 512; batches != want {
		t.Errorf("%d batches, want %d", batches, want)
	}
}

// An operator who has seen enough ends the work of the daemon, too.
func TestPagerEndsTheList(t *testing.T) {
	b := crowded()
	var batches atomic.Int32
	b.BeforeBatch = func() { batches.Add(1) }
	o := sit(t, b, 24)
	o.Sees("> ")
	o.Types("show session\r")
	o.Sees("--More--")
	o.Types("q")
	o.Sees("> ")
	before := batches.Load()
	o.Types("show session | include user5999.@\r")
	if text := o.Sees("> "); strings.Count(text, "@example") != 10 {
		t.Errorf("the filter shows\n%s", text)
	}
	if all := int32((manySessions + 511) / 512); before >= all {
		t.Errorf("the daemon has looked at all %d batches for a page", before)
	}
	o.Types("exit\r")
	o.Ends()
}
