package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lnsd/lnsd/cli"
	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/apitest"
	"github.com/lnsd/lnsd/control/api/lnsv1"
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

// counted is a connection that counts what comes.
type counted struct {
	net.Conn
	n *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// between stands before a socket and counts what the daemon sends.
func between(t *testing.T, socket string, n *atomic.Int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "between.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			daemon, err := net.Dial("unix", socket)
			if err != nil {
				client.Close()
				continue
			}
			pass := func(to, from net.Conn) {
				_, _ = io.Copy(to, from) // ends when either end closes
				to.Close()
			}
			wg.Go(func() { pass(daemon, client) })
			wg.Go(func() { pass(client, counted{daemon, n}) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return path
}

// Of 60,000 sessions only those that a filter lets pass cross the wire.
func TestFiltersAreTheDaemons(t *testing.T) {
	var sent atomic.Int64
	path := between(t, apitest.Start(t, crowded(), now), &sent)
	rows := func(line string) int {
		t.Helper()
		sent.Store(0)
		var out bytes.Buffer
		env := cli.ShellEnv{Out: &out, Size: func() (int, int) { return 0, 0 }, Dial: func(cli.Standing) (*api.Client, error) { return api.Dial(path) }}
		if code := cli.Exec(context.Background(), env, false, line); code != 0 {
			t.Fatalf("%s: %d\n%s", line, code, out.String())
		}
		return strings.Count(out.String(), "@example")
	}
	if n := rows("show session"); n != manySessions || sent.Load() < 20*manySessions {
		t.Fatalf("%d rows in %d bytes", n, sent.Load())
	}
	if n := rows("show session | include user5999.@"); n != 10 || sent.Load() > 10_000 {
		t.Errorf("include: %d rows in %d bytes", n, sent.Load())
	}
	if n := rows("show session | exclude user[0-9]*[0-8]@ | exclude user.?.?.?.?@"); n != manySessions/10-1000 || sent.Load() > 600*(manySessions/10) {
		t.Errorf("exclude: %d rows in %d bytes", n, sent.Load())
	}
}

// While a client reads nothing, the daemon looks at no more sessions than fit on the
// way to it, and answers everybody else.
func TestSlowReaderHoldsNobodyUp(t *testing.T) {
	b := crowded()
	var batches atomic.Int32
	b.BeforeBatch = func() { batches.Add(1) }
	socket := apitest.Start(t, b, now)
	slow, err := api.Dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	stream, err := slow.Sessions(context.Background(), &lnsv1.SessionsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	// Others, and other calls of the same client, are answered.
	if out, code := lctl(socket, "show", "status"); code != 0 {
		t.Fatalf("%d\n%s", code, out)
	}
	if _, err := slow.Counters(context.Background(), &lnsv1.CountersRequest{}); err != nil {
		t.Fatal(err)
	}
	if n, all := batches.Load(), int32((manySessions+511)/512); n >= all {
		t.Errorf("all %d batches were looked at for nobody", n)
	}
	n := len(first.Sessions)
	for {
		reply, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n += len(reply.Sessions)
	}
	if n != manySessions {
		t.Errorf("%d sessions in the end", n)
	}
}
