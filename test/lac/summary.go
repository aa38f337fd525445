package lac

import (
	"time"

	"golang.org/x/sys/unix"
)

// report collects what the workers have counted so far.
func (r *runner) report() *Report {
	report := &Report{
		LNS:         r.cfg.LNS.String(),
		Started:     r.epoch.UTC().Truncate(time.Millisecond),
		Duration:    Seconds(time.Since(r.epoch)),
		Interrupted: r.interrupted,
		CPU:         Seconds(processorTime() - r.cpu),
	}
	report.Tunnels.Wanted, report.Sessions.Wanted = r.cfg.Tunnels, r.cfg.Sessions
	report.Teardown.Mode = r.cfg.Teardown.String()
	if !r.teardown.IsZero() {
		report.Teardown.Duration = Seconds(time.Since(r.teardown))
	}
	total := newStats()
	for i, w := range r.workers {
		r.inspect(i, func() {
			total.merge(&w.stats)
			w.control(&report.Control)
			if r.cfg.PerSession {
				report.Each = w.sessions(report.Each)
			}
		})
	}
	total.fill(report)
	if r.trafficTime > 0 {
		report.Traffic = total.traffic(&r.cfg.Traffic, r.trafficTime)
	}
	return report
}

// processorTime is what this process has used so far, in user and kernel mode.
func processorTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// inspect calls f while worker i does nothing else.
func (r *runner) inspect(i int, f func()) {
	done := make(chan struct{})
	r.workers[i].do(r.ended[i], func() { f(); close(done) })
	select {
	case <-done:
	case <-r.ended[i]:
		select {
		case <-done: // it was carried out last
		default:
			f()
		}
	}
}

// control adds up the worker's datagrams and its reliable channels.
func (w *worker) control(c *ControlReport) {
	for _, s := range w.sockets {
		for _, count := range s.udp.Counts() {
			switch count.Name {
			case "udp_tx_packets":
				c.DatagramsSent += count.Value
			case "udp_rx_packets":
				c.DatagramsReceived += count.Value
			case "udp_rx_queue_dropped", "udp_rx_truncated":
				c.ReceiveDropped += count.Value
			case "udp_tx_errors":
				c.SendErrors += count.Value
			}
		}
	}
	c.ReceiveDropped += w.box.drops()
	for _, t := range w.tunnels {
		st := t.l2tp.Stats()
		c.MessagesSent += st.Sent
		c.MessagesReceived += st.Received
		c.Retransmits += st.Retransmits
		c.Duplicates += st.Duplicates
	}
}

// sessions appends a report for each session.
func (w *worker) sessions(list []SessionReport) []SessionReport {
	for _, t := range w.tunnels {
		for _, s := range t.all {
			list = append(list, SessionReport{
				Number:          s.number(),
				Tunnel:          t.number + 1,
				TunnelID:        t.l2tp.ID(),
				SessionID:       s.id,
				PeerTunnelID:    t.l2tp.PeerID(),
				PeerSessionID:   s.peerID,
				User:            expand(w.cfg.User, s.number()),
				Address:         s.address,
				State:           s.state.String(),
				SentPackets:     s.flow.sentPackets,
				SentBytes:       s.flow.sentBytes,
				ReceivedPackets: s.flow.receivedPackets,
				ReceivedBytes:   s.flow.receivedBytes,

				SentPackets6:     s.flow6.sentPackets,
				SentBytes6:       s.flow6.sentBytes,
				ReceivedPackets6: s.flow6.receivedPackets,
				ReceivedBytes6:   s.flow6.receivedBytes,
				InterfaceID:      s.six.identifier(),
				Prefix6:          s.six.prefix,
				Address6:         s.six.address,
				Delegated:        s.six.delegated,
				Leased6:          s.six.leased,
				DNS6:             s.six.dns,
				MTU6:             s.six.mtu,
			})
		}
	}
	return list
}
