package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/api/rows"
)

func (a *app) sessionCommands() []command {
	return []command{
		{words: "show session", alias: "sessions", arg: &arg{"ID", true, sidKind()},
			help: "List the sessions, or show one", run: a.showSession},
		{words: "drop session", arg: &arg{"ID", false, sidKind()},
			help: "Disconnect a session", flags: a.causeFlag, run: a.dropSession},
	}
}

func (a *app) showSession(ctx context.Context, id string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		if id == "" {
			return a.listSessions(ctx, c, &lnsv1.SessionsRequest{})
		}
		sid, err := parseID(id, 1<<20)
		if err != nil {
			return err
		}
		s, err := c.Session(ctx, &lnsv1.SessionRequest{Sid: sid})
		if err != nil {
			return err
		}
		return a.printSession(s)
	})
}

func (a *app) printSession(s *lnsv1.SessionInfo) error {
	if a.json {
		return printJSON(a.env.Out, sessionJSON(s))
	}
	return fields(a.env.Out, sessionFields(s))
}

// sessionColumns are those of the rows that the daemon filters by.
func sessionColumns() (columns []column) {
	for _, c := range rows.SessionColumns() {
		columns = append(columns, column{c.Title, c.Width, c.Right})
	}
	return columns
}

func (a *app) listSessions(ctx context.Context, c *api.Client, r *lnsv1.SessionsRequest) error {
	if a.json {
		l := &jsonList{w: a.env.Out}
		if err := eachSession(ctx, c, r, func(s *lnsv1.SessionInfo) error { return l.item(sessionJSON(s)) }); err != nil {
			return err
		}
		return l.end()
	}
	r.Filters = a.lineFilters()
	t, first := &table{w: a.env.Out, columns: sessionColumns()}, true
	err := eachSession(ctx, c, r, func(s *lnsv1.SessionInfo) error {
		if err := t.row(rows.Session(s)...); err != nil || !first {
			return err
		}
		// The operator sees at once that there is an answer.
		first = false
		return a.flush()
	})
	if err != nil {
		return err
	}
	return t.head()
}

// lineFilters are those filters that the daemon can apply before it sends a row: the
// first ones, as far as each line passes or does not whatever came before it.
func (a *app) lineFilters() (out []*lnsv1.LineFilter) {
	for _, f := range a.filters {
		if f.verb != "include" && f.verb != "exclude" {
			break
		}
		out = append(out, &lnsv1.LineFilter{Exclude: f.verb == "exclude", Pattern: f.pattern.String()})
	}
	return out
}

// userName is a session's user, "*" until authenticated.
func userName(s *lnsv1.SessionInfo) string { return rows.UserName(s) }

// idle is the time since user traffic, or since the session came up without any.
func idle(s *lnsv1.SessionInfo) time.Duration { return rows.Idle(s) }

func number(n uint32) string { return rows.Number(uint64(n)) }

func count(n uint64) string { return rows.Number(n) }

