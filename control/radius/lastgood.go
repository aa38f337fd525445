package radius

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"sync"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// lastGood remembers what the servers granted last, in memory alone. A password is
// kept as an HMAC under a key that lives and dies with the process.
type lastGood struct {
	key   [32]byte
	limit int

	mu      sync.Mutex // guards what follows
	entries map[string]*list.Element
	order   *list.List // of *goodEntry, those seen last in front
}

// goodEntry is one subscriber's last grant.
type goodEntry struct {
	login  string
	method session.AuthMethod
	// password is the verifier of a PAP password; line is where the call came from,
	// "" when the LAC did not say.
	password [sha256.Size]byte
	line     string
	profile  session.Profile
	at       time.Time
}

// maxGoodBytes bounds what of one profile is of no fixed size; who has more is not
// remembered.
const maxGoodBytes = 2048

func newLastGood(limit int) *lastGood {
	g := &lastGood{limit: limit, entries: map[string]*list.Element{}, order: list.New()}
	rand.Read(g.key[:]) // never fails
	return g
}

func (g *lastGood) len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.order.Len()
}

// learn takes a server's answer. A yes is remembered; a no to who can be told to be
// the same as before takes the memory of it away: the account is closed. Any other no
// is a slip, or a stranger's, and must not cost the subscriber anything.
func (g *lastGood) learn(q *session.AuthRequest, res *session.AuthResult, now time.Time) {
	if q.Method == session.AuthMSCHAPv2 {
		return // nothing can be granted to it
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.entries[q.User]
	if res.Verdict != session.Accept {
		if old != nil && g.same(old.Value.(*goodEntry), q, true) {
			g.drop(old)
		}
		return
	}
	if old != nil {
		g.drop(old)
	}
	if variable(&res.Profile) > maxGoodBytes {
		return
	}
	e := &goodEntry{login: q.User, method: q.Method, line: line(&q.Call), profile: res.Profile, at: now}
	if q.Method == session.AuthPAP {
		e.password = g.verifier(q)
	}
	g.entries[q.User] = g.order.PushFront(e)
	if g.order.Len() > g.limit {
		g.drop(g.order.Back())
	}
}

// recall returns the last grant if it is not older than since and q comes from the
// same subscriber.
func (g *lastGood) recall(q *session.AuthRequest, since time.Time, trustLine bool) (session.Profile, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.entries[q.User]
	if at == nil {
		return session.Profile{}, false
	}
	e := at.Value.(*goodEntry)
	if e.at.Before(since) {
		g.drop(at)
		return session.Profile{}, false
	}
	if !g.same(e, q, trustLine) {
		return session.Profile{}, false
	}
	return e.profile, true
}

// same reports whether q proves to come from e's subscriber: by the password where it
// can be seen; else, if that is trusted, by the line.
func (g *lastGood) same(e *goodEntry, q *session.AuthRequest, trustLine bool) bool {
	if e.method != q.Method {
		return false
	}
	if q.Method == session.AuthPAP {
		v := g.verifier(q)
		return subtle.ConstantTimeCompare(v[:], e.password[:]) == 1
	}
	return trustLine && e.line != "" && e.line == line(&q.Call)
}

func (g *lastGood) drop(at *list.Element) {
	delete(g.entries, at.Value.(*goodEntry).login)
	g.order.Remove(at)
}

// verifier is what a password is known again by; the name is in it, so that equal
// passwords have different ones.
func (g *lastGood) verifier(q *session.AuthRequest) (v [sha256.Size]byte) {
	m := hmac.New(sha256.New, g.key[:])
	m.Write([]byte(q.User))
	m.Write([]byte{0})
	m.Write(q.Password)
	m.Sum(v[:0])
	return v
}

// line names where a call comes from: the LAC's address and the calling number. Port
// and tunnel may change from call to call.
func line(c *session.CallInfo) string {
	if c.CallingNumber == "" || !c.LAC.IsValid() {
		return ""
	}
	return c.LAC.Addr().Unmap().String() + " " + c.CallingNumber
}

// variable is the size, in bytes, of what of a profile is of no fixed size.
func variable(p *session.Profile) int {
	n := 32*len(p.Routes) + len(p.CUI) + len(p.User) + len(p.Pool)
	for _, c := range p.Class {
		n += len(c)
	}
	for _, a := range p.Pairs {
		n += len(a.Key) + len(a.Value)
	}
	if p.IPv6 != nil {
		n += 32 * (len(p.IPv6.Prefixes) + len(p.IPv6.Delegated) + len(p.IPv6.Routes) + len(p.IPv6.Addresses) + len(p.IPv6.DNS))
	}
	return n
}
