package cli_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/cli"
	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/apitest"
	"github.com/lnsd/lnsd/control/dhcp6"
	"github.com/lnsd/lnsd/control/session"
)

var update = flag.Bool("update", false, "write the golden files anew")

// now is the clock of the daemon in all tests.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// lctl runs lnsctl against a socket and returns what it printed and its exit code.
func lctl(socket string, args ...string) (string, int) {
	var out, errs bytes.Buffer
	code := cli.Run(context.Background(), cli.Env{Out: &out, Err: &errs, Version: "1.0-test", Socket: socket}, args)
	text := out.String()
	if errs.Len() > 0 {
		text += "--- stderr\n" + errs.String()
	}
	return strings.ReplaceAll(text, socket, "SOCKET"), code
}

func daemon() *apitest.Backend {
	return &apitest.Backend{
		StatusValue: api.Status{
			Version: "1.0-test", HostName: "lns1", Started: ago(26*time.Hour + 3*time.Minute),
			Interfaces: []api.Interface{{Name: "eth0", Mode: "native"}, {Name: "eth1", Mode: "generic"}},
			SpreadCPUs: []int{0, 1, 2, 3},
			Sessions:   5, SessionsUp: 3, Tunnels: 3, TunnelsEstablished: 2,
			Load:    [3]float64{0.5, 0.25, 0.125},
			Traffic: api.Traffic{UpBits: 6.2e6, DownBits: 31.4e6, UpPackets: 2569, DownPackets: 3033},
		},
		SessionList: sessions(),
		TunnelList:  tunnels(),
		PoolList: []session.PoolView{
			{Name: "default", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("10.0.9.9/32")}, Size: 257, Used: 2, Reserved: 2},
			{Name: "business", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/30")}, Size: 4},
			{Name: "pd", Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8:100::/40")}, Length: 56, Size: 65536, Used: 1, Reserved: 1},
		},
		LeaseList: []session.LeaseView{
			{Pool: "default", Address: netip.MustParseAddr("10.0.0.7"), InUse: true, Ref: session.Ref{TunnelID: 4711, SessionID: 815}, User: "alice@example", Since: ago(time.Hour)},
			{Pool: "default", Address: netip.MustParseAddr("10.0.0.8"), User: "bob@example", Since: ago(1548 * time.Second)},
			{Pool: "business", Address: netip.MustParseAddr("10.1.0.1"), InUse: true, Ref: session.Ref{TunnelID: 4711, SessionID: 816}, User: "evil\x1b[2Jname", Since: ago(time.Minute)},
			{Pool: "pd", Prefix: netip.MustParsePrefix("2001:db8:100::/56"), InUse: true, Ref: session.Ref{TunnelID: 4711, SessionID: 815}, User: "alice@example", Since: ago(time.Hour)},
		},
		CounterList: []session.Count{{Name: "tunnel_created", Value: 12}, {Name: "session_created", Value: 18446744073709551615}, {Name: "auth_rejected", Value: 0}, {Name: "radius_realm_refused", Value: 2}, {Name: "radius_down_gardened", Value: 5}},
		AuthList: []session.AuthServerView{
			{Group: "default", Priority: 1, Weight: 3, StatusSent: 4, StatusAnswers: 3, Name: "192.0.2.10:1812", Purpose: "auth", State: "up", InFlight: 3, Sent: 1000, Retries: 4, Accepts: 990, Rejects: 7, Responses: 997,
				RTT50: 1200 * time.Microsecond, RTT99: 15 * time.Millisecond, MessageAuthenticator: true},
			{Group: "wholesale", Priority: 10, Weight: 1, Name: "192.0.2.11:1813", Purpose: "acct", State: "dead", DeadUntil: now.Add(12 * time.Second), Queued: 40, Sent: 90, Timeouts: 90, BadAnswers: 1},
		},
		CaptureList: []api.ActiveCapture{
			{Capture: api.Capture{User: "alice@example", By: "uid 0"}, Since: ago(time.Minute), Sessions: 1, Packets: 1200, Dropped: 3},
			{Capture: api.Capture{LAC: netip.MustParseAddr("2001:db8::5"), Secrets: true, By: "evil\x1b[2Jname"}, Since: ago(time.Hour), Sessions: 1024, Packets: 9, Dropped: 0},
			{Capture: api.Capture{Slot: 7, By: "uid 0"}, Since: ago(time.Second)}, {Capture: api.Capture{Calling: "0301234567", By: "uid 0"}, Since: ago(time.Second)},
		},
		Spooled: api.AccountingState{
			Enabled: true, UsageDir: "/var/lib/lnsd/usage",
			Spool: api.AccountingSpool{
				Dir: "/var/lib/lnsd/accounting", Waiting: 40, InFlight: 2, Open: 3, Bytes: 81920, Limit: 1 << 30, Oldest: ago(time.Hour),
				Written: 1042, Delivered: 1000, Unanswered: 7, ReadBack: 5, Found: 4, Recovered: 6, Damaged: 1, InterimRefused: 8, StartsRefused: 9, Lost: 10, Unwritten: 11,
			},
			Servers: []session.AuthServerView{
				{Group: "default", Name: "192.0.2.10:1813", Purpose: "acct", State: "up", InFlight: 2, Sent: 1003, Retries: 4, Responses: 1000, Timeouts: 1, BadAnswers: 2, RTT50: 1200 * time.Microsecond, RTT99: 15 * time.Millisecond},
				{Group: "default", Name: "192.0.2.11:1813", Purpose: "acct", State: "dead", DeadUntil: now.Add(12 * time.Second), Queued: 40},
			},
		},
		Default: session.Rate{Bits: 28_000},
		ClientList: []api.RadiusClient{
			{Name: "billing", Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.20/32"), netip.MustParsePrefix("198.51.100.0/28")}, Signs: true, Requests: 12, Refused: 3},
			{Name: "court", Sources: []netip.Prefix{netip.MustParsePrefix("2001:db8::7/128")}, Intercept: true, Discarded: 4},
		},
		Lists: []api.AccessList{
			{Command: "ip access-list extended no-mail", Name: "no-mail", Denied: 7, Rules: []api.AccessRule{{Text: "deny tcp any any eq 25", Packets: 12}, {Text: "permit ip any any", Packets: 123456789012}}},
			{Command: "ipv6 access-list standard no-mail", Name: "no-mail"},
			{Command: "ip access-list standard web", Name: "web", Rules: []api.AccessRule{{Text: "permit host 192.0.2.80"}}},
		},
		Intercepted: []api.Interception{
			{Slot: 1, User: "alice@example", AcctSessionID: "68c2a3b400000001", Target: netip.MustParseAddrPort("192.0.2.77:9000"), Since: ago(time.Hour),
				UpPackets: 1000, UpBytes: 64000, DownPackets: 2000, DownBytes: 2800000, Lost: 3, NotSent: 1},
			{Slot: 2, User: "evil\x1b[2Jname", AcctSessionID: "68c2a3b400000002", Target: netip.MustParseAddrPort("[2001:db8::77]:9000"), Since: ago(time.Minute)},
		},
		GardenList: []api.Garden{
			{Name: "unpaid", Sessions: 2, Prefixes: 5, DNS: 40, Portal: 3, Up: api.GardenTally{Packets: 100, Bytes: 12000}, Down: api.GardenTally{Packets: 90, Bytes: 99000}, UpDropped: api.GardenTally{Packets: 1000, Bytes: 64000}, DownDropped: api.GardenTally{Packets: 1, Bytes: 40}},
			{Name: "abuse", Error: "nftables: operation not permitted"},
		},
		Hooks: [2]api.PacketHook{{Function: "count_dns", Source: "uid 0", Maps: []string{"/sys/fs/bpf/lns/hook_up_dns_questions"}}},
		PluginList: []api.Plugin{
			{Name: "stripdomain", BuiltIn: true, State: "running", Events: []string{"pre_auth"}, Timeout: time.Second, Calls: 12},
			{Name: "example", State: "running", Version: "1.0", PID: 4711, Events: []string{"pre_auth", "timer"}, Closed: true, Timeout: 500 * time.Millisecond, Calls: 1200, Stopped: 2, Errors: 3, Failures: 5, Timeouts: 4, Restarts: 1},
			{Name: "lost", State: "fork/exec /nonexistent: no such file", Timeout: time.Second, Restarts: 7},
		},
		Config: "set bind_address 192.0.2.1\n# set l2tp_secret (hidden)\npool default add 10.0.0.0/24\n",
		Notes:  []string{"bind_address takes effect at the next start"},
		CommitList: []api.ConfigCommit{
			{Number: 13, Time: ago(time.Minute), By: "uid 0", Comment: "longer sessions", UndoneAt: now.Add(4 * time.Minute)},
			{Number: 12, Steps: 1, Time: ago(24 * time.Hour), By: "alice@example\x1b[2J"},
			{Number: 11, Steps: 2, Time: ago(48 * time.Hour), By: "SIGHUP", Comment: "read from the file"},
		},
		Wanted: []session.OutgoingView{
			{Name: "north", Role: "lac", Local: netip.MustParseAddrPort("192.0.2.1:1701"), Peer: netip.MustParseAddrPort("203.0.113.7:1701"), HostName: "lns.example", Persist: true,
				State: "up", TunnelID: 4711, Attempts: 2, Since: ago(time.Hour), Sessions: 1, Calls: []session.PlacedView{
					{Name: "one", Tunnel: "north", Type: "laic", Persist: true, State: "up", Ref: session.Ref{TunnelID: 4711, SessionID: 815}, Slot: 7, User: "branch", Own: netip.MustParseAddr("172.31.1.1"), Peer: netip.MustParseAddr("172.31.0.1"), Attempts: 1},
					{Name: "two", Tunnel: "north", Type: "laic", Persist: true, State: "waiting", Reason: "authentication failed", User: "other", Attempts: 3, RetryAt: now.Add(20 * time.Second)},
				}},
			{Name: "south", Role: "lns", Local: netip.MustParseAddrPort("0.0.0.0:1701"), Peer: netip.MustParseAddrPort("203.0.113.8:1701"), State: "over", Reason: "peer does not answer", Attempts: 1, Since: ago(time.Minute)},
		},
		ProfileList: []api.Profile{
			{Layer: "peer", Name: "north", Values: []session.Value{{Name: "address", Value: "192.0.2.0/28", Source: "peer profile north"}, {Name: "secret", Value: "(hidden)", Source: "peer profile north"}}},
			{Layer: "ppp", Name: "default"}, {Layer: "ppp", Name: "fast", Values: []session.Value{{Name: "idle_timeout", Value: "900", Source: "ppp profile fast"}}},
		},
		Explained: []session.Value{
			{Name: "session_timeout", Value: "3600", Source: "RADIUS Session-Timeout"}, {Name: "idle_timeout", Value: "900", Source: "ppp profile fast"},
			{Name: "l2tp_mtu", Value: "1480", Source: "peer profile default"}, {Name: "hostname", Value: "lns1", Source: "set hostname"}, {Name: "pool", Value: "default", Source: "default"},
		},
		Commit: api.CommitReport{
			Commit: 14, Changes: []api.ConfigChange{{Name: "idle_timeout", Apply: "new sessions"}, {Name: "bind_address", Apply: "restart"}, {Name: "debug", Apply: "live"}},
			Notes: []string{"a note"}, Sessions: 3, Tunnels: 1, UndoneAt: now.Add(5 * time.Minute),
		},
	}
}

func sessions() []session.View {
	return []session.View{
		{
			Ref: session.Ref{TunnelID: 4711, SessionID: 815}, Slot: 1, PeerTunnelID: 9, PeerSessionID: 77, State: "up",
			User: "alice@example", UserVerified: true, Method: session.AuthCHAP, Address: netip.MustParseAddr("10.0.0.7"),
			Routes: []netip.Prefix{netip.MustParsePrefix("10.50.0.0/24")}, DNS: [2]netip.Addr{netip.MustParseAddr("192.0.2.53")},
			LAC: netip.MustParseAddrPort("198.51.100.5:1701"), LACName: "lac-5", Calling: "0301234567", Called: "5000", CallSerial: 99,
			TxSpeed: 100_000_000, RxSpeed: 40_000_000, AcctSessionID: "65e1c0a000000001",
			Opened: ago(3600 * time.Second), UpSince: ago(3598 * time.Second),
			Counters:       session.Counters{UpPackets: 10, UpBytes: 15000, DownPackets: 20, DownBytes: 28_000_000_000, DownDropped: 1, DownThrottled: 1, UpPackets6: 4, UpBytes6: 6000, DownPackets6: 8, DownBytes6: 11000, LastSeen: ago(2500 * time.Millisecond)},
			SessionTimeout: 24 * time.Hour, IdleTimeout: 15 * time.Minute, InterimInterval: 10 * time.Minute,
			Framing: session.Framing{Length: true, AddressControl: true}, MRU: 1460, MTU: 1460,
			IPv6: &session.Network6{
				InterfaceID: [8]byte{2, 0, 0x5e, 0x10, 0, 0, 0, 1},
				Prefixes:    []netip.Prefix{netip.MustParsePrefix("2001:db8:1::/64")}, Delegated: []netip.Prefix{netip.MustParsePrefix("2001:db8:100::/56")},
				Routes: []netip.Prefix{netip.MustParsePrefix("2001:db8:f00::/48")}, DNS: []netip.Addr{netip.MustParseAddr("2001:db8::53")},
			},
			Leases6:    []dhcp6.Lease{{Prefix: netip.MustParsePrefix("2001:db8:100::/56"), Until: now.Add(90 * time.Minute)}},
			LocalMagic: 0x1234abcd, PeerMagic: 0x0000beef, FastPath: true,
			Services: &session.Services{
				Up: session.Rate{Bits: 512_000}, Down: session.Rate{Bits: 20_000_000, Burst: 250_000}, FilterUp: "no-mail", Garden: "unpaid",
				Intercept: netip.MustParseAddrPort("192.0.2.9:4000"),
			},
		},
		{
			Ref: session.Ref{TunnelID: 4711, SessionID: 816}, Slot: 2, State: "up", User: "evil\x1b[2J\nname\u202e\xff", UserVerified: true,
			Method: session.AuthPAP, Address: netip.MustParseAddr("10.1.0.1"),
			LAC: netip.MustParseAddrPort("198.51.100.5:1701"), LACName: "lac-5", Calling: "\x07bell",
			Opened: ago(60 * time.Second), UpSince: ago(59 * time.Second),
		},
		{
			Ref: session.Ref{TunnelID: 12, SessionID: 1}, Slot: 1048575, State: "auth", User: "not-yet@example",
			LAC: netip.MustParseAddrPort("203.0.113.200:40001"), LACName: "a lac", Opened: ago(2 * time.Second),
		},
	}
}

func tunnels() []session.TunnelView {
	return []session.TunnelView{
		{
			TunnelID: 4711, PeerTunnelID: 9, State: "established", Local: netip.MustParseAddrPort("192.0.2.1:1701"),
			Peer: netip.MustParseAddrPort("198.51.100.5:1701"), HostName: "lac-5", VendorName: "ACME", Firmware: 0x0102,
			Sessions: 2, Created: ago(25 * time.Hour),
			Transport: session.TransportView{Ns: 65535, Nr: 3, PeerNs: 2, PeerNr: 65534, Window: 64, PeerWindow: 8, Cwnd: 8, Ssthresh: 8,
				Queued: 1, Unacked: 2, Sent: 10, Received: 11, ZLBSent: 4, ZLBReceived: 5, HelloSent: 6, HelloRecv: 7, Retransmits: 1, Duplicates: 2, OutOfOrderHeld: 3, OutOfWindow: 4},
		},
		{TunnelID: 12, State: "wait-ctl-conn", Peer: netip.MustParseAddrPort("203.0.113.200:40001"), HostName: "a\tlac", Sessions: 1, Created: ago(time.Second)},
	}
}

// Every command that shows something, as table and as JSON. The JSON files are the
// schema that scripts rely on: members are added, never renamed or removed.
func TestGolden(t *testing.T) {
	socket := apitest.Start(t, daemon(), now)
	for _, c := range []string{
		"show session", "show session 1", "show session 2",
		"show users", "show users alice@example", "show users *@example",
		"show tunnel", "show tunnel 4711", "show tunnel 12",
		"show pool", "show pool business", "show pool pd", "show pool --summary",
		"show counters", "show bgp", "show cluster", "show ipcache", "show histogram idle", "show histogram open", "show radius", "show radius down", "show status", "show version", "show running-config",
		"uptime", "drain", "no drain", "drop session 1", "drop tunnel 4711", "drop user alice@example", "reload", "shutdown",
		"throttle alice@example", "throttle alice@example out 20M", "throttle --sid 1 64", "no throttle alice@example in",
		"filter alice@example in web", "no filter alice@example", "garden alice@example unpaid", "no garden --sid 1",
		"show access-list", "show access-list web", "show garden", "show garden unpaid", "show garden abuse",
		"show intercept", "show accounting", "show captures",
		"show hook", "show plugin", "load plugin example", "remove plugin example", "plugin send example refuse alice",
		"hook load up testdata/object", "hook load down testdata/object two", "hook unload up",
		"explain session 1", "peer profile list", "ppp profile list", "session profile list", "ppp profile show fast",
		"ppp profile create slow lcp_echo_interval=60 dns1=192.0.2.53", "ppp profile modify fast idle_timeout=60 --live", "ppp profile unset fast idle_timeout", "peer profile delete north",
		"tunnel list", "tunnel show north", "session list", "session show two", "tunnel create west dest_ipaddr=203.0.113.9 persist=yes", "tunnel modify north hello_timeout=30",
		"tunnel unset north hello_timeout", "tunnel delete north", "tunnel retry south", "session create three tunnel=north user_name=branch", "session modify one idle_timeout=60", "session delete one",
		"snoop alice@example 192.0.2.9 4000", "no snoop alice@example", "show radius clients", "show throttle",
		"config edit set idle_timeout 900", "config show", "config diff", "config diff 2", "config check", "config commit --force --confirmed 5m",
		"config confirm", "config rollback 1 --force", "config history", "config discard", "config write",
	} {
		for _, form := range []string{"", "--json"} {
			args := strings.Fields(c + " " + form)
			t.Run(strings.Join(args, "_"), func(t *testing.T) {
				got, code := lctl(socket, args...)
				if code != 0 {
					t.Errorf("exit code %d:\n%s", code, got)
				}
				compare(t, strings.Join(args, "_"), got)
			})
		}
	}
}

// With nothing to show there is a heading, or an empty list.
func TestGoldenEmpty(t *testing.T) {
	socket := apitest.Start(t, &apitest.Backend{}, now)
	var all strings.Builder
	for _, c := range []string{"show session", "show users", "show tunnel", "show pool", "show counters", "show radius", "show status", "show accounting"} {
		for _, form := range []string{"", " --json"} {
			got, code := lctl(socket, strings.Fields(c+form)...)
			fmt.Fprintf(&all, "$ lnsctl %s%s\n%s[%d]\n", c, form, got, code)
		}
	}
	compare(t, "empty", all.String())
}

// What goes wrong: what is said and the exit code.
func TestGoldenErrors(t *testing.T) {
	socket := apitest.Start(t, daemon(), now)
	var all strings.Builder
	for _, c := range []string{
		"", "nonsense", "sow", "show", "show nonsense", "show sesion", "drop", "drop session", "drop user",
		"show session 0", "show session x", "show session 1 2", "show session 1048577", "show tunnel 65536", "show counters x",
		"show session 7", "show tunnel 7", "show users nobody", "show users [", "show pool none",
		"drop session 7", "drop tunnel 7", "drop user nobody", "drop session 1 --cause whim",
		"throttle", "throttle alice@example sideways 20M", "throttle alice@example 0", "throttle alice@example 9x", "throttle nobody 20M",
		"throttle --sid x", "no throttle", "no throttle alice@example up", "filter alice@example in", "filter alice@example up web",
		"garden alice@example", "garden nobody unpaid", "snoop alice@example x 1", "snoop alice@example 192.0.2.9 0", "no", "no nonsense",
		"no snoop nobody", "show radius client", "show access-list none", "show garden none",
		"explain session 7", "explain session x", "ppp profile", "ppp profile show none", "ppp profile modify none a=b", "ppp profile modify fast nonsense", "ppp profile create fast",
		"tunnel", "tunnel create north dest_ipaddr=203.0.113.7", "tunnel create west", "tunnel create west nonsense", "tunnel show none", "tunnel delete none", "tunnel retry none", "session show north", "session modify none a=b", "session",
		"config", "config edit", "config edit wrong", "config load /nonexistent/file", "config diff 9", "config diff 0", "config commit", "config rollback", "config rollback 0",
		"config rollback 9", "config commit --confirmed x", "config save /nonexistent/directory/file",
		"plugin", "plugin send x", "load", "load plugin", "remove plugin",
		"hook", "hook load", "hook load sideways x", "hook load up /nonexistent", "hook load up testdata/empty", "hook unload", "hook unload x",
		"suspend", "no suspend", "restart bgp", "restart bgp 192.0.2.1",
		"show session --nonsense", "show session --timeout x", "uptime --socket /nonexistent/socket",
	} {
		got, code := lctl(socket, strings.Fields(c)...)
		fmt.Fprintf(&all, "$ lnsctl %s\n%s[%d]\n", c, got, code)
	}
	compare(t, "errors", all.String())
}

// The daemon's own errors and their exit codes.
func TestGoldenDaemonErrors(t *testing.T) {
	var all strings.Builder
	for _, err := range []error{
		fmt.Errorf("user: %w", api.ErrNotFound), fmt.Errorf("draining: %w", api.ErrRefused), api.ErrStopping,
		context.DeadlineExceeded, errors.New("a fault with \x1b[31mcolour"),
	} {
		socket := apitest.Start(t, &apitest.Backend{Err: err}, now)
		got, code := lctl(socket, "show", "tunnel")
		fmt.Fprintf(&all, "%q:\n%s[%d]\n", err, got, code)
	}
	faulty := fmt.Errorf("startup-config:3:5: unknown setting\nstartup-config:9:1: unknown command: %w", api.ErrRefused)
	socket := apitest.Start(t, &apitest.Backend{ReloadErr: faulty}, now)
	got, code := lctl(socket, "reload")
	fmt.Fprintf(&all, "$ lnsctl reload\n%s[%d]\n", got, code)
	compare(t, "daemon-errors", all.String())
}

func compare(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", strings.NewReplacer("*", "ANY", "@", "_at_", "/", "-").Replace(name)+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
