package radius

import (
	"container/heap"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2869"
)

// statusServer is a request that asks a server whether it is there (RFC 5997). It is
// the exchange's own: nobody is told of its end.
func (r *request) statusServer() bool { return r.auth == nil && r.acct == nil }

// packets returns the encoder for requests of one purpose.
func (q *requests) packets(p purpose) encoder {
	encode := q.access
	if p == accounting {
		encode = q.account
	}
	return func(s *server, id byte, r *request) ([]byte, error) {
		if r.statusServer() {
			return q.status(s, id)
		}
		return encode(s, id, r)
	}
}

// status writes a Status-Server packet: authenticator and Message-Authenticator as in
// an Access-Request, whatever the port, and nothing about any user (RFC 5997 section
// 3).
func (q *requests) status(s *server, id byte) ([]byte, error) {
	a := q.attrs
	a.reset()
	p := radius.Packet{Code: radius.CodeStatusServer, Identifier: id, Secret: s.secret}
	q.random(p.Authenticator[:])
	var zero [16]byte
	a.raw(rfc2869.MessageAuthenticator_Type, zero[:])
	q.nas()
	p.Attributes = a.list
	b, err := p.Encode()
	if err == nil {
		s.sign(b, headerLen+2)
	}
	return b, err
}

// askStatus asks the dead servers whose time has come whether they are there again.
func (x *exchange) askStatus(now time.Time, out *effects) {
	for _, s := range x.servers {
		if s.asksStatus(now) {
			x.askOne(now, s, out)
		}
	}
}

// asksStatus reports whether s is to be asked now: dead, its dead time over, and no
// question under way.
func (s *server) asksStatus(now time.Time) bool {
	return s.status && s.health == dead && s.asked == nil && !now.Before(s.deadUntil)
}

// askOne sends one Status-Server packet. It is not retransmitted: the next is another
// (RFC 5997 section 4.1).
func (x *exchange) askOne(now time.Time, s *server, out *effects) {
	k := x.place(now, s)
	if k == nil {
		s.deadUntil = now.Add(x.cfg.StatusInterval)
		return
	}
	r := &request{}
	k.take(r)
	var err error
	if r.wire, err = x.encode(s, r.id, r); err != nil {
		k.release(now, r) // cannot be: it holds nothing that varies
		return
	}
	s.asked = r
	x.asking++
	r.first, r.last = now, now
	r.due = now.Add(x.jitter(x.cfg.StatusInterval, x.cfg.StatusInterval))
	r.giveUp = r.due
	heap.Push(&x.timers, r)
	s.statusSent++
	out.send = append(out.send, sending{k.port, s.addr, r.wire})
}

// told takes a status request out of flight.
func (x *exchange) told(now time.Time, r *request) {
	r.socket.server.asked = nil
	x.asking--
	x.land(now, r)
}
