package main

import (
	"context"
	"fmt"
	"net"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/events"
)

// eventsKept is how many events a client may have missed and still read: some minutes
// of a carrier's outage.
const eventsKept = 1 << 14

// management makes a server of the operators' interface; the services are the same
// wherever it listens.
func (d *daemon) management(b *backend, opts ...api.Option) *api.Server {
	opts = append(opts, api.Services(b), api.Restrictions(b), api.Terminal(b.current), api.Commits(b), api.Profiles(b), api.Outgoing(b), api.Events(eventLog{d.events, d.started.UnixNano()}))
	opts = append(opts, api.Traces(d.traces), api.History(stories{d.history}), api.Asked(d.traces.Asked))
	opts = append(opts, api.PacketHooks(b), api.Plugins(b))
	opts = append(opts, api.Interceptions(b), api.Captures(b), api.Accounting(b))
	return api.NewServer(b, d.log.Named("api"), opts...)
}

// remote is where the daemon is managed from afar.
type remote struct {
	listener net.Listener
	option   api.Option
}

func openRemote(c *config.Management) (*remote, error) {
	if !c.Remote.IsValid() {
		return nil, nil
	}
	option, err := remoteOption(c)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", c.Remote.String())
	if err != nil {
		return nil, fmt.Errorf("management from afar: %w", err)
	}
	return &remote{ln, option}, nil
}

func remoteOption(c *config.Management) (api.Option, error) {
	option, err := api.Remote(api.Identity{Certificate: c.RemoteCertificate, Key: c.RemoteKey, Authority: c.RemoteAuthority})
	if err != nil {
		return nil, fmt.Errorf("management from afar: %w (lnsctl make-certificates makes what is missing)", err)
	}
	return option, nil
}

// eventLog is the event log as the interface reads it.
type eventLog struct {
	*events.Log
	epoch int64
}

func (l eventLog) Epoch() int64 { return l.epoch }

func (l eventLog) Follow(ctx context.Context, after uint64, yield func([]api.Event, uint64) error) error {
	var buf []api.Event
	return l.Log.Follow(ctx, after, func(entries []events.Entry, missed uint64) error {
		buf = buf[:0]
		for _, e := range entries {
			buf = append(buf, api.Event(e))
		}
		return yield(buf, missed)
	})
}
