// Package metrics shows the daemon to Prometheus. What the engine and the paths count
// is read when it is asked for; nothing is counted here. The number of series is
// bounded by the configuration, never by subscribers or by what they send.
package metrics

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lnsd/lnsd/control/session"
)

// Source is the daemon. Its methods may be called from any goroutine.
type Source interface {
	// Counters are all that `lnsctl show counters` shows.
	Counters() []session.Count
	Histograms() []session.Histogram
	Servers() []session.AuthServerView
	Pools() []session.PoolView
	Gauges() Gauges
}

// Gauges are what rises and falls.
type Gauges struct {
	Version           string
	Started           time.Time
	Sessions, Tunnels int
	SessionsUp        int
	TunnelsUp         int
	MaxSessions       int
	Draining          bool
	// Interfaces are the fast path's, with their mode: native, generic or none.
	Interfaces map[string]string
	// Totals of the subscribers' traffic since the start, both paths.
	UpPackets, UpBytes, DownPackets, DownBytes uint64
}

const namespace = "lnsd"

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

var (
	buildInfo   = desc("build_info", "Always 1; the label is the version.", "version")
	startTime   = desc("start_time_seconds", "When the daemon was started, as Unix time.")
	sessionsNow = desc("sessions", "Sessions, by state: up, or on their way up or down.", "state")
	tunnelsNow  = desc("tunnels", "Tunnels, by state: established, or on their way up or down.", "state")
	sessionsMax = desc("sessions_limit", "Sessions there may be at once.")
	draining    = desc("draining", "1 while new tunnels and calls are refused.")
	interfaces  = desc("xdp_interface_info", "Always 1; the labels are an interface of the fast path and its mode.", "interface", "mode")
	packets     = desc("subscriber_packets_total", "Packets of subscribers forwarded; up is from them.", "direction")
	bytes       = desc("subscriber_bytes_total", "Bytes of the frames that carried them in.", "direction")
	addresses   = desc("pool_addresses", "Addresses or prefixes of a pool: used, reserved for a user, or free.", "pool", "state")

	serverUp    = desc("radius_up", "1 while the server is not taken to be dead.", "server", "purpose")
	inFlight    = desc("radius_in_flight", "Requests that wait for an answer.", "server", "purpose")
	queued      = desc("radius_queued", "Requests that wait to be sent.", "server", "purpose")
	requests    = desc("radius_requests_total", "Packets sent, repetitions included.", "server", "purpose")
	retries     = desc("radius_retries_total", "Repetitions of a request.", "server", "purpose")
	answers     = desc("radius_answers_total", "Answers, by kind.", "server", "purpose", "kind")
	timeouts    = desc("radius_timeouts_total", "Requests given up.", "server", "purpose")
	badAnswers  = desc("radius_bad_answers_total", "Answers from strangers or with a wrong signature.", "server", "purpose")
	roundTrips  = desc("radius_round_trip_seconds", "Times to the answer of requests that were sent once.", "server", "purpose")
	xdpPackets  = desc("xdp_packets_total", "Frames by what the fast path did with them, and why.", "verdict", "reason")
	xdpBytes    = desc("xdp_bytes_total", "Bytes of frames by what the fast path did with them, and why.", "verdict", "reason")
	messages    = desc("control_messages_total", "L2TP control messages; discarded ones are received and of no use.", "type", "result")
	discarded   = desc("control_discarded_total", "L2TP control messages of no use, by reason.", "reason")
	setupFailed = desc("session_setup_failures_by_stage_total", "Set-ups that failed, by the stage that they were in.", "stage")
	setupTimes  = desc("session_setup_seconds", "Times of the stages of set-up; all is from the call to the session being up.", "stage")
	openTimes   = desc("session_open_seconds", "How long sessions were up when they ended.")
	idleTimes   = desc("session_idle_seconds", "For how long no packet had passed when sessions ended.")
)

// Collector is a prometheus.Collector. It describes nothing: which counters there are
// depends on what is configured.
type Collector struct{ source Source }

