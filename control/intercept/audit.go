package intercept

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/session"
)

// auditMode lets the owner alone read what was intercepted.
const auditMode = 0o600

// Audit writes down every start, change and end of an interception: a line of JSON
// each, in a file of its own. Its methods may be called from any goroutine.
type Audit struct {
	log *zap.Logger

	mu      sync.Mutex
	waiting []session.Interception
	closed  bool
	wake    chan struct{}
	stopped chan struct{}

	files sync.Mutex // guards file, before mu
	file  *os.File   // nil while there is none
}

// OpenAudit opens the log at path, made where it is missing; "" keeps none.
func OpenAudit(path string, log *zap.Logger) (*Audit, error) {
	a := &Audit{log: log, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	if err := a.Reopen(path); err != nil {
		return nil, err
	}
	go a.run()
	return a, nil
}

// Reopen goes on in the file at path, which another process may have put in the place
// of the former one. On an error it goes on in the former one.
func (a *Audit) Reopen(path string) error {
	var file *os.File
	if path != "" {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, auditMode)
		if err != nil {
			return err
		}
		if err := f.Chmod(auditMode); err != nil {
			return errors.Join(err, f.Close())
		}
		file = f
	}
	a.files.Lock()
	defer a.files.Unlock()
	old := a.file
	a.file = file
	if old != nil {
		return old.Close()
	}
	return nil
}

// Intercepted writes x down soon: it does not wait for the disk.
func (a *Audit) Intercepted(x session.Interception) {
	a.mu.Lock()
	a.waiting = append(a.waiting, x) // as many as operators and servers order
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Close writes what waits and closes the file.
func (a *Audit) Close() error {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
	<-a.stopped
	return a.Reopen("")
}

func (a *Audit) run() {
	defer close(a.stopped)
	for range a.wake {
		a.mu.Lock()
		list, closed := a.waiting, a.closed
		a.waiting = nil
		a.mu.Unlock()
		a.write(list)
		if closed {
			return
		}
	}
}

// entry is a line of the log.
type entry struct {
	At            time.Time       `json:"at"`
	Event         string          `json:"event"`
	User          string          `json:"user"`
	Slot          uint32          `json:"slot"`
	AcctSessionID string          `json:"acct_session_id"`
	From          *netip.AddrPort `json:"from"`
	To            *netip.AddrPort `json:"to"`
	By            string          `json:"by"`
}

func entryOf(x *session.Interception) entry {
	e := entry{At: x.At.UTC(), Event: "change", User: x.User, Slot: x.Slot, AcctSessionID: x.AcctSessionID, By: x.By}
	if x.By == "" {
		e.By = "end of session"
	}
	if x.From.IsValid() {
		e.From = &x.From
	} else {
		e.Event = "start"
	}
	if x.To.IsValid() {
		e.To = &x.To
	} else {
		e.Event = "stop"
	}
	return e
}

// write appends list and brings it to the disk. Without a file the log of the daemon
// tells that something was not written down, and nothing of whom it concerns.
func (a *Audit) write(list []session.Interception) {
	if len(list) == 0 {
		return
	}
	a.files.Lock()
	defer a.files.Unlock()
	if a.file == nil {
		a.log.Warn("interceptions began or ended and were not written down: intercept_log names no file", zap.Int("entries", len(list)))
		return
	}
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	var err error
	for i := range list {
		err = errors.Join(err, out.Encode(entryOf(&list[i])))
	}
	_, werr := a.file.Write(b.Bytes())
	if err = errors.Join(err, werr, a.file.Sync()); err != nil {
		a.log.Error("the audit log of interceptions was not written", zap.Error(err), zap.Int("entries", len(list)))
	}
}
