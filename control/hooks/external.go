package hooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/lnsd/lnsd/control/hooks/hookv1"
)

// How a program is kept running.
const (
	startLimit  = 10 * time.Second
	leastPause  = 100 * time.Millisecond // before it is started again
	mostPause   = 30 * time.Second
	steady      = time.Minute // after which its pause is the least again
	watchPeriod = 50 * time.Millisecond
	stopLimit   = 2 * time.Second
	// hungAfter calls in a row without an answer the program is ended.
	hungAfter = 3
)

var errNotRunning = errors.New("it does not run")

// external is a plugin that is a program of its own, kept running.
type external struct {
	External
	socket string
	log    *zap.Logger

	live     atomic.Pointer[process]
	wanted   atomic.Uint32          // eventSet, of the last process that ran
	trouble  atomic.Pointer[string] // why none runs
	restarts atomic.Uint64

	stop, done chan struct{}
}

// process is one life of the program.
type process struct {
	cmd     *exec.Cmd
	client  *plugin.Client
	hook    hookv1.HookClient
	version string
	// silent counts calls in a row without an answer; ended tells that they were too many.
	silent atomic.Uint32
	ended  atomic.Bool
}

// allEvents are wanted by a plugin that has not said yet what it wants: where it decides
// about logins, none is to slip by while it starts.
const allEvents = eventSet(1<<PreAuth | 1<<PostAuth | 1<<Control)

func startExternal(e External, socket string, log *zap.Logger) *external {
	x := &external{External: e, socket: socket, log: log, stop: make(chan struct{}), done: make(chan struct{})}
	x.wanted.Store(uint32(allEvents))
	go x.keep()
	return x
}

// keep runs the program until close, and starts it again when it ends.
//
// Its thread is never given back: what the program inherits from it is dropped here, and
// Linux ends the program when this very thread ends (PR_SET_PDEATHSIG).
func (x *external) keep() {
	defer close(x.done)
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		x.log.Warn("the plugin keeps lnsd's capabilities", zap.Error(err))
	}
	pause := leastPause
	for {
		began := time.Now()
		p, err := x.start()
		if err == nil {
			x.live.Store(p)
			x.trouble.Store(nil)
			x.log.Info("plugin runs", zap.String("version", p.version), zap.Int("pid", p.cmd.Process.Pid))
			err = x.watch(p)
			x.live.Store(nil)
			x.end(p)
		}
		if err == nil {
			return
		}
		text := err.Error()
		x.trouble.Store(&text)
		if time.Since(began) > steady {
			pause = leastPause
		}
		x.log.Warn("plugin does not run", zap.Error(err), zap.Duration("again_in", pause))
		select {
		case <-x.stop:
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, mostPause)
		x.restarts.Add(1)
	}
}

// start runs the program and asks what it is.
func (x *external) start() (*process, error) {
	cmd := exec.Command(x.Path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	output := &lines{log: x.log}
	p := &process{cmd: cmd, client: plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: hookv1.Handshake(), Plugins: plugin.PluginSet{hookv1.Name: &hookv1.Plugin{}},
		Cmd: cmd, AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC}, StartTimeout: startLimit,
		Logger: hclog.NewNullLogger(), Stderr: output, SyncStdout: io.Discard, SyncStderr: io.Discard,
	})}
	err := x.meet(p)
	if err != nil {
		x.end(p)
		return nil, err
	}
	return p, nil
}

func (x *external) meet(p *process) error {
	protocol, err := p.client.Client()
	if err != nil {
		return err
	}
	raw, err := protocol.Dispense(hookv1.Name)
	if err != nil {
		return err
	}
	p.hook = raw.(hookv1.HookClient)
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	d, err := p.hook.Describe(ctx, &hookv1.DescribeRequest{Socket: x.socket})
	if err != nil {
		return fmt.Errorf("it does not describe itself: %w", err)
	}
	p.version = d.Version
	var wanted eventSet
	for _, e := range d.Events {
		if e > 0 && Event(e) < events {
			wanted |= setOf(Event(e))
		}
	}
	x.wanted.Store(uint32(wanted))
	return nil
}

// watch waits for the end of a process; nil is that it is not wanted any more.
func (x *external) watch(p *process) error {
	t := time.NewTicker(watchPeriod)
	defer t.Stop()
	for {
		select {
		case <-x.stop:
			return nil
		case <-t.C:
		}
		switch {
		case p.ended.Load():
			return errors.New("it has not answered in time, and was ended")
		case p.client.Exited():
			return errors.New("it has ended by itself")
		}
	}
}

// end ends a process, whatever state it is in.
func (x *external) end(p *process) {
	if p.ended.Load() && p.cmd.Process != nil {
		_ = p.cmd.Process.Kill()
	}
	gone := make(chan struct{})
	go func() {
		p.client.Kill()
		close(gone)
	}()
	select {
	case <-gone:
		return
	case <-time.After(stopLimit):
	}
	if p.cmd.Process != nil {
		_ = p.cmd.Process.Kill()
	}
	<-gone
}

func (x *external) events() eventSet { return eventSet(x.wanted.Load()) }

func (x *external) close() {
	close(x.stop)
	<-x.done
}

func (x *external) view(v *View) {
	v.Restarts = x.restarts.Load()
	if p := x.live.Load(); p != nil {
		v.State, v.Version, v.PID = "running", p.version, p.cmd.Process.Pid
		return
	}
	v.State = "starting"
	if t := x.trouble.Load(); t != nil {
		v.State = *t
	}
}

// call asks the process that runs, if one does.
func (x *external) call(ctx context.Context, c *call) (Verdict, error) {
	p := x.live.Load()
	if p == nil {
		return OK, errNotRunning
	}
	v, err := p.ask(ctx, c)
	if err == nil {
		p.silent.Store(0)
		return verdictOf(v), nil
	}
	if ctx.Err() != nil && p.silent.Add(1) >= hungAfter {
		p.ended.Store(true)
	}
	return OK, err
}

// lines makes log lines of what a plugin writes to its standard error.
type lines struct {
	log   *zap.Logger
	begun time.Time
	n     int
}

// linesPerSecond bounds what a plugin can put into the log.
const linesPerSecond = 20

// Write takes whole lines, as go-plugin hands them over.
func (l *lines) Write(b []byte) (int, error) {
	if now := time.Now(); now.Sub(l.begun) > time.Second {
		l.begun, l.n = now, 0
	}
	if l.n++; l.n <= linesPerSecond {
		l.log.Info("plugin says", zap.ByteString("text", b[:min(len(b), 500)]))
	}
	return len(b), nil
}
