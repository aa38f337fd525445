package api

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// maxReply bounds a reply; the longest is a list of all tunnels.
const maxReply = 64 << 20

// keepaliveTime is how long a quiet connection is trusted; it must not be below the
// server's minKeepalive.
const keepaliveTime = 20 * time.Second

// Client talks to a daemon.
type Client struct {
	lnsv1.LNSClient
	lnsv1.EventsClient
	Top lnsv1.TopClient
	lnsv1.ServicesClient
	lnsv1.RestrictionsClient
	lnsv1.TerminalClient
	lnsv1.TracesClient
	lnsv1.HistoryClient
	lnsv1.PacketHooksClient
	PluginHost lnsv1.PluginsClient
	lnsv1.InterceptionsClient
	lnsv1.CapturesClient
	lnsv1.AccountingClient
	// Config, Profiles and Outgoing have methods whose names say little without them.
	Config   lnsv1.ConfigClient
	Profiles lnsv1.ProfilesClient
	Outgoing lnsv1.OutgoingClient
	conn     *grpc.ClientConn
	failed   atomic.Pointer[error]
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
	return c.connect("passthrough:///lnsd",
		grpc.WithContextDialer(connect),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
}

func (c *Client) connect(target string, opts ...grpc.DialOption) (*Client, error) {
	conn, err := grpc.NewClient(target, append(opts,
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReply)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime}))...)
	if err != nil {
		return nil, err
	}
	c.conn, c.LNSClient = conn, lnsv1.NewLNSClient(conn)
	c.EventsClient, c.ServicesClient = lnsv1.NewEventsClient(conn), lnsv1.NewServicesClient(conn)
	c.Config, c.Profiles = lnsv1.NewConfigClient(conn), lnsv1.NewProfilesClient(conn)
	c.RestrictionsClient = lnsv1.NewRestrictionsClient(conn)
	c.TerminalClient = lnsv1.NewTerminalClient(conn)
	c.TracesClient, c.HistoryClient = lnsv1.NewTracesClient(conn), lnsv1.NewHistoryClient(conn)
	c.InterceptionsClient, c.CapturesClient = lnsv1.NewInterceptionsClient(conn), lnsv1.NewCapturesClient(conn)
	c.AccountingClient = lnsv1.NewAccountingClient(conn)
	c.Top = lnsv1.NewTopClient(conn)
	c.PacketHooksClient = lnsv1.NewPacketHooksClient(conn)
	c.PluginHost = lnsv1.NewPluginsClient(conn)
	c.Outgoing = lnsv1.NewOutgoingClient(conn)
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
