package cli

import (
	"context"
	"fmt"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) tunnelCommands() []command {
	return []command{
		{words: "show tunnel", alias: "tunnels", arg: &arg{"ID", true, tidKind()},
			help: "List the tunnels, or show one with its transport's counters", run: a.showTunnel},
		{words: "drop tunnel", arg: &arg{"ID", false, tidKind()},
			help: "Disconnect a tunnel with all its sessions", run: a.dropTunnel},
	}
}

func (a *app) showTunnel(ctx context.Context, id string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		if id == "" {
			return a.listTunnels(ctx, c)
		}
		tid, err := parseID(id, 65535)
		if err != nil {
			return err
		}
		t, err := c.Tunnel(ctx, &lnsv1.TunnelRequest{TunnelId: tid})
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(a.env.Out, tunnelJSON(t))
		}
		return fields(a.env.Out, tunnelFields(t))
	})
}

func (a *app) listTunnels(ctx context.Context, c *api.Client) error {
	reply, err := c.Tunnels(ctx, &lnsv1.TunnelsRequest{})
	if err != nil {
		return err
	}
	if a.json {
		l := &jsonList{w: a.env.Out}
		for _, t := range reply.Tunnels {
			if err := l.item(tunnelJSON(t)); err != nil {
				return err
			}
		}
		return l.end()
	}
	t := &table{w: a.env.Out, columns: []column{
		{"TID", 5, true}, {"Hostname", 24, false}, {"IP", 15, false}, {"State", 14, false}, {"Sessions", 8, true}}}
	for _, v := range reply.Tunnels {
		if err := t.row(number(v.TunnelId), v.HostName, hostOf(v.Peer), v.State, count(v.Sessions)); err != nil {
			return err
		}
	}
	return t.head()
}

func tunnelFields(t *lnsv1.TunnelInfo) []field {
	x := t.GetTransport()
	return []field{
		{"Tunnel", fmt.Sprintf("%d, peer's %d", t.TunnelId, t.PeerTunnelId)},
		{"State", t.State},
		{"Hostname", t.HostName},
		{"Vendor", fmt.Sprintf("%s, firmware %04x", or(t.VendorName, "unknown"), t.Firmware)},
		{"Local address", t.Local},
		{"Peer address", t.Peer},
		{"Created", span(since(t.Created, t.Now)) + " ago"},
		{"Sessions", count(t.Sessions)},
		{"Ns and Nr", fmt.Sprintf("%d and %d", x.GetNs(), x.GetNr())},
		{"Peer's Ns and Nr", fmt.Sprintf("%d and %d", x.GetPeerNs(), x.GetPeerNr())},
		{"Window", fmt.Sprintf("%d, peer's %d", x.GetWindow(), x.GetPeerWindow())},
		{"Congestion", fmt.Sprintf("cwnd %d, ssthresh %d", x.GetCwnd(), x.GetSsthresh())},
		{"Waiting", fmt.Sprintf("%d queued, %d not acknowledged", x.GetQueued(), x.GetUnacked())},
		{"Messages", fmt.Sprintf("%d sent, %d received", x.GetSent(), x.GetReceived())},
		{"ZLB", fmt.Sprintf("%d sent, %d received", x.GetZlbSent(), x.GetZlbReceived())},
		{"HELLO", fmt.Sprintf("%d sent, %d received", x.GetHelloSent(), x.GetHelloReceived())},
		{"Retransmits", count(x.GetRetransmits())},
		{"Duplicates", count(x.GetDuplicates())},
		{"Out of order", fmt.Sprintf("%d held, %d out of window", x.GetOutOfOrderHeld(), x.GetOutOfWindow())},
	}
}

type jsonTunnel struct {
	TID            uint32        `json:"tid"`
	PeerTunnelID   uint32        `json:"peer_tunnel_id"`
	State          string        `json:"state"`
	Local          string        `json:"local"`
	Peer           string        `json:"peer"`
	HostName       string        `json:"host_name"`
	VendorName     string        `json:"vendor_name"`
	Firmware       uint32        `json:"firmware"`
	Sessions       uint64        `json:"sessions"`
	Created        moment        `json:"created"`
	CreatedSeconds secs          `json:"created_seconds"`
	Transport      jsonTransport `json:"transport"`
}

type jsonTransport struct {
	Ns             uint32 `json:"ns"`
	Nr             uint32 `json:"nr"`
	PeerNs         uint32 `json:"peer_ns"`
	PeerNr         uint32 `json:"peer_nr"`
	Window         uint32 `json:"window"`
	PeerWindow     uint32 `json:"peer_window"`
	Cwnd           uint32 `json:"cwnd"`
	Ssthresh       uint32 `json:"ssthresh"`
	Queued         uint64 `json:"queued"`
	Unacked        uint64 `json:"unacked"`
	Sent           uint64 `json:"sent"`
	Received       uint64 `json:"received"`
	ZLBSent        uint64 `json:"zlb_sent"`
	ZLBReceived    uint64 `json:"zlb_received"`
	HelloSent      uint64 `json:"hello_sent"`
	HelloReceived  uint64 `json:"hello_received"`
	Retransmits    uint64 `json:"retransmits"`
	Duplicates     uint64 `json:"duplicates"`
	OutOfOrderHeld uint64 `json:"out_of_order_held"`
	OutOfWindow    uint64 `json:"out_of_window"`
}

func tunnelJSON(t *lnsv1.TunnelInfo) jsonTunnel {
	x := t.GetTransport()
	return jsonTunnel{
		TID: t.TunnelId, PeerTunnelID: t.PeerTunnelId, State: t.State, Local: t.Local, Peer: t.Peer,
		HostName: t.HostName, VendorName: t.VendorName, Firmware: t.Firmware, Sessions: t.Sessions,
		Created: moment(t.Created), CreatedSeconds: secs(since(t.Created, t.Now)),
		Transport: jsonTransport{
			Ns: x.GetNs(), Nr: x.GetNr(), PeerNs: x.GetPeerNs(), PeerNr: x.GetPeerNr(),
			Window: x.GetWindow(), PeerWindow: x.GetPeerWindow(), Cwnd: x.GetCwnd(), Ssthresh: x.GetSsthresh(),
			Queued: x.GetQueued(), Unacked: x.GetUnacked(), Sent: x.GetSent(), Received: x.GetReceived(),
			ZLBSent: x.GetZlbSent(), ZLBReceived: x.GetZlbReceived(),
			HelloSent: x.GetHelloSent(), HelloReceived: x.GetHelloReceived(),
			Retransmits: x.GetRetransmits(), Duplicates: x.GetDuplicates(),
			OutOfOrderHeld: x.GetOutOfOrderHeld(), OutOfWindow: x.GetOutOfWindow(),
		},
	}
}

func (a *app) dropTunnel(ctx context.Context, id string) error {
	tid, err := parseID(id, 65535)
	if err != nil {
		return err
	}
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		var reply *lnsv1.DropReply
		err := a.during(ctx, tunnelLeft(tid), func() (err error) {
			reply, err = c.DropTunnel(ctx, &lnsv1.DropTunnelRequest{TunnelId: tid})
			return err
		})
		if err != nil {
			return err
		}
		return a.dropped(reply, "tunnel "+id)
	})
}

// tunnelLeft looks at how many sessions a tunnel still has.
func tunnelLeft(tid uint32) func(context.Context, *api.Client) (string, error) {
	return func(ctx context.Context, c *api.Client) (string, error) {
		t, err := c.Tunnel(ctx, &lnsv1.TunnelRequest{TunnelId: tid})
		return fmt.Sprintf("%d sessions are left", t.GetSessions()), err
	}
}
