package config

import (
	"net/netip"
	"strings"
	"time"
)

// DAE holds who may change and disconnect sessions by RADIUS (RFC 5176).
type DAE struct {
	Port uint16 // 0: nobody
	// Address is where they are taken: any of ours when it is unspecified, bind_address
	// when it is not valid.
	Address netip.Addr
	// Window is how far an Event-Timestamp may be off; RequireTimestamp refuses
	// requests without one.
	Window           time.Duration
	RequireTimestamp bool
	// Several lets one request go to several sessions, all or none.
	Several bool
	// Servers lets the RADIUS servers ask, by their secrets.
	Servers bool
	Clients []DAEClient
}

// DAEClient is one dae_client command.
type DAEClient struct {
	Object
	// Addresses are where its requests come from.
	Addresses            []netip.Prefix
	Secret               Secret
	MessageAuthenticator Auto
	// Intercept lets it order interceptions.
	Intercept bool
}

func daeSettings() []Setting {
	return []Setting{
		row("radius_dae_port", number[uint16]("", 0, 65535), func(c *Config) *uint16 { return &c.DAE.Port }, "3799", Restart,
			"UDP port for CoA- and Disconnect-Requests (RFC 5176); 0 takes none."),
		row("radius_dae_address", daeAddress(), func(c *Config) *netip.Addr { return &c.DAE.Address }, "bind_address", Restart,
			"Address for CoA- and Disconnect-Requests: bind_address for that one, any for all of the host's."),
		row("radius_dae_servers", boolean(), func(c *Config) *bool { return &c.DAE.Servers }, "yes", Live,
			"Let the RADIUS servers send CoA- and Disconnect-Requests, with their secrets; no lets only the dae_client commands' clients."),
		row("radius_dae_window", seconds(time.Second, time.Hour), func(c *Config) *time.Duration { return &c.DAE.Window }, "300", Restart,
			"How far the Event-Timestamp of a CoA- or Disconnect-Request may be off; repetitions are known for as long."),
		row("radius_dae_timestamp", boolean(), func(c *Config) *bool { return &c.DAE.RequireTimestamp }, "no", Restart,
			"Drop CoA- and Disconnect-Requests without Event-Timestamp."),
		row("radius_dae_several", boolean(), func(c *Config) *bool { return &c.DAE.Several }, "yes", Restart,
			"Carry out a CoA- or Disconnect-Request that matches several sessions for all of them, or for none if one fails; no refuses it."),
	}
}

// daeAddress is an address, or one of two words.
func daeAddress() kind[netip.Addr] {
	const bind, any = "bind_address", "any"
	plain := address(false)
	return kind[netip.Addr]{
		name: "IP address, bind_address or any",
		parse: func(s string) (netip.Addr, error) {
			switch s {
			case bind:
				return netip.Addr{}, nil
			case any, "0.0.0.0", "::":
				return netip.IPv6Unspecified(), nil
			}
			return plain.parse(s)
		},
		format: func(a netip.Addr) string {
			switch {
			case !a.IsValid():
				return bind
			case a.IsUnspecified():
				return any
			}
			return a.String()
		},
	}
}

func daeCommands() []Command {
	return []Command{
		{Name: "dae_client", Help: "Let somebody change and disconnect sessions by RADIUS. Keys: " + keyHelp(daeKeys()), run: (*builder).daeClient, Keys: keyArgs(daeKeys()), Args: []Arg{
			{Name: "NAME", Type: "name", Help: "Name of the client."},
			{Name: "KEY VALUE", Type: "client", Help: "What holds for it; the command may be repeated.", Rest: true},
		}},
	}
}

func daeKeys() []objectKey[DAEClient] {
	return []objectKey[DAEClient]{
		objectRow("address", list(anyPrefix(), false), func(c *DAEClient) *[]netip.Prefix { return &c.Addresses }, "addresses or prefixes that it sends from"),
		secretKey(objectRow("secret", secret(maxString), func(c *DAEClient) *Secret { return &c.Secret }, "shared secret")),
		objectRow("message_authenticator", auto(), func(c *DAEClient) *Auto { return &c.MessageAuthenticator }, "required or not, auto once it has sent one"),
		objectRow("intercept", boolean(), func(c *DAEClient) *bool { return &c.Intercept }, "may order interceptions, no unless given"),
	}
}

func daeBase(c *DAEClient) *Object { return &c.Object }

func (b *builder) daeClient(args []token) {
	object(b, &b.c.DAE.Clients, daeBase, daeKeys(), func() DAEClient { return DAEClient{} }, args)
	b.mark("dae_client", args[0])
}

// checkDAE makes sure that each client can be known.
func (b *builder) checkDAE() {
	for i := range b.c.DAE.Clients {
		c := &b.c.DAE.Clients[i]
		pos := b.seen["dae_client "+c.Name]
		switch {
		case len(c.Addresses) == 0:
			b.fail(pos, "", "dae_client %s has no address", c.Name)
		case c.Secret == "":
			b.fail(pos, "give it a secret", "dae_client %s has no secret", c.Name)
		}
	}
}

func (d *DAE) render(w *strings.Builder, hide bool) {
	for i := range d.Clients {
		renderObject(w, "dae_client", &d.Clients[i].Object, daeKeys(), hide)
	}
}