func sessionFields(s *lnsv1.SessionInfo) []field {
	n := s.GetCounters()
	fs := []field{
		{"Session", number(s.Sid)},
		{"State", s.State},
		{"User", userName(s)},
		{"Authentication", s.AuthMethod},
		{"IP address", or(s.Address, "none")},
		{"Routes", or(strings.Join(s.Routes, ", "), "none")},
		{"DNS", or(strings.Join(s.Dns, ", "), "none")},
		{"IPv6 prefix", or(strings.Join(append(s.GetNetwork6().GetPrefixes(), s.GetNetwork6().GetAddresses()...), ", "), "none")},
		{"Delegated", or(strings.Join(s.GetNetwork6().GetDelegated(), ", "), "none")},
		{"IPv6 routes", or(strings.Join(s.GetNetwork6().GetRoutes(), ", "), "none")},
		{"IPv6 DNS", or(strings.Join(s.GetNetwork6().GetDns(), ", "), "none")},
		{"Interface ID", or(s.GetNetwork6().GetInterfaceId(), "none")},
		{"DHCPv6", or(leases6(s), "none")},
		{"Fast path", yesNo(s.FastPath)},
		{"LAC", fmt.Sprintf("%s (%s)", s.Lac, or(s.LacName, "no name"))},
		{"Tunnel", fmt.Sprintf("%d, peer's %d", s.TunnelId, s.PeerTunnelId)},
		{"Call", fmt.Sprintf("%d, peer's %d, serial %d", s.SessionId, s.PeerSessionId, s.CallSerial)},
		{"Calling number", or(s.CallingNumber, "none")},
		{"Called number", or(s.CalledNumber, "none")},
		{"Line speed", fmt.Sprintf("down %d bit/s, up %d bit/s", s.TxSpeed, s.RxSpeed)},
		{"Accounting ID", s.AcctSessionId},
		{"Opened", span(since(s.Opened, s.Now)) + " ago"},
		{"Idle", span(idle(s))},
		{"Session timeout", limit(s.SessionTimeout)},
		{"Idle timeout", limit(s.IdleTimeout)},
		{"Interim interval", limit(s.InterimInterval)},
		{"Downloaded", fmt.Sprintf("%d bytes, %d packets, %d dropped", n.GetDownBytes(), n.GetDownPackets(), n.GetDownDropped())},
		{"Uploaded", fmt.Sprintf("%d bytes, %d packets, %d dropped", n.GetUpBytes(), n.GetUpPackets(), n.GetUpDropped())},
		{"Downloaded IPv6", fmt.Sprintf("%d bytes, %d packets", n.GetDownBytes6(), n.GetDownPackets6())},
		{"Uploaded IPv6", fmt.Sprintf("%d bytes, %d packets", n.GetUpBytes6(), n.GetUpPackets6())},
		{"MRU and MTU", fmt.Sprintf("%d and %d bytes", s.Mru, s.Mtu)},
		{"Magic numbers", fmt.Sprintf("%08x, peer's %08x", s.LocalMagic, s.PeerMagic)},
		{"Framing", framing(s.GetFraming())},
	}
	return append(fs, servicesFields(s)...)
}

// leases6 lists what the subscriber's DHCPv6 client has, and for how long.
func leases6(s *lnsv1.SessionInfo) string {
	var parts []string
	for _, l := range s.GetNetwork6().GetLeases() {
		left := "expired"
		if l.Until > s.Now {
			left = "for " + span(since(s.Now, l.Until))
		}
		parts = append(parts, l.Prefix+" "+left)
	}
	return strings.Join(parts, ", ")
}

// framing names the optional parts of data packets' headers.
func framing(f *lnsv1.Framing) string {
	var parts []string
	for _, p := range []struct {
		on   bool
		name string
	}{
		{f.GetLength(), "length"}, {f.GetSequence(), "sequence numbers"},
		{f.GetAddressControl(), "address and control"}, {f.GetCompressProtocol(), "short protocol"},
	} {
		if p.on {
			parts = append(parts, p.name)
		}
	}
	return or(strings.Join(parts, ", "), "plain")
}

