package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lnsd/lnsd/test/lac"
)

const aboutReflect = `Sends every UDP packet back to where it came from. It runs on a host behind the
LNS, which must have a route to the subscribers' addresses through the LNS. The
payload comes back unchanged, but for the TTL with which the packet arrived: it is
noted in packets of 'lacsim run', which checks it with --hops.

It runs until Ctrl-C, and then says how much it has seen.`

func newReflectCommand() *cobra.Command {
	var (
		listen string
		sink   bool
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:     "reflect [--listen [ADDRESS]:PORT]",
		Short:   "Answer the traffic of 'lacsim run' from behind the LNS",
		Long:    aboutReflect,
		Example: "  lacsim reflect --listen 198.51.100.9:7007",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			addr, err := parseListen(listen)
			if err != nil {
				return errUsage{err}
			}
			r, err := lac.ListenReflector(addr)
			if err != nil {
				return err
			}
			r.Sink = sink
			fmt.Fprintf(cmd.ErrOrStderr(), "reflecting on %s\n", r.Addr())
			err = r.Run(cmd.Context())
			return errors.Join(err, writeReflected(cmd, r.Counts(), asJSON))
		},
	}
	cmd.Flags().StringVar(&listen, "listen", ":7007", "UDP address and port")
	cmd.Flags().BoolVar(&sink, "sink", false, "only count, send nothing back")
	cmd.Flags().BoolVar(&asJSON, "json", false, "counts as JSON")
	return cmd
}

func writeReflected(cmd *cobra.Command, c lac.Reflected, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(c)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d packets, %d of them probes, %d bytes of payload, %d not sent back\n",
		c.Packets, c.Probes, c.Bytes, c.Failed)
	return err
}

// parseListen reads ADDRESS:PORT or :PORT.
func parseListen(s string) (netip.AddrPort, error) {
	if strings.HasPrefix(s, ":") {
		s = netip.IPv4Unspecified().String() + s
	}
	addr, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--listen %q is not [ADDRESS]:PORT", s)
	}
	return addr, nil
}
