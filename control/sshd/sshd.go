// Package sshd lets operators in by SSH: with a password of the users file, or with a
// key that is authorized. All they get is the daemon's own shell; nothing is forwarded,
// and no program is run.
package sshd

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/gliderlabs/ssh"
	"go.uber.org/zap"
	gossh "golang.org/x/crypto/ssh"

	"github.com/lnsd/lnsd/control/login"
)

const (
	// maxConns bounds the connections, those that have not logged in included.
	maxConns = 32
	// handshakeTimeout is for who connects and does not log in; it outlasts the pauses
	// after wrong passwords.
	handshakeTimeout = 2 * time.Minute
	idleTimeout      = 2 * time.Hour
	maxTries         = 3
	maxKeys          = 1 << 20 // bytes of authorized keys
)

// Config says who is let in, and to what.
type Config struct {
	// HostKey is the file of our key, which is made if it is not there.
	HostKey string
	// AuthorizedKeys is a file as OpenSSH has it, which is read at each login; empty or
	// missing for no keys.
	AuthorizedKeys string
	// Users is asked at each login.
	Users func() *login.Users
	Guard *login.Guard
	// Serve is the shell; it returns the exit status.
	Serve func(context.Context, *login.Terminal) int
}

// Server is an SSH server.
type Server struct {
	config Config
	log    *zap.Logger
	ssh    *ssh.Server
	conns  atomic.Int32
}

// New makes a server, and its key if there is none yet.
func New(c Config, log *zap.Logger) (*Server, error) {
	signer, err := hostKey(c.HostKey)
	if err != nil {
		return nil, fmt.Errorf("the key of the SSH server: %w", err)
	}
	s := &Server{config: c, log: log}
	s.ssh = &ssh.Server{
		Version: "lnsd", IdleTimeout: idleTimeout,
		Handler:          s.session,
		PasswordHandler:  s.password,
		PublicKeyHandler: s.key,
		ConnCallback:     s.connection,
		ServerConfigCallback: func(ssh.Context) *gossh.ServerConfig {
			return &gossh.ServerConfig{MaxAuthTries: maxTries}
		},
		// Nothing but sessions: no forwarding, no subsystems.
		ChannelHandlers:   map[string]ssh.ChannelHandler{"session": ssh.DefaultSessionHandler},
		SubsystemHandlers: map[string]ssh.SubsystemHandler{},
	}
	s.ssh.AddHostKey(signer)
	return s, nil
}

// Serve answers on ln until Close.
func (s *Server) Serve(ln net.Listener) error {
	if err := s.ssh.Serve(ln); !errors.Is(err, ssh.ErrServerClosed) {
		return err
	}
	return nil
}

// Close ends the server and every shell.
func (s *Server) Close() error { return s.ssh.Close() }

// connection bounds how many there are, and for how long one may not log in.
func (s *Server) connection(ctx ssh.Context, c net.Conn) net.Conn {
	if s.conns.Add(1) > maxConns {
		s.conns.Add(-1)
		s.log.Warn("too many SSH connections", zap.Stringer("from", c.RemoteAddr()))
		return nil
	}
	context.AfterFunc(ctx, func() { s.conns.Add(-1) })
	timer := time.AfterFunc(handshakeTimeout, func() { c.Close() })
	ctx.SetValue(timerKey{}, timer)
	return c
}

type timerKey struct{}

func address(a net.Addr) netip.AddrPort {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

func (s *Server) password(ctx ssh.Context, password string) bool {
	from, name := address(ctx.RemoteAddr()), ctx.User()
	ok := s.config.Guard.Check(ctx, from.Addr(), func() bool { return s.config.Users().Check(name, password) })
	if !ok {
		s.log.Warn("wrong password", zap.String("user", name), zap.Stringer("from", from), zap.String("by", "ssh"))
	}
	return ok
}

// key reports whether a key is authorized.
func (s *Server) key(ctx ssh.Context, key ssh.PublicKey) bool {
	if s.config.AuthorizedKeys == "" {
		return false
	}
	info, err := os.Stat(s.config.AuthorizedKeys)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false
	case err == nil && info.Mode().Perm()&0o022 != 0:
		s.log.Warn("authorized keys are not used: others may write them", zap.String("file", s.config.AuthorizedKeys))
		return false
	case err == nil && info.Size() > maxKeys:
		return false
	}
	text, err := os.ReadFile(s.config.AuthorizedKeys)
	if err != nil {
		s.log.Warn("authorized keys", zap.Error(err))
		return false
	}
	for len(text) > 0 {
		known, comment, _, rest, err := gossh.ParseAuthorizedKey(text)
		if err != nil {
			return false
		}
		if ssh.KeysEqual(known, key) {
			s.log.Info("key accepted", zap.String("user", ctx.User()), zap.String("key", comment), zap.Stringer("from", address(ctx.RemoteAddr())))
			return true
		}
		text = rest
	}
	return false
}

// session is a shell, or one command.
func (s *Server) session(c ssh.Session) {
	if t, ok := c.Context().Value(timerKey{}).(*time.Timer); ok {
		t.Stop()
	}
	t := &login.Terminal{
		Reader: c, Writer: c, User: c.User(), By: "ssh", From: address(c.RemoteAddr()), Command: c.RawCommand(),
		Size: func() (int, int) { return 0, 0 },
	}
	if pty, windows, ok := c.Pty(); ok {
		size := &atomic.Pointer[ssh.Window]{}
		size.Store(&pty.Window)
		resized := make(chan struct{}, 1)
		go func() {
			for w := range windows {
				size.Store(&w)
				select {
				case resized <- struct{}{}:
				default:
				}
			}
		}()
		t.Size, t.Resized = func() (int, int) { w := size.Load(); return w.Width, w.Height }, resized
	}
	// The client sees the status, or is gone.
	_ = c.Exit(s.config.Serve(c.Context(), t))
}

// hostKey reads our key, or makes one.
func hostKey(path string) (gossh.Signer, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeKey(path)
	}
	if err != nil {
		return nil, err
	}
	return gossh.ParsePrivateKey(text)
}

func makeKey(path string) ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := gossh.MarshalPrivateKey(private, "lnsd")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(block)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(text)
	return text, errors.Join(err, f.Close())
}
