package main

import (
	"time"

	"go.uber.org/zap"
)

// settle deals with what an earlier process has left: sessions that were up when it
// died are taken out of the data plane, and their accounts closed with what they had
// counted to the last packet.
func (d *daemon) settle() error {
	left, err := d.fast.Settle(nil, nil)
	if err != nil {
		d.log.Warn("leftovers in the data plane", zap.Error(err))
	}
	if err := d.accounting.recover(left, func(string) bool { return false }, time.Now()); err != nil {
		return err
	}
	d.gardens.Settle()
	d.subscribers.announce()
	d.accounting.start(d.subscribers.radius)
	return nil
}
