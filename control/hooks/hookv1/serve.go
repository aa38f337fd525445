package hookv1

import (
	"context"
	"errors"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// Name is the plugin's name in go-plugin's set of plugins.
const Name = "hook"

// Handshake is what both sides must agree on. The cookie keeps people from starting a
// plugin by hand and wondering; it is no secret.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "LNSD_PLUGIN", MagicCookieValue: "hook.v1"}
}

// Plugin is the seam to go-plugin; Impl is nil in lnsd.
type Plugin struct {
	plugin.NetRPCUnsupportedPlugin
	Impl HookServer
}

// GRPCServer registers the plugin's side.
func (p *Plugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	if p.Impl == nil {
		return errors.New("no server")
	}
	RegisterHookServer(s, p.Impl)
	return nil
}

// GRPCClient makes lnsd's side, a HookClient.
func (p *Plugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return NewHookClient(c), nil
}

// Serve is the main function of a plugin. It returns when lnsd ends the plugin. Calls
// come from several goroutines at once.
func Serve(s HookServer) {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: Handshake(),
		Plugins:         plugin.PluginSet{Name: &Plugin{Impl: s}},
		GRPCServer:      plugin.DefaultGRPCServer,
	})
}
