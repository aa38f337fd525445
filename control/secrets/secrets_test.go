package secrets

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lnsd/lnsd/control/session"
)

// write makes a secrets file with the given mode.
func write(t testing.TB, text string, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "chap-secrets")
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return file
}

// open returns a store of the file and a function that authenticates with it.
func open(t testing.TB, text string) (*Store, func(*session.AuthRequest) *session.AuthResult) {
	t.Helper()
	var got []*session.AuthResult
	s, err := Open(write(t, text, 0o600), "lns", func(r *session.AuthResult) { got = append(got, r) })
	if err != nil {
		t.Fatal(err)
	}
	return s, func(q *session.AuthRequest) *session.AuthResult {
		t.Helper()
		got = got[:0]
		if !s.Authenticate(q) || len(got) != 1 {
			t.Fatalf("%d answers, want 1", len(got))
		}
		return got[0]
	}
}

func pap(user, password string) *session.AuthRequest {
	return &session.AuthRequest{Ref: session.Ref{TunnelID: 1, SessionID: 2, Serial: 3}, User: user, Method: session.AuthPAP, Password: []byte(password)}
}

func chap(user, secret string) *session.AuthRequest {
	challenge := []byte("0123456789abcdef")
	sum := md5.Sum(append(append([]byte{7}, secret...), challenge...))
	return &session.AuthRequest{User: user, Method: session.AuthCHAP, ID: 7, Challenge: challenge, Response: sum[:]}
}

// mschap is the example of RFC 2759 section 9.2.
func mschap(t testing.TB) *session.AuthRequest {
	t.Helper()
	decode := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	response := decode("21402324255E262A28295F2B3A337C7E" + "0000000000000000" +
		"82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF" + "00")
	return &session.AuthRequest{User: "User", Method: session.AuthMSCHAPv2, ID: 1,
		Challenge: decode("5B5D7C7D7B3F2F3E3C2C602132262628"), Response: response}
}

const subscribers = `
alice  *    "correct horse"  10.0.0.7
bob    *    hunter2          *
User   *    clientPass       *
carol  *    secret           -
empty  *    ""
*      lns  guest            *
`

func TestAuthenticate(t *testing.T) {
	_, auth := open(t, subscribers)
	changed := mschap(t)
	changed.Response[30] ^= 1
	for _, c := range []struct {
		name    string
		q       *session.AuthRequest
		want    session.Verdict
		address string
		cause   string
	}{
		{"PAP", pap("alice", "correct horse"), session.Accept, "10.0.0.7", ""},
		{"PAP wrong", pap("alice", "correct hors"), session.Reject, "", "wrong password"},
		{"PAP empty", pap("alice", ""), session.Reject, "", "wrong password"},
		{"PAP empty secret", pap("empty", ""), session.Accept, "", ""},
		{"PAP empty secret, other password", pap("empty", "x"), session.Reject, "", "wrong password"},
		{"CHAP", chap("bob", "hunter2"), session.Accept, "", ""},
		{"CHAP wrong", chap("bob", "hunter3"), session.Reject, "", "wrong CHAP response"},
		{"MS-CHAPv2", mschap(t), session.Accept, "", ""},
		{"MS-CHAPv2 wrong", changed, session.Reject, "", "wrong MS-CHAPv2 response"},
		{"no address allowed", pap("carol", "secret"), session.Reject, "", "the user's entry allows no address"},
		{"no address allowed, wrong", pap("carol", "x"), session.Reject, "", "wrong password"},
		{"wildcard", pap("stranger", "guest"), session.Accept, "", ""},
		{"wildcard, wrong", pap("stranger", "x"), session.Reject, "", "wrong password"},
		{"no credentials", &session.AuthRequest{User: "alice"}, session.Reject, "", "no credentials"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := auth(c.q)
			if r.Ref != c.q.Ref || r.Verdict != c.want || r.Cause != c.cause {
				t.Errorf("got %+v, want verdict %d, cause %q", r, c.want, c.cause)
			}
			want := netip.Addr{}
			if c.address != "" {
				want = netip.MustParseAddr(c.address)
			}
			if r.Profile.Address != want {
				t.Errorf("address %v, want %v", r.Profile.Address, want)
			}
		})
	}
	// RFC 2759 section 9.2.
	if r := auth(mschap(t)); r.MSCHAPSuccess != "S=407A5589115FD0D6209F510FE9C04566932CDA56" {
		t.Errorf("authenticator response %q", r.MSCHAPSuccess)
	}
}

