package lac

import (
	"encoding/json"
	"io"
	"net/netip"
	"time"
)

// Seconds is a duration that JSON holds as a number of seconds.
type Seconds time.Duration

// MarshalJSON writes seconds with nanosecond precision.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(s).Seconds())
}

// UnmarshalJSON reads a number of seconds.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	var f float64
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	*s = Seconds(f * float64(time.Second))
	return nil
}

// Latency sums up a distribution of durations.
type Latency struct {
	Count uint64  `json:"count"`
	Min   Seconds `json:"min_seconds"`
	Mean  Seconds `json:"mean_seconds"`
	P50   Seconds `json:"p50_seconds"`
	P90   Seconds `json:"p90_seconds"`
	P99   Seconds `json:"p99_seconds"`
	Max   Seconds `json:"max_seconds"`
}

// Report is the outcome of a run. Its JSON form only ever gains fields.
type Report struct {
	LNS      string    `json:"lns"`
	Started  time.Time `json:"started"`
	Duration Seconds   `json:"duration_seconds"`
	// Interrupted is true when the run was stopped before its end.
	Interrupted bool `json:"interrupted"`
	// CPU is the processor time of this process, all threads together. Near the
	// duration times the processors, the emulator was the limit and not the LNS.
	CPU Seconds `json:"cpu_seconds"`

	Tunnels  TunnelReport   `json:"tunnels"`
	Sessions SessionsReport `json:"sessions"`
	Setup    SetupReport    `json:"setup"`
	// Failures lists why tunnels and sessions did not come up or did not stay up.
	Failures []Failure      `json:"failures"`
	Traffic  *TrafficReport `json:"traffic,omitempty"`
	Teardown TeardownReport `json:"teardown"`
	Control  ControlReport  `json:"control"`
	// Each is filled when Config.PerSession is set.
	Each []SessionReport `json:"each,omitempty"`
}

// TunnelReport counts tunnels.
type TunnelReport struct {
	Wanted int `json:"wanted"`
	Up     int `json:"up"`     // that were established
	Failed int `json:"failed"` // that never were
	Lost   int `json:"lost"`   // that ended without our doing
}

// SessionsReport counts sessions.
type SessionsReport struct {
	Wanted int `json:"wanted"`
	Up     int `json:"up"`     // that got an address
	Failed int `json:"failed"` // that never did
	Lost   int `json:"lost"`   // that ended without our doing
	// Unstarted were not tried because the run was interrupted.
	Unstarted int `json:"unstarted"`
}

// SetupReport says how long set-up took.
type SetupReport struct {
	// Duration is from the first call to the last session that came up; Rate is
	// sessions per second in that time.
	Duration Seconds `json:"duration_seconds"`
	Rate     float64 `json:"sessions_per_second"`
	Tunnel   Latency `json:"tunnel"`  // SCCRQ to established
	Call     Latency `json:"call"`    // ICRQ to ICCN
	PPP      Latency `json:"ppp"`     // ICCN to address
	Session  Latency `json:"session"` // ICRQ to address
}

// Failure is one kind of failure and how often it came.
type Failure struct {
	// Stage is tunnel, call, lcp, auth (which includes IPCP until the address) or
	// up.
	Stage string `json:"stage"`
	// Cause is one of the words of cause.go, such as cdn, auth_failed, timeout.
	Cause string `json:"cause"`
	// Code and Error are the Result Code AVP's, for causes cdn and stopccn.
	Code    uint16 `json:"code,omitempty"`
	Error   uint16 `json:"error,omitempty"`
	Meaning string `json:"meaning,omitempty"`
	Message string `json:"message,omitempty"` // what the peer said
	Count   int    `json:"count"`
}

// TrafficReport counts test packets. Bytes are those of the IPv4 packets.
type TrafficReport struct {
	Duration      Seconds `json:"duration_seconds"`
	Sent          uint64  `json:"sent"`
	SentBytes     uint64  `json:"sent_bytes"`
	Received      uint64  `json:"received"` // distinct right echoes
	ReceivedBytes uint64  `json:"received_bytes"`
	// Sent6 and Received6 are the part of Sent and Received that is IPv6.
	Sent6        uint64  `json:"sent6"`
	Received6    uint64  `json:"received6"`
	SendRate     float64 `json:"sent_per_second"`
	ReceiveRate  float64 `json:"received_per_second"`
	Lost         uint64  `json:"lost"`
	LossFraction float64 `json:"loss_fraction"`
	Duplicated   uint64  `json:"duplicated"`
	// Late came so long after later ones that they can't be told from
	// duplicates; they count as lost.
	Late         uint64 `json:"late"`
	Reordered    uint64 `json:"reordered"`
	Misdelivered uint64 `json:"misdelivered"`
	// Wrong counts echoes that failed a check, by kind.
	Wrong   map[string]uint64 `json:"wrong"`
	Foreign uint64            `json:"foreign"` // packets of other traffic
	Pings   uint64            `json:"pings"`   // ICMP echo requests answered
	// ICMPErrors are the errors that came for our packets, as type/code.
	ICMPErrors map[string]uint64 `json:"icmp_errors,omitempty"`
	Fragments  uint64            `json:"fragments_received"`
	// Behind counts packets that were not sent because we could not keep up.
	Behind  uint64  `json:"behind"`
	Latency Latency `json:"latency"`

	verify  bool
	oneWay  bool
	maxLoss float64
}