type jsonSession struct {
	SID             uint32      `json:"sid"`
	TID             uint32      `json:"tid"`
	SessionID       uint32      `json:"session_id"`
	PeerTunnelID    uint32      `json:"peer_tunnel_id"`
	PeerSessionID   uint32      `json:"peer_session_id"`
	State           string      `json:"state"`
	User            string      `json:"user"`
	UserVerified    bool        `json:"user_verified"`
	AuthMethod      string      `json:"auth_method"`
	Address         string      `json:"address"`
	Routes          []string    `json:"routes"`
	DNS             []string    `json:"dns"`
	VRF             uint32      `json:"vrf"`
	LAC             string      `json:"lac"`
	LACName         string      `json:"lac_name"`
	CallingNumber   string      `json:"calling_number"`
	CalledNumber    string      `json:"called_number"`
	CallSerial      uint32      `json:"call_serial"`
	TxSpeed         uint32      `json:"tx_speed_bps"`
	RxSpeed         uint32      `json:"rx_speed_bps"`
	AcctSessionID   string      `json:"acct_session_id"`
	Opened          moment      `json:"opened"`
	UpSince         moment      `json:"up_since"`
	OpenedSeconds   secs        `json:"opened_seconds"`
	IdleSeconds     secs        `json:"idle_seconds"`
	SessionTimeout  secs        `json:"session_timeout_seconds"`
	IdleTimeout     secs        `json:"idle_timeout_seconds"`
	InterimInterval secs        `json:"interim_interval_seconds"`
	UpPackets       uint64      `json:"up_packets"`
	UpBytes         uint64      `json:"up_bytes"`
	UpDropped       uint64      `json:"up_dropped"`
	DownPackets     uint64      `json:"down_packets"`
	DownBytes       uint64      `json:"down_bytes"`
	DownDropped     uint64      `json:"down_dropped"`
	LastSeen        moment      `json:"last_seen"`
	MRU             uint32      `json:"mru"`
	MTU             uint32      `json:"mtu"`
	LocalMagic      uint32      `json:"local_magic"`
	PeerMagic       uint32      `json:"peer_magic"`
	Framing         jsonFraming `json:"framing"`
	FastPath        bool        `json:"fast_path"`
	Intercepted     bool        `json:"intercepted"`
	Throttled       bool        `json:"throttled"`
	Gardened        bool        `json:"gardened"`
	IPv6            bool        `json:"ipv6"`
	// The members below are what is done to the packets; the interception is told only
	// to those who may intercept.
	UpRate     jsonRate `json:"up_rate"`
	DownRate   jsonRate `json:"down_rate"`
	FilterUp   string   `json:"filter_up"`
	FilterDown string   `json:"filter_down"`
	Garden     string   `json:"garden"`
	Intercept  string   `json:"intercept,omitempty"`
	// The members below are the IPv6 part; up and down count it within the sums above.
	InterfaceID  string       `json:"interface_id"`
	Prefixes6    []string     `json:"prefixes6"`
	Addresses6   []string     `json:"addresses6"`
	Delegated    []string     `json:"delegated"`
	Routes6      []string     `json:"routes6"`
	DNS6         []string     `json:"dns6"`
	Leases6      []jsonLease6 `json:"leases6"`
	UpPackets6   uint64       `json:"up_packets6"`
	UpBytes6     uint64       `json:"up_bytes6"`
	DownPackets6 uint64       `json:"down_packets6"`
	DownBytes6   uint64       `json:"down_bytes6"`
}

type jsonLease6 struct {
	Prefix string `json:"prefix"`
	Until  moment `json:"until"`
}

type jsonRate struct {
	Bits  uint64 `json:"bits_per_second"`
	Burst uint32 `json:"burst_bytes"`
}

type jsonFraming struct {
	Length           bool `json:"length"`
	Sequence         bool `json:"sequence"`
	AddressControl   bool `json:"address_control"`
	CompressProtocol bool `json:"compress_protocol"`
}

