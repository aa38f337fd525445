package dae

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"layeh.com/radius"

	"github.com/lnsd/lnsd/control/session"
)

// maxInFlight bounds the requests that are carried out at once. More are dropped, and
// come again.
const maxInFlight = 256

// Server answers requests.
type Server struct {
	cfg         Config
	identity    Identity
	identifiers map[radius.Type]identifier
	log         limited
	socket      *socket
	replays     *replays

	mu      sync.Mutex
	clients []*client

	slots  chan struct{}
	cancel context.CancelFunc
	ctx    context.Context
	wg     sync.WaitGroup
	counts counts
}

// Listen opens the socket and answers what comes in until Close.
func Listen(cfg Config) (*Server, error) {
	s, err := newServer(cfg)
	if err != nil {
		return nil, err
	}
	if s.socket, err = listen(cfg.Listen); err != nil {
		return nil, fmt.Errorf("dae: %w", err)
	}
	s.wg.Go(s.run)
	return s, nil
}

// newServer makes a server without a socket.
func newServer(cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Window == 0 {
		cfg.Window = defaultWindow
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{
		cfg: cfg, identifiers: identifiers(), replays: newReplays(cfg.Window),
		log: newLimited(cfg.Log), slots: make(chan struct{}, maxInFlight),
		identity: Identity{Identifier: cfg.NASIdentifier},
	}
	if a := cfg.NASAddress.Unmap(); a.Is4() {
		s.identity.Address = a
	} else {
		s.identity.Address6 = a
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.replaceClients(cfg.Clients)
	return s, nil
}

// Reload replaces the clients. What was seen of one whose name and secret stay is
// kept.
func (s *Server) Reload(clients []Client) error {
	c := Config{Policy: s.cfg.Policy, Sessions: s.cfg.Sessions, Log: s.cfg.Log, Clients: clients}
	if err := c.validate(); err != nil {
		return err
	}
	s.replaceClients(clients)
	return nil
}

// Addr is where requests are received.
func (s *Server) Addr() netip.AddrPort { return s.socket.addr() }

// run answers requests until the socket is closed.
func (s *Server) run() {
	buf := make([]byte, radius.MaxPacketLength+1)
	for {
		n, source, arrived, err := s.socket.receive(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			s.log.warn("RADIUS request not received", zap.Error(err))
			continue
		}
		if n > radius.MaxPacketLength {
			n = radius.MaxPacketLength // the rest is padding
		}
		s.receive(buf[:n], source, arrived)
	}
}

// Close stops receiving and waits for what is being carried out.
func (s *Server) Close() error {
	err := s.socket.close()
	s.cancel()
	s.wg.Wait()
	return err
}

// receive takes one datagram.
func (s *Server) receive(b []byte, source netip.AddrPort, arrived netip.Addr) {
	now := s.cfg.Now()
	source = netip.AddrPortFrom(source.Addr().Unmap().WithZone(""), source.Port())
	c := s.client(source.Addr())
	if c == nil {
		// No answer: it would tell who is here.
		s.counts.add(strangers)
		s.log.warn("RADIUS request of a stranger ignored", zap.Stringer("source", source))
		return
	}
	p, err := c.verify(b, now, s.cfg.Window, s.cfg.RequireTimestamp)
	if err != nil {
		s.counts.discard(err)
		c.seen.discarded.Add(1)
		s.log.warn("RADIUS request discarded", zap.String("client", c.Name), zap.Stringer("source", source), zap.Error(err))
		return
	}
	q := &request{Packet: p, client: c, source: source, arrived: arrived, cause: session.CauseAdminReset}
	key := requestKey{source.Addr(), byte(p.Code), p.Identifier, p.Authenticator}
	select {
	case s.slots <- struct{}{}:
	default:
		s.counts.add(overload)
		return
	}
	m, answer := s.replays.meet(key, now)
	if m == isNew {
		s.start(q, key)
		return
	}
	<-s.slots
	switch m {
	case isAnswered:
		s.counts.add(duplicates)
		s.reply(q, answer)
	case isBusy:
		s.counts.add(duplicates)
	case isTooMuch:
		s.counts.add(overload)
	}
}

// start carries a request out beside others, in the slot that it has.
func (s *Server) start(q *request, key requestKey) {
	s.counts.request(q)
	q.client.seen.requests.Add(1)
	s.wg.Go(func() {
		defer func() { <-s.slots }()
		if b := s.answer(q); b != nil {
			s.replays.answered(key, b)
			s.reply(q, b)
		}
	})
}

// answer carries a request out and builds the answer; nil when there is none.
func (s *Server) answer(q *request) []byte {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	no := s.handle(ctx, q)
	s.counts.answer(q, no)
	if no != nil {
		q.client.seen.refused.Add(1)
		s.log.warn("RADIUS request refused", append(q.fields(),
			zap.Uint32("error_cause", no.cause), zap.String("reason", no.reason))...)
	}
	b, err := answer(q.Packet, no, q.cause)
	if err != nil {
		s.log.warn("RADIUS answer not built", append(q.fields(), zap.Error(err))...)
		return nil
	}
	return b
}

func (s *Server) reply(q *request, b []byte) {
	if err := s.socket.send(b, q.source, q.arrived); err != nil && !errors.Is(err, net.ErrClosed) {
		s.log.warn("RADIUS answer not sent", zap.Stringer("client", q.source), zap.Error(err))
	}
}

// fields say who asked for whom. Values of other attributes may be secret.
func (q *request) fields() []zap.Field {
	f := []zap.Field{zap.String("client", q.client.Name), zap.Stringer("source", q.source), zap.Stringer("request", q.Code)}
	if t := &q.target; t.given {
		if t.User != "" {
			f = append(f, zap.String("user", t.User))
		}
		if t.AcctSessionID != "" {
			f = append(f, zap.String("acct", t.AcctSessionID))
		}
		if t.Address.IsValid() {
			f = append(f, zap.Stringer("address", t.Address))
		}
	}
	return f
}

func unsupportedType(t radius.Type) *refusal {
	return &refusal{unsupportedAttribute, "attribute " + typeText(t) + " is not supported"}
}

func typeText(t radius.Type) string { return strconv.Itoa(int(t)) }

// limited is a logger for lines that a packet can cause: of each message the first
// few per interval are written, the rest are left to the counters.
type limited struct{ log *zap.Logger }

func newLimited(log *zap.Logger) limited {
	return limited{log.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(c, 10*time.Second, 20, 0)
	}))}
}

func (l limited) warn(msg string, fields ...zap.Field) { l.log.Warn(msg, fields...) }
func (l limited) info(msg string, fields ...zap.Field) { l.log.Info(msg, fields...) }