// TeardownReport says how the sessions and tunnels ended.
type TeardownReport struct {
	Mode     string  `json:"mode"`
	Duration Seconds `json:"duration_seconds"`
	// Sessions ended as asked; Tunnels had their StopCCN acknowledged.
	Sessions int `json:"sessions"`
	Tunnels  int `json:"tunnels"`
	// Unanswered sessions did not get their Terminate-Ack, unanswered tunnels no
	// acknowledgement.
	UnansweredSessions int `json:"unanswered_sessions"`
	UnansweredTunnels  int `json:"unanswered_tunnels"`
}

// ControlReport counts datagrams and what the reliable channels did.
type ControlReport struct {
	DatagramsSent     uint64 `json:"datagrams_sent"`
	DatagramsReceived uint64 `json:"datagrams_received"`
	MessagesSent      uint64 `json:"messages_sent"`
	MessagesReceived  uint64 `json:"messages_received"`
	Retransmits       uint64 `json:"retransmits"`
	Duplicates        uint64 `json:"duplicates"`
	// Strays were for no tunnel or session of ours, or from a wrong address.
	Strays uint64 `json:"strays"`
	// ReceiveDropped were lost by us: the socket's queue, or the worker's, was
	// full. Then the numbers above blame the LNS for what it did not do.
	ReceiveDropped uint64 `json:"receive_dropped"`
	SendErrors     uint64 `json:"send_errors"`
}

// SessionReport is one session's part of the report.
type SessionReport struct {
	Number int `json:"number"` // of the session, from Config.First on
	Tunnel int `json:"tunnel"` // number of the tunnel, from 1 on
	// TunnelID and SessionID are ours, the Peer ones the LNS's.
	TunnelID      uint16     `json:"tunnel_id"`
	SessionID     uint16     `json:"session_id"`
	PeerTunnelID  uint16     `json:"peer_tunnel_id"`
	PeerSessionID uint16     `json:"peer_session_id"`
	User          string     `json:"user"`
	Address       netip.Addr `json:"address"`
	State         string     `json:"state"`
	// Packets and bytes of IPv4 as sent and received, echoes or not.
	SentPackets     uint64 `json:"sent_packets"`
	SentBytes       uint64 `json:"sent_bytes"`
	ReceivedPackets uint64 `json:"received_packets"`
	ReceivedBytes   uint64 `json:"received_bytes"`
	// The same of IPv6, and what the subscriber has got of it.
	SentPackets6     uint64       `json:"sent_packets6"`
	SentBytes6       uint64       `json:"sent_bytes6"`
	ReceivedPackets6 uint64       `json:"received_packets6"`
	ReceivedBytes6   uint64       `json:"received_bytes6"`
	InterfaceID      string       `json:"interface_id,omitempty"`
	Prefix6          netip.Prefix `json:"prefix6,omitzero"`
	Address6         netip.Addr   `json:"address6,omitzero"`
	Delegated        netip.Prefix `json:"delegated,omitzero"`
	Leased6          netip.Addr   `json:"leased6,omitzero"`
	DNS6             []netip.Addr `json:"dns6,omitempty"`
	MTU6             uint32       `json:"mtu6,omitempty"`
}

// OK tells whether everything that was asked for came up, stayed up, and carried
// the traffic.
func (r *Report) OK() bool {
	t, s := r.Tunnels, r.Sessions
	if t.Failed+t.Lost+s.Failed+s.Lost > 0 {
		return false
	}
	if !r.Interrupted && s.Up < s.Wanted {
		return false
	}
	return r.Traffic == nil || r.Traffic.ok()
}

func (t *TrafficReport) ok() bool {
	if !t.verify || t.oneWay {
		return true
	}
	return len(t.Wrong) == 0 && t.Misdelivered == 0 && t.Duplicated == 0 && t.LossFraction <= t.maxLoss
}

// WriteJSON writes the report as one indented JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// Progress is a moment of a run.
type Progress struct {
	Phase   Phase
	Elapsed time.Duration // of the run
	// Tunnels and Sessions are up now; Pending sessions are being set up, Failed
	// never came up, Lost came up and went down; Wanted is their total.
	Tunnels, Sessions, Pending, Failed, Lost, Wanted int
	// Sent and Received count test packets.
	Sent, Received uint64

	failedTunnels int
}

// Phase is a part of a run.
type Phase uint8

// The phases, in order.
const (
	PhaseSetup Phase = iota
	PhaseTraffic
	PhaseHold
	PhaseTeardown
	PhaseDone
)

var phaseNames = [...]string{"setup", "traffic", "hold", "teardown", "done"}

func (p Phase) String() string { return phaseNames[p] }
