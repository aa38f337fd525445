package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) statusCommands() []command {
	return []command{
		{words: "show status", help: "Show the daemon as a whole", run: a.showStatus},
		{words: "show version", help: "Show the versions of lnsctl and of the daemon", run: a.showVersion},
	}
}

func (a *app) status(ctx context.Context, f func(*lnsv1.StatusReply) error) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		s, err := c.Status(ctx, &lnsv1.StatusRequest{})
		if err != nil {
			return err
		}
		return f(s)
	})
}

func (a *app) showStatus(ctx context.Context, _ string) error {
	return a.status(ctx, func(s *lnsv1.StatusReply) error {
		if a.json {
			return printJSON(a.env.Out, statusJSON(s))
		}
		t := s.GetTraffic()
		return fields(a.env.Out, []field{
			{"Host name", s.HostName},
			{"Version", s.Version},
			{"Up", span(since(s.Started, s.Now))},
			{"Interfaces", or(interfaces(s.Interfaces), "none: all packets take the slow path")},
			{"Spread", spread(s.SpreadCpus)},
			{"Tunnels", fmt.Sprintf("%d, %d established", s.Tunnels, s.TunnelsEstablished)},
			{"Sessions", fmt.Sprintf("%d, %d up", s.Sessions, s.SessionsUp)},
			{"Draining", yesNo(s.Draining)},
			{"Load average", loads(s.Load)},
			{"Download", fmt.Sprintf("%.1f Mbit/s, %.0f packets/s", t.GetDownBits()/1e6, t.GetDownPackets())},
			{"Upload", fmt.Sprintf("%.1f Mbit/s, %.0f packets/s", t.GetUpBits()/1e6, t.GetUpPackets())},
		})
	})
}

func interfaces(is []*lnsv1.Interface) string {
	var parts []string
	for _, i := range is {
		parts = append(parts, i.Name+" ("+i.Mode+")")
	}
	return strings.Join(parts, ", ")
}

// spread says whether the LACs' data is spread over CPUs.
func spread(cpus []uint32) string {
	if len(cpus) == 0 {
		return "no"
	}
	return fmt.Sprintf("over %d CPUs", len(cpus))
}

func loads(ls []float64) string {
	var parts []string
	for _, l := range ls {
		parts = append(parts, fmt.Sprintf("%.2f", l))
	}
	return strings.Join(parts, ", ")
}

type jsonStatus struct {
	HostName           string          `json:"host_name"`
	Version            string          `json:"version"`
	Started            moment          `json:"started"`
	UpSeconds          secs            `json:"up_seconds"`
	Interfaces         []jsonInterface `json:"interfaces"`
	SpreadCPUs         []uint32        `json:"spread_cpus"`
	Sessions           uint64          `json:"sessions"`
	SessionsUp         uint64          `json:"sessions_up"`
	Tunnels            uint64          `json:"tunnels"`
	TunnelsEstablished uint64          `json:"tunnels_established"`
	Draining           bool            `json:"draining"`
	Load               []float64       `json:"load"`
	UpBits             float64         `json:"up_bits_per_second"`
	DownBits           float64         `json:"down_bits_per_second"`
	UpPackets          float64         `json:"up_packets_per_second"`
	DownPackets        float64         `json:"down_packets_per_second"`
}

type jsonInterface struct {
	Name string `json:"name"`
	Mode string `json:"mode"`
}

func statusJSON(s *lnsv1.StatusReply) jsonStatus {
	t := s.GetTraffic()
	j := jsonStatus{
		HostName: s.HostName, Version: s.Version, Started: moment(s.Started), UpSeconds: secs(since(s.Started, s.Now)),
		Interfaces: []jsonInterface{}, Sessions: s.Sessions, SessionsUp: s.SessionsUp,
		Tunnels: s.Tunnels, TunnelsEstablished: s.TunnelsEstablished, Draining: s.Draining,
		SpreadCPUs: append([]uint32{}, s.SpreadCpus...),
		Load:       append([]float64{}, s.Load...),
		UpBits:     t.GetUpBits(), DownBits: t.GetDownBits(), UpPackets: t.GetUpPackets(), DownPackets: t.GetDownPackets(),
	}
	for _, i := range s.Interfaces {
		j.Interfaces = append(j.Interfaces, jsonInterface{i.Name, i.Mode})
	}
	return j
}

// showVersion tells our own version even when no daemon answers.
func (a *app) showVersion(ctx context.Context, _ string) error {
	daemon := ""
	err := a.status(ctx, func(s *lnsv1.StatusReply) error { daemon = s.Version; return nil })
	if a.json {
		var d *string
		if err == nil {
			d = &daemon
		}
		return joinErr(printJSON(a.env.Out, struct {
			Lnsctl string  `json:"lnsctl"`
			Lnsd   *string `json:"lnsd"`
		}{a.env.Version, d}), err)
	}
	if _, werr := fmt.Fprintf(a.env.Out, "lnsctl %s\n", escape(a.env.Version)); werr != nil || err != nil {
		return joinErr(werr, err)
	}
	_, err = fmt.Fprintf(a.env.Out, "lnsd   %s\n", escape(daemon))
	return err
}

// joinErr is the first of two errors.
func joinErr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// clock is a time of day, in UTC as the logs have it.
func clock(ns int64) string { return time.Unix(0, ns).UTC().Format(time.TimeOnly) }
