package main

import (
	"context"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
)

// notify tells systemd of the daemon's state; without systemd it does nothing.
func notify(log *zap.Logger, state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		log.Warn("systemd was not told", zap.String("state", state), zap.Error(err))
	}
}

// watchdog tells systemd that the daemon is alive for as long as alive says so. A
// shard that hangs makes alive run into its deadline, and systemd restarts us.
func watchdog(ctx context.Context, log *zap.Logger, alive func(context.Context) error) {
	interval, err := sd.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return
	}
	tick := time.NewTicker(interval / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		probe, cancel := context.WithTimeout(ctx, interval/3)
		err := alive(probe)
		cancel()
		if err != nil {
			log.Error("a part of the daemon does not answer", zap.Error(err))
			continue
		}
		notify(log, sd.SdNotifyWatchdog)
	}
}