func TestUnknownUser(t *testing.T) {
	s, auth := open(t, "alice * secret\n")
	for _, q := range []*session.AuthRequest{pap("mallory", ""), pap("mallory", string(nobody[:])), chap("mallory", string(nobody[:]))} {
		if r := auth(q); r.Verdict != session.Reject || r.Cause != "unknown user" {
			t.Errorf("got %+v", r)
		}
	}
	auth(pap("alice", "secret"))
	want := map[string]uint64{"secrets_entries": 1, "secrets_accepts": 1, "secrets_rejects": 3, "secrets_unknown_users": 3}
	for _, c := range s.Counts() {
		if w, ok := want[c.Name]; ok && c.Value != w {
			t.Errorf("%s is %d, want %d", c.Name, c.Value, w)
		}
	}
}

func TestReload(t *testing.T) {
	s, auth := open(t, "alice * old\n")
	if err := s.Reload(write(t, "alice * new\nbob * x\n", 0o640)); err != nil {
		t.Fatal(err)
	}
	if auth(pap("alice", "old")).Verdict != session.Reject || auth(pap("alice", "new")).Verdict != session.Accept || s.Len() != 2 {
		t.Error("the new file is not in use")
	}
	err := s.Reload(write(t, "alice * newer\nbroken\n", 0o600))
	var syntax *SyntaxError
	if !errors.As(err, &syntax) || syntax.Line != 2 {
		t.Errorf("got %v, want a fault in line 2", err)
	}
	if auth(pap("alice", "new")).Verdict != session.Accept {
		t.Error("a broken file replaced the subscribers")
	}
}

// Requests under way during a reload see one file or the other, never a mixture.
func TestReloadWhileAuthenticating(t *testing.T) {
	files := []string{write(t, "a * one\nb * one\n", 0o600), write(t, "a * two\nb * two\n", 0o600)}
	var mu sync.Mutex
	accepted := 0
	s, err := Open(files[0], "lns", func(r *session.AuthResult) {
		mu.Lock()
		defer mu.Unlock()
		if r.Verdict == session.Accept {
			accepted++
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	const rounds = 200
	for _, user := range []string{"a", "b"} {
		for _, secret := range []string{"one", "two"} {
			wg.Go(func() {
				for range rounds {
					s.Authenticate(pap(user, secret))
				}
			})
		}
	}
	for i := range 50 {
		if err := s.Reload(files[i%2]); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if accepted == 0 || accepted == 4*rounds {
		t.Errorf("%d accepted of %d", accepted, 4*rounds)
	}
}

func TestFileMustBePrivate(t *testing.T) {
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o640: true, 0o644: false, 0o602: false} {
		_, err := Open(write(t, "a * b\n", mode), "lns", func(*session.AuthResult) {})
		if (err == nil) != ok {
			t.Errorf("mode %o: %v", mode, err)
		}
		if err != nil && !strings.Contains(err.Error(), "chmod 0600") {
			t.Errorf("mode %o: the error does not say what to do: %v", mode, err)
		}
	}
	if _, err := Open(t.TempDir(), "lns", nil); err == nil {
		t.Error("a directory was taken for a file")
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none"), "lns", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// CHAP allocates the answer and no more than the digest needs.
func TestAuthenticateAllocations(t *testing.T) {
	s, err := Open(write(t, subscribers, 0o600), "lns", func(*session.AuthResult) {})
	if err != nil {
		t.Fatal(err)
	}
	q := chap("bob", "hunter2")
	if n := testing.AllocsPerRun(100, func() { s.Authenticate(q) }); n > 2 {
		t.Errorf("%v allocations, want at most 2", n)
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	var file strings.Builder
	for i := range 100000 {
		fmt.Fprintf(&file, "user%06d * secret%06d *\n", i, i)
	}
	file.WriteString("User * clientPass *\n")
	s, err := Open(write(b, file.String(), 0o600), "lns", func(*session.AuthResult) {})
	if err != nil {
		b.Fatal(err)
	}
	for name, q := range map[string]*session.AuthRequest{
		"PAP": pap("user054321", "secret054321"), "CHAP": chap("user054321", "secret054321"), "MSCHAPv2": mschap(b),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Authenticate(q)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "auth/s")
		})
	}
}
