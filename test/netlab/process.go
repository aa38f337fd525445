package netlab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// lastWords is how long a program may take to print where it hangs.
const lastWords = 5 * time.Second

// Process is a program that runs inside a namespace. What it prints goes to a
// file, which Log reads.
type Process struct {
	name    string
	cmd     *exec.Cmd
	logPath string
	log     *os.File
	exited  chan struct{}
	once    sync.Once
	err     error
}

// Run starts a program in the namespace, its output going to the file at logPath.
func (n *Namespace) Run(logPath, name string, args ...string) (*Process, error) {
	log, err := os.Create(logPath)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	p := &Process{name: name, cmd: cmd, logPath: logPath, log: log, exited: make(chan struct{})}
	if err := n.Start(cmd); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), log.Close())
	}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// Exited is closed when the program has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// PID is the program's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal.
func (p *Process) Signal(sig syscall.Signal) error { return p.cmd.Process.Signal(sig) }

// Wait waits until the program has ended, at most for limit, and returns how it
// ended: nil for exit status 0. A program that has ended already has ended in
// time, even with a limit of 0.
func (p *Process) Wait(limit time.Duration) error {
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-p.exited:
		return p.err
	case <-late.C:
	}
	select { // both may have been ready, and then either is taken
	case <-p.exited:
		return p.err
	default:
		return fmt.Errorf("%s (process %d) is still running after %v", p.name, p.PID(), limit)
	}
}

// Stop sends sig, waits up to limit, then kills, with SIGABRT first: a Go program then
// prints where it hangs. It returns how the program ended. It may be called more than
// once.
func (p *Process) Stop(sig syscall.Signal, limit time.Duration) error {
	var err error
	p.once.Do(func() {
		select {
		case <-p.exited:
		default:
			_ = p.Signal(sig) // it may have ended meanwhile; Wait tells
		}
		if err = p.Wait(limit); err != nil {
			select {
			case <-p.exited:
			default:
				_ = p.Signal(syscall.SIGABRT)
				if p.Wait(lastWords) != nil {
					_ = p.Signal(syscall.SIGKILL)
				}
				<-p.exited
			}
		}
		err = errors.Join(err, p.log.Close())
	})
	return err
}

// Log returns what the program has printed so far.
func (p *Process) Log() string {
	b, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Until polls a condition until it holds, or gives up after limit with the last
// reason why not.
func Until(limit time.Duration, condition func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := condition()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %w", limit, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
