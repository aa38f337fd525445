// Package dae serves RADIUS Dynamic Authorization (RFC 5176): CoA-Requests change
// sessions that are up, Disconnect-Requests end them. Nothing is acknowledged that
// has not taken effect.
//
//	receive ─▶ authentic? ─▶ seen before? ─▶ who is meant, what is asked ─▶ Sessions
//	 server.go   verify.go    replay.go        identify.go, handle.go          │
//	                                                 answer.go ◀── ACK or NAK ─┘
package dae

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"go.uber.org/zap"
	"layeh.com/radius"

	"github.com/lnsd/lnsd/control/session"
)

// Port is where requests are sent to (RFC 5176 section 2.3).
const Port = 3799

// Config is what a Server is made with. It is not changed afterwards.
type Config struct {
	// Listen is the address to receive on; an unspecified one is all of them, and
	// an answer then leaves from where its request arrived.
	Listen netip.AddrPort
	// Clients are who may ask; nobody else gets an answer.
	Clients []Client
	// NASIdentifier and NASAddress are what we call ourselves in other RADIUS
	// packets, for a request to match. Without NASAddress the one that the request
	// was sent to matches.
	NASIdentifier string
	NASAddress    netip.Addr
	// Window is how far an Event-Timestamp may be off, and for how long a request is
	// known again; 0 means 300 seconds (RFC 5176 section 6.3).
	Window time.Duration
	// RequireTimestamp drops requests without Event-Timestamp.
	RequireTimestamp bool
	// Several lets a request that matches several sessions go to all of them, all or
	// none; otherwise it is refused.
	Several bool

	Policy   Policy
	Sessions Sessions
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	Log *zap.Logger
}

// Client is one who may send requests.
type Client struct {
	Name string
	// Sources are the addresses that it sends from.
	Sources []netip.Prefix
	Secret  []byte
	// MessageAuthenticator says whether its requests must carry one.
	MessageAuthenticator Requirement
	// Intercept lets it order interceptions.
	Intercept bool
}

// Requirement says whether an attribute must be there.
type Requirement uint8

// The requirements.
const (
	// RequireOnceSeen: as soon as the client has sent one that is right.
	RequireOnceSeen Requirement = iota
	RequireAlways
	RequireNever
)

// Policy reads what a CoA-Request asks for. Attributes that identify the session are
// not its concern. unsupported are the types of those that can't be changed; err is
// for a value that can't be.
type Policy interface {
	Change(*radius.Packet) (c *session.Change, unsupported []radius.Type, err error)
}

// Sessions carries requests out. Both return when what was asked for is so, with the
// number of sessions, or with an error when nothing has changed.
type Sessions interface {
	Change(context.Context, session.Selector, *session.Change, session.ChangeOptions) (int, error)
	End(context.Context, session.Selector, session.ChangeOptions) (int, error)
}

const (
	defaultWindow = 300 * time.Second
	// patience is how long a request may take. Clients repeat theirs after some
	// seconds and find the answer waiting.
	patience = 10 * time.Second
)

func (c *Config) validate() error {
	if c.Policy == nil || c.Sessions == nil || c.Log == nil {
		return errors.New("dae: policy, sessions or log missing")
	}
	for _, x := range c.Clients {
		if len(x.Secret) == 0 {
			return fmt.Errorf("dae: client %s has no secret", x.Name)
		}
		if len(x.Sources) == 0 {
			return fmt.Errorf("dae: client %s has no address", x.Name)
		}
	}
	return nil
}
