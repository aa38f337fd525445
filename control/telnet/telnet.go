// Package telnet lets operators in by telnet, where somebody insists on it: nothing is
// encrypted, passwords included.
package telnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/login"
)

const (
	maxConns     = 8
	maxTries     = 3
	loginTimeout = 2 * time.Minute
	idleTimeout  = 2 * time.Hour
	maxLine      = 256
)

// Config says who is let in, and to what.
type Config struct {
	Users func() *login.Users
	Guard *login.Guard
	Serve func(context.Context, *login.Terminal) int
}

// Server is a telnet server.
type Server struct {
	config Config
	log    *zap.Logger
	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
	ln    net.Listener
}

// New makes a server.
func New(c Config, log *zap.Logger) *Server {
	s := &Server{config: c, log: log, conns: map[net.Conn]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Serve answers on ln until Close.
func (s *Server) Serve(ln net.Listener) error {
	s.mu.Lock()
	s.ln = ln
	s.mu.Unlock()
	for {
		c, err := ln.Accept()
		switch {
		case s.ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			return nil
		case err != nil:
			return err
		}
		s.mu.Lock()
		full := len(s.conns) >= maxConns
		if !full {
			s.conns[c] = true
		}
		s.mu.Unlock()
		if full {
			c.Close()
			continue
		}
		s.group.Go(func() {
			defer func() {
				c.Close()
				s.mu.Lock()
				delete(s.conns, c)
				s.mu.Unlock()
			}()
			s.talk(c)
		})
	}
}

// Close ends the server and every shell.
func (s *Server) Close() error {
	s.cancel()
	s.mu.Lock()
	if s.ln != nil {
		s.ln.Close()
	}
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.group.Wait()
	return nil
}

// talk serves one connection.
func (s *Server) talk(c net.Conn) {
	from, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	t := newStream(c, idleTimeout)
	if err := t.begin(); err != nil {
		return
	}
	if c.SetReadDeadline(time.Now().Add(loginTimeout)) != nil {
		return
	}
	t.idle = 0 // the time for the login does not begin anew with each key
	user, ok := s.login(t, from)
	if !ok {
		return
	}
	t.idle = idleTimeout
	s.config.Serve(s.ctx, &login.Terminal{
		Reader: t, Writer: t, User: user, By: "telnet", From: from, Size: t.size, Resized: t.resized,
	})
}

func (s *Server) login(t *stream, from netip.AddrPort) (string, bool) {
	for range maxTries {
		name, err := t.ask("Username: ", true)
		if err != nil {
			return "", false
		}
		password, err := t.ask("Password: ", false)
		if err != nil {
			return "", false
		}
		if s.config.Guard.Check(s.ctx, from.Addr(), func() bool { return s.config.Users().Check(name, password) }) {
			return name, true
		}
		s.log.Warn("wrong password", zap.String("user", name), zap.Stringer("from", from), zap.String("by", "telnet"))
		if _, err := io.WriteString(t, "Login incorrect\r\n"); err != nil {
			return "", false
		}
	}
	return "", false
}

var errLongLine = errors.New("telnet: line too long")

// ask reads a line that is echoed, or is not.
func (t *stream) ask(prompt string, echo bool) (string, error) {
	if _, err := io.WriteString(t, prompt); err != nil {
		return "", err
	}
	var line bytes.Buffer
	for {
		var b [1]byte
		if _, err := t.Read(b[:]); err != nil {
			return "", err
		}
		switch c := b[0]; {
		case c == '\r' || c == '\n':
			_, err := io.WriteString(t, "\r\n")
			return strings.TrimSpace(line.String()), err
		case c == 0x7f || c == '\b':
			if line.Len() > 0 {
				line.Truncate(line.Len() - 1)
				if echo {
					_, _ = io.WriteString(t, "\b \b")
				}
			}
		case c == 3 || c == 4:
			return "", io.EOF
		case c < ' ':
		default:
			if line.WriteByte(c); line.Len() > maxLine {
				return "", errLongLine
			}
			if echo {
				_, _ = t.Write(b[:])
			}
		}
	}
}
