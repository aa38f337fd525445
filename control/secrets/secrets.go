// Package secrets authenticates subscribers from a file in the format of pppd's
// chap-secrets, so that a server needs no RADIUS:
//
//	# client   server   secret             address
//	alice      *        "correct horse"    10.0.0.7
//	bob        *        hunter2            *
//	*          lns1     guest              *
//
// The same lines serve PAP, CHAP and MS-CHAPv2. The file is read once, checked
// as a whole and turned into a map; an authentication is one look-up and one
// hash, with no lock and no goroutine, made in the caller's.
package secrets

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/session"
)

// Store is the subscribers of one file. It is safe for concurrent use.
type Store struct {
	server string
	done   func(*session.AuthResult)
	table  atomic.Pointer[table]

	accepts, rejects, unknown, reloads atomic.Uint64
}

// Open reads the file. server is the name that its second column is compared
// with. done receives each answer, called from within Authenticate.
//
// The error is a *SyntaxError with file and line when the file can be read but
// not understood.
func Open(file, server string, done func(*session.AuthResult)) (*Store, error) {
	s := &Store{server: server, done: done}
	t, err := load(file, server)
	if err != nil {
		return nil, err
	}
	s.table.Store(t)
	return s, nil
}

// Reload replaces the subscribers by those in the file, all at once. On an error
// the old ones stay.
func (s *Store) Reload(file string) error {
	t, err := load(file, s.server)
	if err != nil {
		return err
	}
	s.table.Store(t)
	s.reloads.Add(1)
	return nil
}

// Len is the number of entries in use: clients with a line of their own that
// applies to this server, and the wildcard if there is one.
func (s *Store) Len() int {
	t := s.table.Load()
	n := len(t.clients)
	if t.any != nil {
		n++
	}
	return n
}

// GrantsIPv6 reports whether some client gets IPv6 by its line.
func (s *Store) GrantsIPv6() bool {
	t := s.table.Load()
	if t.any != nil && t.any.ipv6 != nil {
		return true
	}
	for _, e := range t.clients {
		if e.ipv6 != nil {
			return true
		}
	}
	return false
}

// Counts are the store's counters since the start.
func (s *Store) Counts() []session.Count {
	return []session.Count{
		{Name: "secrets_entries", Value: uint64(s.Len())},
		{Name: "secrets_accepts", Value: s.accepts.Load()},
		{Name: "secrets_rejects", Value: s.rejects.Load()},
		{Name: "secrets_unknown_users", Value: s.unknown.Load()},
		{Name: "secrets_reloads", Value: s.reloads.Load()},
	}
}

// load reads and parses a file. A file that every user of the machine can read
// keeps no secrets and is refused.
func load(file, server string) (*table, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", file)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("%s: mode %04o lets every user at the secrets; use chmod 0600", file, info.Mode().Perm())
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	return parse(file, b, server)
}

// Authenticate checks one subscriber and hands the answer to the constructor's
// callback before it returns, which is always with true.
func (s *Store) Authenticate(q *session.AuthRequest) bool {
	r := &session.AuthResult{Ref: q.Ref, Verdict: session.Reject}
	e, known := s.table.Load().lookup(q.User)
	if !known {
		// The check is made all the same, against a secret that nobody has, so
		// that the time taken does not tell which names exist.
		e = entry{secret: nobody[:], refused: true}
	}
	success, ok, cause := verify(q, e.secret)
	switch {
	case !known:
		r.Cause = "unknown user"
		s.unknown.Add(1)
	case !ok:
		r.Cause = cause
	case e.refused:
		r.Cause = "the user's entry allows no address"
	default:
		r.Verdict = session.Accept
		r.MSCHAPSuccess = success
		r.Profile.Address, r.Profile.IPv6 = e.address, e.ipv6
	}
	if r.Verdict == session.Accept {
		s.accepts.Add(1)
	} else {
		s.rejects.Add(1)
	}
	s.done(r)
	return true
}

// nobody stands in for the secret of a user that does not exist. Its value does
// not matter: the outcome of the comparison is not used.
var nobody = [16]byte{}

// verify checks the credentials against the secret, in constant time, and says
// for the log what was wrong. success is MS-CHAPv2's answer to the client.
func verify(q *session.AuthRequest, secret []byte) (success string, ok bool, cause string) {
	switch q.Method {
	case session.AuthPAP:
		// Digests are compared, not texts, so that not even the length shows.
		got, want := sha256.Sum256(q.Password), sha256.Sum256(secret)
		return "", subtle.ConstantTimeCompare(got[:], want[:]) == 1, "wrong password"
	case session.AuthCHAP:
		return "", ppp.VerifyCHAP(q.ID, q.Challenge, q.Response, secret), "wrong CHAP response"
	case session.AuthMSCHAPv2:
		success, ok = ppp.VerifyMSCHAPv2(q.User, q.Challenge, q.Response, string(secret))
		return success, ok, "wrong MS-CHAPv2 response"
	case session.AuthNone:
		return "", false, "no credentials"
	}
	return "", false, "unknown authentication method"
}
