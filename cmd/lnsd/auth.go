package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/radius"
	"github.com/lnsd/lnsd/control/secrets"
	"github.com/lnsd/lnsd/control/session"
)

// subscribers is who knows the subscribers and takes their accounting: RADIUS where
// a server is configured, else the chap-secrets file. Unused parts are nil.
type subscribers struct {
	radius  *radius.Router
	secrets *secrets.Store

	// acctID names the daemon's own Accounting-On and -Off, which RFC 2866 section
	// 5.5 wants an Acct-Session-Id in.
	acctID string
	on     bool
}

// openSubscribers connects to who answers to done about subscribers. accounted is told
// what became of accounting records.
func openSubscribers(c *config.Config, epoch uint32, done func(*session.AuthResult),
	accounted func(*session.AcctRecord, error), log *zap.Logger) (*subscribers, error) {
	s := &subscribers{acctID: fmt.Sprintf("%08x", epoch)}
	if groups := c.ServerGroups(); len(groups) > 0 {
		cfg := routerConfig(c, groups, log)
		for i := range cfg.Groups {
			cfg.Groups[i].Accounted = accounted
		}
		client, err := radius.NewRouter(cfg, done)
		if err != nil {
			return nil, err
		}
		s.radius, s.on = client, c.RADIUS.AccountingOn && c.RADIUS.Accounting
		return s, nil
	}
	store, err := openSecrets(c, done)
	if err != nil {
		return nil, err
	}
	s.secrets = store
	return s, nil
}

// openSecrets reads the subscribers' file, which must exist where there is no RADIUS.
func openSecrets(c *config.Config, done func(*session.AuthResult)) (*secrets.Store, error) {
	if c.Files.ChapSecrets == "" {
		return nil, errors.New("nobody can log in: set primary_radius, or put a chap-secrets file beside the startup-config")
	}
	return secrets.Open(c.Files.ChapSecrets, c.Hostname, done)
}

func (s *subscribers) authenticator() engine.Authenticator {
	if s.radius != nil {
		return s.radius
	}
	return s.secrets
}

// announce tells the accounting server that we have started and that no session of
// an earlier process goes on.
func (s *subscribers) announce() {
	if s.on {
		s.radius.On(s.acctID, time.Now())
	}
}

// reload reads the subscribers' file again; with RADIUS there is none.
func (s *subscribers) reload(c *config.Config) error {
	if s.secrets == nil || c.Files.ChapSecrets == "" {
		return nil
	}
	return s.secrets.Reload(c.Files.ChapSecrets)
}

func (s *subscribers) counts() []session.Count {
	if s.radius != nil {
		return s.radius.Counts()
	}
	return s.secrets.Counts()
}

func (s *subscribers) servers() []session.AuthServerView {
	if s.radius != nil {
		return s.radius.Servers()
	}
	return nil
}

// close ends the client. Accounting-Off says that all sessions have ended.
func (s *subscribers) close(ctx context.Context) error {
	if s.radius == nil {
		return nil
	}
	if s.on {
		s.radius.Off(s.acctID, time.Now())
	}
	return s.radius.Close(ctx)
}

// leave ends the client without a word about the sessions, which go on.
func (s *subscribers) leave(ctx context.Context) error {
	if s.radius == nil {
		return nil
	}
	return s.radius.Close(ctx)
}
