package dae

import (
	"net/netip"
	"sync/atomic"

	"github.com/lnsd/lnsd/control/session"
)

// replaceClients puts the configured clients in place. What was seen of one whose
// name and secret stay is kept.
func (s *Server) replaceClients(configured []Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.clients
	s.clients = make([]*client, 0, len(configured))
	for _, c := range configured {
		n := &client{Client: c}
		for _, o := range old {
			if o.Name == c.Name && string(o.Secret) == string(c.Secret) {
				n.signs.Store(o.signs.Load())
				n.seen.take(&o.seen)
			}
		}
		s.clients = append(s.clients, n)
	}
}

func (s *Server) client(source netip.Addr) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return find(s.clients, source)
}

// clientCounts are what was seen of one client.
type clientCounts struct {
	requests, refused, discarded atomic.Uint64
}

func (c *clientCounts) take(o *clientCounts) {
	c.requests.Store(o.requests.Load())
	c.refused.Store(o.refused.Load())
	c.discarded.Store(o.discarded.Load())
}

// ClientView is a client as shown to an operator.
type ClientView struct {
	Name    string
	Sources []netip.Prefix
	// Signs is true once it has sent a valid Message-Authenticator.
	Signs, Intercept bool
	// Requests are those carried out or refused; repetitions are not counted again.
	Requests, Refused, Discarded uint64
}

// Clients shows the clients in the order of the configuration.
func (s *Server) Clients() []ClientView {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []ClientView
	for _, c := range s.clients {
		out = append(out, ClientView{
			Name: c.Name, Sources: c.Sources, Signs: c.signs.Load(), Intercept: c.Intercept,
			Requests: c.seen.requests.Load(), Refused: c.seen.refused.Load(), Discarded: c.seen.discarded.Load(),
		})
	}
	return out
}

// counter names one of a server's counts.
type counter uint8

const (
	coaRequests counter = iota
	coaACKs
	coaNAKs
	disconnectRequests
	disconnectACKs
	disconnectNAKs
	duplicates
	strangers
	malformedPackets
	otherCodes
	badAuthenticators
	badSignatures
	unsigned
	stale
	overload
	counters
)

var counterNames = [counters]string{
	coaRequests: "dae_coa_requests", coaACKs: "dae_coa_acks", coaNAKs: "dae_coa_naks",
	disconnectRequests: "dae_disconnect_requests", disconnectACKs: "dae_disconnect_acks",
	disconnectNAKs: "dae_disconnect_naks", duplicates: "dae_duplicates", strangers: "dae_strangers",
	malformedPackets: "dae_malformed", otherCodes: "dae_unexpected_codes",
	badAuthenticators: "dae_bad_authenticators", badSignatures: "dae_bad_message_authenticators",
	unsigned: "dae_without_message_authenticator", stale: "dae_stale", overload: "dae_overload",
}

type counts [counters]atomic.Uint64

func (c *counts) add(k counter) { c[k].Add(1) }

// discard counts a datagram that gets no answer.
func (c *counts) discard(err error) {
	k := malformedPackets
	switch err {
	case errCode:
		k = otherCodes
	case errAuthenticator:
		k = badAuthenticators
	case errSignature:
		k = badSignatures
	case errUnsigned:
		k = unsigned
	case errStale, errNoTimestamp:
		k = stale
	}
	c.add(k)
}

func (c *counts) request(q *request) {
	if q.disconnect() {
		c.add(disconnectRequests)
		return
	}
	c.add(coaRequests)
}

func (c *counts) answer(q *request, no *refusal) {
	k := coaACKs
	switch {
	case q.disconnect() && no == nil:
		k = disconnectACKs
	case q.disconnect():
		k = disconnectNAKs
	case no != nil:
		k = coaNAKs
	}
	c.add(k)
}

// Counts returns the server's counters.
func (s *Server) Counts() []session.Count {
	out := make([]session.Count, 0, counters)
	for k, name := range counterNames {
		out = append(out, session.Count{Name: name, Value: s.counts[k].Load()})
	}
	return out
}