// NewCollector collects from a source.
func NewCollector(s Source) *Collector { return &Collector{s} }

// Describe sends nothing, which makes the collector an unchecked one.
func (c *Collector) Describe(chan<- *prometheus.Desc) {}

// Collect reads everything.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	out := sink(ch)
	out.gauges(c.source.Gauges())
	for _, x := range c.source.Counters() {
		out.count(x)
	}
	for _, h := range c.source.Histograms() {
		out.histogram(&h)
	}
	for _, p := range c.source.Pools() {
		out.pool(&p)
	}
	for _, s := range c.source.Servers() {
		out.server(&s)
	}
}

type sink chan<- prometheus.Metric

func (ch sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (ch sink) counter(d *prometheus.Desc, v uint64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func (ch sink) gauges(g Gauges) {
	ch.gauge(buildInfo, 1, text(g.Version))
	ch.gauge(startTime, float64(g.Started.UnixMilli())/1e3)
	ch.gauge(sessionsNow, float64(g.SessionsUp), "up")
	ch.gauge(sessionsNow, float64(max(g.Sessions-g.SessionsUp, 0)), "other")
	ch.gauge(tunnelsNow, float64(g.TunnelsUp), "established")
	ch.gauge(tunnelsNow, float64(max(g.Tunnels-g.TunnelsUp, 0)), "other")
	ch.gauge(sessionsMax, float64(g.MaxSessions))
	ch.gauge(draining, truth(g.Draining))
	for name, mode := range g.Interfaces {
		ch.gauge(interfaces, 1, text(name), mode)
	}
	ch.counter(packets, g.UpPackets, "up")
	ch.counter(packets, g.DownPackets, "down")
	ch.counter(bytes, g.UpBytes, "up")
	ch.counter(bytes, g.DownBytes, "down")
}

func (ch sink) pool(p *session.PoolView) {
	name := text(p.Name)
	ch.gauge(addresses, float64(p.Used), name, "used")
	ch.gauge(addresses, float64(p.Reserved), name, "reserved")
	ch.gauge(addresses, float64(max(p.Size-p.Used-p.Reserved, 0)), name, "free")
}

func (ch sink) server(s *session.AuthServerView) {
	name, purpose := text(s.Name), s.Purpose
	if s.Group != "" {
		name = text(s.Group + "/" + s.Name)
	}
	ch.gauge(serverUp, truth(s.State != "dead"), name, purpose)
	ch.gauge(inFlight, float64(s.InFlight), name, purpose)
	ch.gauge(queued, float64(s.Queued), name, purpose)
	ch.counter(requests, s.Sent, name, purpose)
	ch.counter(retries, s.Retries, name, purpose)
	ch.counter(answers, s.Accepts, name, purpose, "accept")
	ch.counter(answers, s.Rejects, name, purpose, "reject")
	ch.counter(answers, s.Responses-min(s.Responses, s.Accepts+s.Rejects), name, purpose, "other")
	ch.counter(timeouts, s.Timeouts, name, purpose)
	ch.counter(badAnswers, s.BadAnswers, name, purpose)
	if len(s.RTT.Counts) > 0 {
		ch <- constHistogram(roundTrips, &s.RTT, name, purpose)
	}
}

func (ch sink) histogram(h *session.Histogram) {
	switch h.Name {
	case "session_setup":
		ch <- constHistogram(setupTimes, h, h.Value)
	case "session_open":
		ch <- constHistogram(openTimes, h)
	case "session_idle":
		ch <- constHistogram(idleTimes, h)
	}
}

func constHistogram(d *prometheus.Desc, h *session.Histogram, labels ...string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(h.Bounds))
	sum := uint64(0)
	for i, b := range h.Bounds {
		sum += h.Counts[i]
		buckets[b.Seconds()] = sum
	}
	sum += h.Counts[len(h.Bounds)]
	return prometheus.MustNewConstHistogram(d, sum, h.Sum.Seconds(), buckets, labels...)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// text makes a string fit for a label, which has to be valid UTF-8.
func text(s string) string { return strings.ToValidUTF8(s, "?") }