func sessionJSON(s *lnsv1.SessionInfo) jsonSession {
	n, f, six, x := s.GetCounters(), s.GetFraming(), s.GetNetwork6(), s.GetServices()
	leases := []jsonLease6{}
	for _, l := range six.GetLeases() {
		leases = append(leases, jsonLease6{l.Prefix, moment(l.Until)})
	}
	return jsonSession{
		InterfaceID: six.GetInterfaceId(), Prefixes6: list(six.GetPrefixes()), Addresses6: list(six.GetAddresses()),
		Delegated: list(six.GetDelegated()), Routes6: list(six.GetRoutes()), DNS6: list(six.GetDns()), Leases6: leases,
		UpPackets6: n.GetUpPackets6(), UpBytes6: n.GetUpBytes6(), DownPackets6: n.GetDownPackets6(), DownBytes6: n.GetDownBytes6(),
		SID: s.Sid, TID: s.TunnelId, SessionID: s.SessionId, PeerTunnelID: s.PeerTunnelId, PeerSessionID: s.PeerSessionId,
		State: s.State, User: s.User, UserVerified: s.UserVerified, AuthMethod: s.AuthMethod,
		Address: s.Address, Routes: list(s.Routes), DNS: list(s.Dns), VRF: s.Vrf, LAC: s.Lac, LACName: s.LacName,
		CallingNumber: s.CallingNumber, CalledNumber: s.CalledNumber, CallSerial: s.CallSerial,
		TxSpeed: s.TxSpeed, RxSpeed: s.RxSpeed, AcctSessionID: s.AcctSessionId,
		Opened: moment(s.Opened), UpSince: moment(s.UpSince),
		OpenedSeconds: secs(since(s.Opened, s.Now)), IdleSeconds: secs(idle(s)),
		SessionTimeout: secs(s.SessionTimeout), IdleTimeout: secs(s.IdleTimeout), InterimInterval: secs(s.InterimInterval),
		UpPackets: n.GetUpPackets(), UpBytes: n.GetUpBytes(), UpDropped: n.GetUpDropped(),
		DownPackets: n.GetDownPackets(), DownBytes: n.GetDownBytes(), DownDropped: n.GetDownDropped(),
		LastSeen: moment(n.GetLastSeen()), MRU: s.Mru, MTU: s.Mtu, LocalMagic: s.LocalMagic, PeerMagic: s.PeerMagic,
		Framing:  jsonFraming{f.GetLength(), f.GetSequence(), f.GetAddressControl(), f.GetCompressProtocol()},
		FastPath: s.FastPath, Intercepted: s.Intercepted, Throttled: s.Throttled, Gardened: s.Gardened, IPv6: s.Ipv6,
		UpRate: jsonRate{x.GetUp().GetBits(), x.GetUp().GetBurst()}, DownRate: jsonRate{x.GetDown().GetBits(), x.GetDown().GetBurst()},
		FilterUp: x.GetFilterUp(), FilterDown: x.GetFilterDown(), Garden: x.GetGarden(), Intercept: x.GetIntercept(),
	}
}

// causeFlag adds --cause.
func (a *app) causeFlag(cmd *cobra.Command) {
	const name = "cause"
	cmd.Flags().StringVar(&a.cause, name, "admin-reset", "cause for accounting: "+strings.Join(causeNames(), ", "))
	offer := cobra.FixedCompletions(causeNames(), cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc(name, offer); err != nil {
		panic(err) // only for a flag that does not exist
	}
}

// causes are the terminate causes that an operator can mean (RFC 2866 section
// 5.10), by their names there.
func causes() []struct {
	name string
	code uint32
} {
	return []struct {
		name string
		code uint32
	}{
		{"admin-reset", 6}, {"admin-reboot", 7}, {"nas-request", 10}, {"nas-reboot", 11}, {"service-unavailable", 15},
	}
}

func causeNames() []string {
	var names []string
	for _, c := range causes() {
		names = append(names, c.name)
	}
	return names
}

func (a *app) causeCode() (uint32, error) {
	for _, c := range causes() {
		if c.name == a.cause {
			return c.code, nil
		}
	}
	return 0, usageError{fmt.Errorf("--cause must be one of %s", strings.Join(causeNames(), ", "))}
}

func (a *app) dropSession(ctx context.Context, id string) error {
	cause, err := a.causeCode()
	if err != nil {
		return err
	}
	sid, err := parseID(id, 1<<20)
	if err != nil {
		return err
	}
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.DropSession(ctx, &lnsv1.DropSessionRequest{Sid: sid, Cause: cause})
		if err != nil {
			return err
		}
		return a.dropped(reply, "session "+id)
	})
}

// dropped says what a drop did.
func (a *app) dropped(r *lnsv1.DropReply, what string) error {
	if a.json {
		return printJSON(a.env.Out, struct {
			Sessions uint64 `json:"sessions"`
		}{r.Sessions})
	}
	noun := "sessions"
	if r.Sessions == 1 {
		noun = "session"
	}
	_, err := fmt.Fprintf(a.env.Out, "%s dropped: %d %s\n", escape(what), r.Sessions, noun)
	return err
}
