package main

import (
	"context"
	"time"

	"github.com/lnsd/lnsd/control/metrics"
	"github.com/lnsd/lnsd/control/session"
)

// metricsSource is the daemon as metrics show it.
type metricsSource struct{ b *backend }

// collectLimit bounds the questions of one collection.
const collectLimit = 5 * time.Second

func (m metricsSource) Counters() []session.Count {
	counts, err := m.b.Counters(context.Background())
	if err != nil {
		return nil
	}
	return counts
}

func (m metricsSource) Histograms() []session.Histogram { return m.b.d.engine.Histograms() }

func (m metricsSource) Servers() []session.AuthServerView { return m.b.d.subscribers.servers() }

func (m metricsSource) Pools() []session.PoolView { return m.b.d.engine.Pools() }

func (m metricsSource) Gauges() metrics.Gauges {
	ctx, cancel := context.WithTimeout(context.Background(), collectLimit)
	defer cancel()
	v := m.b.d.volume()
	g := metrics.Gauges{
		Version: version, Started: m.b.d.started, MaxSessions: m.b.d.maxSessions, Interfaces: map[string]string{},
		UpPackets: v.upPackets, UpBytes: v.upBytes, DownPackets: v.downPackets, DownBytes: v.downBytes,
	}
	// A daemon that is too busy to say shows zeros, and its counters.
	if s, err := m.b.Status(ctx); err == nil {
		g.Sessions, g.SessionsUp, g.Tunnels, g.TunnelsUp, g.Draining = s.Sessions, s.SessionsUp, s.Tunnels, s.TunnelsEstablished, s.Draining
		for _, i := range s.Interfaces {
			g.Interfaces[i.Name] = i.Mode
		}
	}
	return g
}
