package radius

import (
	"crypto/hmac"
	"crypto/md5"
	"hash"
	"net/netip"
	"slices"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// health is what is believed of a server.
type health uint8

const (
	// up: answers come.
	up health = iota
	// suspect: a request timed out with no answer to anything since, or the
	// server's dead time is over. It gets one request at a time to prove itself.
	suspect
	// dead: left alone until deadUntil.
	dead
)

func (h health) String() string { return [...]string{"up", "suspect", "dead"}[h] }

// server is one server for one purpose.
type server struct {
	addr    netip.AddrPort
	secret  []byte
	require RequireMessageAuthenticator
	// mac is HMAC-MD5 keyed with the secret, used under the exchange's lock.
	mac hash.Hash

	// priority and weight are as in Server; load is what it was given so far, in
	// proportion to its weight: of those that share, the one with the least is next.
	priority int
	weight   int
	load     float64
	// status: it is asked by Status-Server before it is used again, asked being the
	// question under way.
	status bool
	asked  *request

	health    health
	deadUntil time.Time
	// lastHeard is when the last valid answer came.
	lastHeard time.Time
	// signs is set once it has sent a valid Message-Authenticator.
	signs bool
	// unsigned is set once an answer without one was taken.
	unsigned bool

	sockets  []*socket
	inFlight int
	// noSocketUntil holds off opening another socket after a failure.
	noSocketUntil time.Time

	sent, retries, accepts, rejects, responses, timeouts, badAnswers uint64
	statusSent, statusAnswers                                        uint64
	rtt                                                              roundTrips
}

func newServer(s Server, port uint16) *server {
	return &server{
		addr:    netip.AddrPortFrom(s.Addr.Unmap(), port),
		secret:  s.Secret,
		require: s.MessageAuthenticator,
		mac:     hmac.New(md5.New, s.Secret),

		priority: s.Priority, weight: max(s.Weight, 1), status: s.StatusServer,
	}
}

// is returns the health at now: dead time runs out by itself, except for a server that
// is asked first.
func (s *server) is(now time.Time) health {
	if s.health == dead && !s.status && !now.Before(s.deadUntil) {
		return suspect
	}
	return s.health
}

// view shows the server to an operator.
func (s *server) view(now time.Time, p purpose) session.AuthServerView {
	v := session.AuthServerView{
		Name: s.addr.String(), Purpose: p.String(), State: s.is(now).String(),
		InFlight: s.inFlight, Sent: s.sent, Retries: s.retries,
		Accepts: s.accepts, Rejects: s.rejects, Responses: s.responses,
		Timeouts: s.timeouts, BadAnswers: s.badAnswers,
		MessageAuthenticator: s.signs,
		Priority:             s.priority, Weight: s.weight,
		StatusSent: s.statusSent, StatusAnswers: s.statusAnswers,
	}
	if s.is(now) == dead {
		v.DeadUntil = s.deadUntil
	}
	v.RTT50, v.RTT99 = s.rtt.percentiles()
	v.RTT = s.rtt.histogram()
	return v
}

// socket is one local UDP port towards one server, with the ids in use on it.
type socket struct {
	// port sends and closes; it is the only thing here that does I/O.
	port   port
	server *server
	// flying holds the request that each id belongs to.
	flying [256]*request
	used   int
	// next is where the search for a free id goes on. Going round keeps an id
	// out of use for as long as possible, so that a late answer to the request
	// that had it before finds no other there.
	next byte
	// idleSince is when the last request left; it counts while used is 0.
	idleSince time.Time
}

// take reserves an id for r; there must be one.
func (k *socket) take(r *request) {
	for k.flying[k.next] != nil {
		k.next++
	}
	r.socket, r.id = k, k.next
	k.flying[k.next] = r
	k.next++
	k.used++
	k.server.inFlight++
}

// release frees the id of a request that is no longer waited for.
func (k *socket) release(now time.Time, r *request) {
	k.flying[r.id] = nil
	k.used--
	k.server.inFlight--
	if k.used == 0 {
		k.idleSince = now
	}
	r.socket = nil
}

// roundTrips keeps the last answers' round trip times.
type roundTrips struct {
	last   [256]time.Duration
	n      int
	counts [rttBuckets]uint64
	sum    time.Duration
}

const (
	// rttUnit bounds the first bucket of the histogram; each of the next is twice as
	// wide, and the last has no end.
	rttUnit    = 250 * time.Microsecond
	rttBuckets = 17
)

func (t *roundTrips) add(d time.Duration) {
	t.last[t.n%len(t.last)] = d
	t.n++
	bucket := 0
	for bucket < rttBuckets-1 && d > rttUnit<<bucket {
		bucket++
	}
	t.counts[bucket]++
	t.sum += d
}

func (t *roundTrips) histogram() session.Histogram {
	h := session.Histogram{Name: "radius_round_trip", Counts: slices.Clone(t.counts[:]), Sum: t.sum}
	for i := range rttBuckets - 1 {
		h.Bounds = append(h.Bounds, rttUnit<<i)
	}
	return h
}

// percentiles returns the median and the 99th percentile, or zeros.
func (t *roundTrips) percentiles() (p50, p99 time.Duration) {
	n := min(t.n, len(t.last))
	if n == 0 {
		return 0, 0
	}
	sorted := slices.Clone(t.last[:n])
	slices.Sort(sorted)
	return sorted[n/2], sorted[n*99/100]
}
