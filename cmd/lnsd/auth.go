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
	"github.com/lnsd/lnsd/control/radius/policy"
	"github.com/lnsd/lnsd/control/secrets"
	"github.com/lnsd/lnsd/control/session"
)

// subscribers is who knows the subscribers and takes their accounting: RADIUS where
// a server is configured, else the chap-secrets file. Unused parts are nil.
type subscribers struct {
	radius  *radius.Client
	secrets *secrets.Store

	accounting bool
	// acctID names the daemon's own Accounting-On and -Off, which RFC 2866 section
	// 5.5 wants an Acct-Session-Id in.
	acctID string
	on     bool
}

func openSubscribers(c *config.Config, epoch uint32, done func(*session.AuthResult), log *zap.Logger) (*subscribers, error) {
	s := &subscribers{acctID: fmt.Sprintf("%08x", epoch), accounting: c.RADIUS.Accounting}
	if servers := c.RADIUS.Servers(); len(servers) > 0 {
		client, err := radius.New(radiusConfig(c, servers, log), done)
		if err != nil {
			return nil, err
		}
		s.radius, s.on = client, c.RADIUS.AccountingOn && c.RADIUS.Accounting
		if s.on {
			client.On(s.acctID, time.Now())
		}
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

func radiusConfig(c *config.Config, servers []config.RADIUSServer, log *zap.Logger) radius.Config {
	r := radius.Config{
		PortMin: c.RADIUS.BindMin, PortMax: c.RADIUS.BindMax,
		NASIdentifier:     c.Hostname,
		InitialRetransmit: c.RADIUS.Timeout,
		DeadTime:          c.RADIUS.DeadTime,
		Log:               log,
	}
	if c.L2TP.BindAddress.IsValid() {
		r.NASAddress = c.L2TP.BindAddress
	}
	// A silent server must not cost a subscriber more than a second try: the next one
	// is asked soon after that. With one server, or none that answers, the request is
	// given up after the configured repetitions, each after twice the wait before.
	r.FailoverAfter = 5 * c.RADIUS.Timeout / 4
	var patience time.Duration
	for wait, i := c.RADIUS.Timeout, 0; i <= c.RADIUS.Retries; wait, i = 2*wait, i+1 {
		patience += wait
	}
	r.AuthTimeout = min(max(patience, time.Duration(len(servers)+1)*r.FailoverAfter), c.Sessions.SetupTimeout)
	if r.DeadTime == 0 {
		r.DeadTime = time.Nanosecond // the client takes 0 for "not given"
	}
	r.Policy = policy.Config{ZeroTimeoutRejects: c.Sessions.KillTimedOut, Presets: policy.Presets()}
	rule := radius.RequireAuto
	switch c.RADIUS.MessageAuthenticator {
	case config.Yes:
		rule = radius.RequireYes
	case config.No:
		rule = radius.RequireNo
	}
	for _, s := range servers {
		r.Servers = append(r.Servers, radius.Server{
			Addr: s.Auth.Addr(), AuthPort: s.Auth.Port(), AcctPort: s.Acct.Port(),
			Secret: []byte(c.RADIUS.Secret.Reveal()), MessageAuthenticator: rule,
		})
	}
	return r
}

func (s *subscribers) authenticator() engine.Authenticator {
	if s.radius != nil {
		return s.radius
	}
	return s.secrets
}

func (s *subscribers) accountant() engine.Accountant {
	if s.radius != nil && s.accounting {
		return s.radius
	}
	return noAccounting{}
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

// close delivers what is queued, as long as ctx lasts.
func (s *subscribers) close(ctx context.Context) error {
	if s.radius == nil {
		return nil
	}
	if s.on {
		s.radius.Off(s.acctID, time.Now())
	}
	return s.radius.Close(ctx)
}

// noAccounting is for servers without accounting.
type noAccounting struct{}

func (noAccounting) Account(*session.AcctRecord) bool { return true }
