package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/cli"
	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/login"
	"github.com/lnsd/lnsd/control/sshd"
	"github.com/lnsd/lnsd/control/telnet"
)

// shells are the operators' shells that the daemon runs itself. Who logs in may look;
// who knows the password for "enable" is an admin.
type shells struct {
	log    *zap.Logger
	users  string // the file; empty for none
	guard  *login.Guard
	local  *api.Local
	ssh    *sshd.Server
	telnet *telnet.Server
	sshLn  net.Listener
	telLn  net.Listener
	closed atomic.Bool
}

func openShells(c *config.Config, log *zap.Logger) (_ *shells, err error) {
	s := &shells{log: log, users: c.Files.Users, guard: login.NewGuard(), local: api.NewLocal()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if c.Shell.SSH.IsValid() || c.Shell.Telnet.IsValid() {
		s.warn()
	}
	if c.Shell.SSH.IsValid() {
		s.ssh, err = sshd.New(sshd.Config{
			HostKey: c.Shell.HostKey, AuthorizedKeys: c.Shell.AuthorizedKeys, Users: s.entries, Guard: s.guard, Serve: s.serve,
		}, log)
		if err != nil {
			return nil, err
		}
		if s.sshLn, err = net.Listen("tcp", c.Shell.SSH.String()); err != nil {
			return nil, fmt.Errorf("shell by SSH: %w", err)
		}
	}
	if c.Shell.Telnet.IsValid() {
		s.telnet = telnet.New(telnet.Config{Users: s.entries, Guard: s.guard, Serve: s.serve}, log)
		if s.telLn, err = net.Listen("tcp", c.Shell.Telnet.String()); err != nil {
			return nil, fmt.Errorf("shell by telnet: %w", err)
		}
	}
	return s, nil
}

func (s *shells) any() bool { return s.ssh != nil || s.telnet != nil }

// start serves until ctx ends.
func (s *shells) start(ctx context.Context, p *parts) {
	if s.ssh != nil {
		p.run(ctx, "shell by SSH", s.untilClosed(func() error { return s.ssh.Serve(s.sshLn) }))
	}
	if s.telnet != nil {
		p.run(ctx, "shell by telnet", s.untilClosed(func() error { return s.telnet.Serve(s.telLn) }))
	}
}

// untilClosed is a server that may end when the shells are closed, before ctx is.
func (s *shells) untilClosed(serve func() error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := serve()
		if s.closed.Load() {
			<-ctx.Done()
			return nil
		}
		return err
	}
}

// close ends every shell.
func (s *shells) close() error {
	if s == nil || s.closed.Swap(true) {
		return nil
	}
	// local is closed by the server that listens there.
	var errs []error
	if s.ssh != nil {
		errs = append(errs, ignoreClosed(s.ssh.Close()))
	}
	if s.telnet != nil {
		errs = append(errs, s.telnet.Close())
	}
	for _, ln := range []net.Listener{s.sshLn, s.telLn} {
		if ln != nil {
			errs = append(errs, ignoreClosed(ln.Close()))
		}
	}
	return errors.Join(errs...)
}

// entries are the users as the file has them now.
func (s *shells) entries() *login.Users {
	if s.users == "" {
		return &login.Users{}
	}
	u, _, err := login.Load(s.users)
	if err != nil {
		s.log.Error("nobody can log in with a password", zap.Error(err))
	}
	return u
}

// warn says what is wrong with the users file.
func (s *shells) warn() {
	if s.users == "" {
		s.log.Warn("there is no users file: nobody can log in with a password")
		return
	}
	u, problems, err := login.Load(s.users)
	if err != nil {
		s.log.Error("users file", zap.Error(err))
		return
	}
	for _, p := range problems {
		s.log.Warn("users file", zap.String("file", s.users), zap.Stringer("problem", p))
	}
	if !u.HasEnable() {
		s.log.Warn("the users file has no entry for enable: its users can look, and change nothing", zap.String("file", s.users))
	}
}

// serve is one operator's visit; it returns his exit status.
func (s *shells) serve(ctx context.Context, t *login.Terminal) int {
	who := fmt.Sprintf("%s by %s from %s", t.User, t.By, t.From)
	log := s.log.With(zap.String("user", t.User), zap.Stringer("from", t.From), zap.String("by", t.By))
	log.Info("operator logged in")
	defer log.Info("operator logged out")
	env := cli.ShellEnv{
		In: t, Out: t, Size: t.Size, Resized: t.Resized, Version: version, Where: "this daemon",
		Dial: func(is cli.Standing) (*api.Client, error) {
			rights := api.RoleRights("viewer")
			if is.Enabled {
				rights |= api.RoleRights("admin")
			}
			if is.Intercept {
				rights |= api.RoleRights("intercept")
			}
			return s.local.Dial(api.Caller{Name: who, Rights: rights})
		},
	}
	check := func(what string, passes func(*login.Users, string) bool) func(string) bool {
		return func(password string) bool {
			ok := s.guard.Check(ctx, t.From.Addr(), func() bool { return passes(s.entries(), password) })
			if ok {
				log.Info("operator gave the password", zap.String("for", what))
			} else {
				log.Warn("wrong password", zap.String("for", what))
			}
			return ok
		}
	}
	env.Enable, env.Intercept = check("enable", (*login.Users).CheckEnable), check("enable intercept", (*login.Users).CheckIntercept)
	if t.Command != "" {
		return cli.Exec(ctx, env, false, t.Command)
	}
	if err := cli.Shell(ctx, env); err != nil {
		log.Warn("shell", zap.Error(err))
		return 1
	}
	return 0
}
