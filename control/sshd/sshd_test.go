package sshd

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	gossh "golang.org/x/crypto/ssh"

	"github.com/lnsd/lnsd/control/login"
)

// pauses is a clock that stands, and what a guard makes those wait who guess.
type pauses struct {
	mu  sync.Mutex
	all []time.Duration
}

func (p *pauses) wait(_ context.Context, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, d)
}

func (p *pauses) take() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.all
	p.all = nil
	return all
}

// Whoever guesses passwords over SSH waits longer from try to try, over connections, and
// each try is in the log.
func TestGuessersGetSlower(t *testing.T) {
	users, _ := login.Parse("alice:wonderland\n")
	now := time.Unix(1e9, 0)
	var p pauses
	core, logs := observer.New(zap.WarnLevel)
	s, err := New(Config{
		HostKey: filepath.Join(t.TempDir(), "key"), Users: func() *login.Users { return users },
		Guard: login.NewGuardWith(func() time.Time { return now }, p.wait),
		Serve: func(context.Context, *login.Terminal) int { return 0 },
	}, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	try := func(passwords ...string) error {
		next := func() (string, error) {
			first := passwords[0]
			passwords = passwords[1:]
			return first, nil
		}
		c, err := gossh.Dial("tcp", ln.Addr().String(), &gossh.ClientConfig{
			User: "alice", HostKeyCallback: gossh.InsecureIgnoreHostKey(), Timeout: time.Minute,
			Auth: []gossh.AuthMethod{gossh.RetryableAuthMethod(gossh.PasswordCallback(next), len(passwords))},
		})
		if err == nil {
			c.Close()
		}
		return err
	}
	seconds := func(ns ...int) (ds []time.Duration) {
		for _, n := range ns {
			ds = append(ds, time.Duration(n)*time.Second)
		}
		return ds
	}
	if err := try("a", "b", "c"); err == nil {
		t.Error("a guess gets in")
	}
	if got, want := p.take(), seconds(1, 1, 1, 2, 1); !slices.Equal(got, want) {
		t.Errorf("three guesses wait %v, want %v", got, want)
	}
	if err := try("d"); err == nil {
		t.Error("a guess gets in")
	}
	if got, want := p.take(), seconds(4, 1); !slices.Equal(got, want) {
		t.Errorf("the next connection waits %v, want %v", got, want)
	}
	if err := try("wonderland"); err != nil {
		t.Error(err)
	}
	if got, want := p.take(), seconds(8); !slices.Equal(got, want) {
		t.Errorf("the right password waits %v, want %v", got, want)
	}
	if err := try("wonderland"); err != nil || len(p.take()) != 0 {
		t.Errorf("whoever knows the password waits: %v", err)
	}
	wrong := logs.FilterMessage("wrong password").All()
	if len(wrong) != 4 || wrong[0].ContextMap()["user"] != "alice" {
		t.Errorf("the log has %v", logs.All())
	}
}
