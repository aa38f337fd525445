package l2tpns

import (
	"context"
	"crypto/subtle"
	"errors"
	"net"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/lnsd/lnsd/control/ppp"
)

// responder is a RADIUS server for which every user with the one right password is
// a subscriber.
type responder struct {
	password string
	conns    []net.PacketConn
	servers  []*radius.PacketServer
}

// startResponder listens on the usual ports of the loopback interface of the
// caller's network namespace.
func startResponder(password string) (*responder, error) {
	r := &responder{password: password}
	for _, port := range []string{"1812", "1813"} {
		conn, err := net.ListenPacket("udp4", "127.0.0.1:"+port)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		r.conns = append(r.conns, conn)
		// Room for the requests of hundreds of calls: whose are lost waits for seconds.
		if err := conn.(*net.UDPConn).SetReadBuffer(4 << 20); err != nil {
			return nil, errors.Join(err, r.close())
		}
		server := &radius.PacketServer{
			SecretSource: radius.StaticSecretSource([]byte(radiusSecret)),
			Handler:      radius.HandlerFunc(r.serve),
		}
		r.servers = append(r.servers, server)
		go func() { _ = server.Serve(conn) }() // ends with Shutdown
	}
	return r, nil
}

func (r *responder) serve(w radius.ResponseWriter, req *radius.Request) {
	code := radius.CodeAccessReject
	switch {
	case req.Code == radius.CodeAccountingRequest:
		code = radius.CodeAccountingResponse
	case r.proven(req.Packet):
		code = radius.CodeAccessAccept
	}
	// A lost answer is asked for again.
	_ = w.Write(req.Response(code))
}

// proven tells whether the request shows the right password, by PAP or CHAP.
func (r *responder) proven(p *radius.Packet) bool {
	if answer := rfc2865.CHAPPassword_Get(p); len(answer) == 17 {
		challenge := rfc2865.CHAPChallenge_Get(p)
		if len(challenge) == 0 {
			challenge = p.Authenticator[:]
		}
		return ppp.VerifyCHAP(answer[0], challenge, answer[1:], []byte(r.password))
	}
	given := rfc2865.UserPassword_Get(p)
	return subtle.ConstantTimeCompare(given, []byte(r.password)) == 1
}

func (r *responder) close() error {
	var errs []error
	for _, s := range r.servers {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // don't wait for requests in flight
		if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	for _, c := range r.conns {
		_ = c.Close() // Shutdown may have closed it
	}
	return errors.Join(errs...)
}
