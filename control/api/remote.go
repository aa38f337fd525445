package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// RemotePort is where a daemon is managed from afar unless it is told otherwise.
const RemotePort = 1707

// Identity is the files of one end of a remote connection, in PEM: its certificate,
// the key to it, and the authority that has signed the certificates of both ends.
type Identity struct {
	Certificate, Key, Authority string
}

// Remote makes the server one for TCP, where both ends show a certificate. The
// client's tells who calls, by its common name, and which roles it has, by its
// organizational units (see RoleNames); without a role it is refused everything.
// Certificates are read again when their files change.
func Remote(id Identity) (Option, error) {
	files := &files{id: id}
	if _, err := files.current(); err != nil {
		return nil, err
	}
	conf := &tls.Config{
		MinVersion: tls.VersionTLS13,
		ClientAuth: tls.RequireAndVerifyClientCert,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			p, err := files.current()
			if err != nil {
				return nil, err
			}
			return &tls.Config{
				MinVersion:   tls.VersionTLS13,
				NextProtos:   []string{"h2"},
				ClientAuth:   tls.RequireAndVerifyClientCert,
				ClientCAs:    p.authority,
				Certificates: []tls.Certificate{p.own},
			}, nil
		},
	}
	return func(o *options) {
		o.identify, o.creds = certificates{}, credentials.NewTLS(conf)
	}, nil
}

// DialRemote makes a client of the daemon at address (HOST:PORT), which must have a
// certificate for that host. It connects at the first call.
func DialRemote(address string, id Identity) (*Client, error) {
	p, err := read(id)
	if err != nil {
		return nil, err
	}
	return (&Client{}).connect("dns:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		MinVersion:   tls.VersionTLS13,
		RootCAs:      p.authority,
		Certificates: []tls.Certificate{p.own},
	})))
}

// pair is what the files of an identity hold.
type pair struct {
	own       tls.Certificate
	authority *x509.CertPool
}

func read(id Identity) (pair, error) {
	own, err := tls.LoadX509KeyPair(id.Certificate, id.Key)
	if err != nil {
		return pair{}, fmt.Errorf("certificate %s with key %s: %w", id.Certificate, id.Key, err)
	}
	text, err := os.ReadFile(id.Authority)
	if err != nil {
		return pair{}, fmt.Errorf("authority: %w", err)
	}
	p := pair{own: own, authority: x509.NewCertPool()}
	if !p.authority.AppendCertsFromPEM(text) {
		return pair{}, fmt.Errorf("authority %s: no certificate in PEM", id.Authority)
	}
	return p, nil
}

// files reads an identity again once its files are newer.
type files struct {
	id Identity

	mu   sync.Mutex
	seen [3]time.Time
	last pair
}

// current is what the files hold. When they cannot be read, or do not fit together as
// in the middle of being replaced, it is what they held before.
func (f *files) current() (pair, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var now [3]time.Time
	var failed error
	for i, name := range []string{f.id.Certificate, f.id.Key, f.id.Authority} {
		info, err := os.Stat(name)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		now[i] = info.ModTime()
	}
	if failed == nil && now == f.seen {
		return f.last, nil
	}
	if failed == nil {
		var p pair
		if p, failed = read(f.id); failed == nil {
			f.seen, f.last = now, p
		}
	}
	if f.last.authority != nil {
		return f.last, nil
	}
	return pair{}, failed
}

// certificates tells callers by what they have shown to TLS.
type certificates struct{}

func (certificates) caller(ctx context.Context) (Caller, error) {
	nobody := Caller{Name: "nobody"}
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nobody, status.Error(codes.Unauthenticated, "no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return nobody, status.Error(codes.Unauthenticated, "no certificate")
	}
	subject := info.State.VerifiedChains[0][0].Subject
	c := Caller{Name: fmt.Sprintf("%s at %s", subject.CommonName, p.Addr), Rights: rightsOf(subject.OrganizationalUnit)}
	if c.Rights == 0 {
		return c, status.Errorf(codes.PermissionDenied, "the certificate of %q gives no role", utf8Text(subject.CommonName))
	}
	return c, nil
}
