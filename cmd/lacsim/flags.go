package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/udp"
)

func parseAuth(s string) (ppp.Auth, error) {
	switch s {
	case "pap":
		return ppp.PAP, nil
	case "chap":
		return ppp.CHAPMD5, nil
	case "mschapv2":
		return ppp.MSCHAPv2, nil
	case "none":
		return ppp.NoAuth, nil
	}
	return 0, fmt.Errorf("--auth %q is none of pap, chap, mschapv2, none", s)
}

// flags declares the flags of run, group by group; they are listed in this order.
func (o *options) flags(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	o.tunnelFlags(cmd)
	o.sessionFlags(cmd)
	o.framingFlags(cmd)
	o.trafficFlags(cmd)
	o.runFlags(cmd)
}

func (o *options) tunnelFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.lns, "lns", "", "address of the LNS, with or without :PORT (required)")
	f.Uint16Var(&o.port, "port", udp.Port, "UDP port of the LNS")
	f.StringSliceVar(&o.bind, "bind", nil, "our addresses; several are so many LACs")
	f.Uint16Var(&o.SourcePort, "source-port", 0, "our UDP port; 0 lets the kernel choose")
	f.BoolVar(&o.SocketPerTunnel, "port-per-tunnel", false, "give each tunnel a UDP port of its own; l2tpns takes only one SCCRQ at a time from a port")
	f.IntVar(&o.Tunnels, "tunnels", 1, "number of tunnels")
	f.StringVar(&o.HostName, "hostname", "lacsim", "our host name; %d is the tunnel's number")
	f.StringVar(&o.Secret, "secret", "", "tunnel secret; empty is no tunnel authentication")
	f.BoolVar(&o.NoChallenge, "no-challenge", false, "don't challenge the LNS although there is a secret")
	f.BoolVar(&o.HideAVPs, "hide-avps", false, "hide the AVPs that may be hidden; needs a secret")
	f.Uint16Var(&o.ReceiveWindow, "window", 64, "receive window that we advertise, in messages")
	f.DurationVar(&o.Hello, "hello", time.Minute, "silence after which HELLO is sent; negative never")
}

func (o *options) sessionFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.IntVar(&o.Sessions, "sessions", 1, "number of sessions, over all tunnels")
	f.IntVar(&o.First, "first", 1, "number of the first session in patterns")
	f.Float64Var(&o.Rate, "rate", 0, "calls per second; 0 as fast as the LNS allows")
	f.IntVar(&o.Parallel, "parallel", 1000, "sessions being set up, or torn down, at one time")
	f.StringVar(&o.auth, "auth", "chap", "how subscribers authenticate: pap, chap, mschapv2, none")
	f.StringVar(&o.User, "user", "user%d", "user name; %d is the session's number")
	f.StringVar(&o.Password, "password", "", "password; %d is the session's number")
	f.StringVar(&o.CallingNumber, "calling", "", "Calling Number AVP; %d is the session's number")
	f.StringVar(&o.CalledNumber, "called", "", "Called Number AVP; %d is the session's number")
	f.BoolVar(&o.ProxyAuth, "proxy-auth", false, "negotiate LCP and collect the credentials in the LAC, send proxy AVPs")
	f.Uint16Var(&o.MRU, "mru", 1492, "MRU that subscribers ask for")
	f.BoolVar(&o.IPv6, "ipv6", false, "open IPV6CP too, and listen to router advertisements")
	f.StringSliceVar(&o.need6, "ipv6-need", nil, "what subscribers must get to be up: prefix (by router advertisement), delegated, address (both by DHCPv6)")
	f.BoolVar(&o.NoIPv4, "no-ipv4", false, "subscribers without IPv4; needs --ipv6")
	f.DurationVar(&o.Echo, "echo", 0, "silence after which subscribers send LCP Echo-Request; 0 never")
	f.DurationVar(&o.Timeout, "timeout", 30*time.Second, "limit for the set-up of a tunnel or session, and for the teardown")
}

func (o *options) framingFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.Framing.Length, "length-bit", false, "data messages with the Length field")
	f.BoolVar(&o.Framing.Sequence, "sequence", false, "data messages with sequence numbers, Sequencing Required AVP")
	f.IntVar(&o.offset, "offset", 0, "data messages with an Offset Size field and that much padding, in bytes")
	f.StringVar(&o.ff03, "ff03", "auto", "address and control bytes before IP: auto (unless ACFC is negotiated), always, never")
	f.BoolVar(&o.ACFC, "acfc", false, "offer address and control field compression")
	f.BoolVar(&o.PFC, "pfc", false, "offer protocol field compression, and use it when agreed")
}

func (o *options) trafficFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Float64Var(&o.Traffic.Rate, "traffic", 0, "packets per second over all sessions")
	f.Float64Var(&o.Traffic.PerSession, "traffic-per-session", 0, "packets per second for each session")
	f.StringVar(&o.target, "traffic-target", "", "ADDRESS:PORT of 'lacsim reflect'")
	f.StringVar(&o.target6, "traffic-target6", "", "[ADDRESS]:PORT of 'lacsim reflect' for IPv6, which is sent in turn with IPv4")
	f.BoolVar(&o.onSignal, "traffic-on-signal", false, "begin the traffic when SIGUSR1 comes, once the sessions are up")
	f.DurationVar(&o.Traffic.Duration, "traffic-time", 0, "end the traffic after this time; 0 at the end of --hold")
	f.IntVar(&o.Traffic.Size, "packet-size", 256, "length of the IP packets in bytes, 68 (IPv6: 88) to 65535")
	f.BoolVar(&o.Traffic.OneWay, "one-way", false, "uplink only: expect no echo")
	f.BoolVar(&o.Traffic.Verify, "verify", false, "compare every byte of every echo; fail on any fault")
	f.Float64Var(&o.maxLoss, "max-loss", 0, "loss accepted with --verify, in percent")
	f.IntVar(&o.Traffic.Hops, "hops", 0, "routers that must have counted down the TTL in each direction; 0 any number")
	f.IntVar(&o.Traffic.Fragment, "fragment", 0, "clear DF and send longer packets in IP fragments of this size; 0 doesn't")
	f.StringVar(&o.TUN, "tun", "", "make this TUN interface the first subscriber, for any program to use (needs root)")
}

func (o *options) runFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.hold, "hold", "0s", "how long to keep the sessions up, or forever")
	f.StringVar(&o.teardown, "teardown", "client", "who ends the sessions: client (LCP Terminate), lac (CDN), tunnel (StopCCN), none (vanish)")
	f.Float64Var(&o.Impair.Loss, "loss", 0, "probability that a control or PPP datagram is lost, each way")
	f.Float64Var(&o.Impair.Duplicate, "duplicate", 0, "probability that one is doubled")
	f.Float64Var(&o.Impair.Reorder, "reorder", 0, "probability that one is delayed past later ones")
	f.Uint64Var(&o.Impair.Seed, "seed", 0, "seed of these faults; 0 is a random one")
	f.IntVar(&o.Workers, "workers", 0, "threads that share the tunnels; 0 is one for each processor")
	f.BoolVar(&o.PerSession, "per-session", false, "list every session in the JSON report")
	f.StringVar(&o.json, "json", "", "write the report as JSON to this file, - for standard output")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no progress, and no report but the JSON one")
}
