package api

import (
	"context"
	"net"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// maxReply bounds a reply; the longest is a list of all tunnels.
const maxReply = 64 << 20

// Client talks to a daemon.
type Client struct {
	lnsv1.LNSClient
	lnsv1.ServicesClient
	conn   *grpc.ClientConn
	failed atomic.Pointer[error]
}

// Dial makes a client of the daemon whose socket is at path. It connects at the
// first call.
func Dial(path string) (*Client, error) {
	c := &Client{}
	connect := func(ctx context.Context, _ string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", path)
		if err != nil {
			c.failed.Store(&err)
		}
		return conn, err
	}
	// The name is not resolved: the dialer knows where to go. Whoever can bind a
	// socket there is the daemon, so there is nothing more to verify.
	conn, err := grpc.NewClient("passthrough:///lnsd",
		grpc.WithContextDialer(connect),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReply)))
	if err != nil {
		return nil, err
	}
	c.conn, c.LNSClient, c.ServicesClient = conn, lnsv1.NewLNSClient(conn), lnsv1.NewServicesClient(conn)
	return c, nil
}

// ConnectError is why the last attempt to connect failed; nil when none did.
func (c *Client) ConnectError() error {
	if err := c.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }
