package api

import (
	"context"
	"errors"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// Local is a listener for clients in the daemon's own process: shells that operators
// reach by SSH. Each connection says whose it is.
type Local struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

// NewLocal makes one; it is served by a Server with the option InProcess.
func NewLocal() *Local { return &Local{conns: make(chan net.Conn), done: make(chan struct{})} }

// InProcess makes the server one for a Local.
func InProcess() Option {
	return func(o *options) { o.identify, o.creds = localCallers{}, localCredentials{} }
}

// errLocalClosed is a connection to a daemon on its way down.
var errLocalClosed = errors.New("the daemon is stopping")

// Dial makes a client whose calls are those of a caller.
func (l *Local) Dial(who Caller) (*Client, error) {
	c := &Client{}
	connect := func(ctx context.Context, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case l.conns <- &localConn{theirs, who}:
			return ours, nil
		case <-l.done:
			return nil, errLocalClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return c.connect("passthrough:///lnsd",
		grpc.WithContextDialer(connect), grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// Accept waits for the next client.
func (l *Local) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close lets no more clients in.
func (l *Local) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is for the log.
func (l *Local) Addr() net.Addr { return localAddr{} }

type localAddr struct{}

func (localAddr) Network() string { return "local" }
func (localAddr) String() string  { return "shell" }

// localConn is a connection that knows its caller.
type localConn struct {
	net.Conn
	who Caller
}

// AuthType makes Caller a credentials.AuthInfo.
func (Caller) AuthType() string { return "local" }

// localCallers takes the caller from the connection.
type localCallers struct{}

func (localCallers) caller(ctx context.Context) (Caller, error) {
	if p, ok := peer.FromContext(ctx); ok {
		if who, ok := p.AuthInfo.(Caller); ok {
			return who, nil
		}
	}
	return Caller{Name: "nobody"}, status.Error(codes.Unauthenticated, "not a connection of this process")
}

// localCredentials is the transport of localConn.
type localCredentials struct{}

func (localCredentials) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	l, ok := c.(*localConn)
	if !ok {
		return nil, nil, errors.New("api: not a connection of this process")
	}
	return l, l.who, nil
}

func (localCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("api: server's credentials used by a client")
}

func (localCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "local"}
}

func (c localCredentials) Clone() credentials.TransportCredentials { return c }

func (localCredentials) OverrideServerName(string) error { return nil }

// RoleRights are the rights of a role; none where there is no such role.
func RoleRights(role string) Right { return roles[role] }
