package main

import (
	"fmt"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/capture"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/intercept"
	"github.com/lnsd/lnsd/control/session"
)

// openIntercepts makes what delivers intercepted packets, and the audit log.
func (d *daemon) openIntercepts(c *config.Config) error {
	log := d.log.Named("intercept")
	format, err := intercept.ParseFormat(string(c.Intercept.Format))
	if err != nil {
		return err
	}
	transport, err := intercept.OpenUDP()
	if err != nil {
		return fmt.Errorf("interception: %w", err)
	}
	d.closers = append(d.closers, transport.Close)
	d.intercepts = intercept.New(format, transport, log)
	if d.audit, err = intercept.OpenAudit(c.Intercept.Log, log); err != nil {
		return fmt.Errorf("intercept_log: %w", err)
	}
	d.closers = append(d.closers, d.audit.Close)
	return nil
}

// reloadIntercepts takes over what may change in a running daemon, and goes on in a
// new file where the log was rotated.
func (d *daemon) reloadIntercepts(c *config.Config) error {
	format, err := intercept.ParseFormat(string(c.Intercept.Format))
	if err != nil {
		return err
	}
	d.intercepts.SetFormat(format)
	if err := d.audit.Reopen(c.Intercept.Log); err != nil {
		return fmt.Errorf("intercept_log: %w", err)
	}
	return nil
}

// copies hands the slow path's copies to who wants them.
type copies struct {
	intercepts *intercept.Interceptions
	captures   *capture.Hub
}

func (c copies) Intercepted(p *session.PacketCopy) { c.intercepts.Intercepted(p) }

func (c copies) Captured(p *session.PacketCopy) { c.captures.Captured(p) }

// Interceptions returns who is intercepted.
func (b *backend) Interceptions() []api.Interception {
	var out []api.Interception
	for _, v := range b.d.intercepts.List(b.d.fast) {
		out = append(out, api.Interception{
			Slot: v.Slot, User: v.User, AcctSessionID: v.AcctSessionID, Target: v.Target, Since: v.Since,
			UpPackets: v.UpPackets, UpBytes: v.UpBytes, DownPackets: v.DownPackets, DownBytes: v.DownBytes,
			Lost: v.Lost, NotSent: v.NotSent,
		})
	}
	return out
}
