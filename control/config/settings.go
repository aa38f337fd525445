package config

import (
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
	// maxString is what fits a RADIUS attribute (RFC 2865 section 5); AVPs and PPP
	// options hold more.
	maxString = 253
	// retryCapFloor: a cap on retransmission must be at least 8 s (RFC 2661
	// section 5.8).
	retryCapFloor = 8 * time.Second
	// maxSlots is the data plane's ceiling of sessions.
	maxSlots = 1 << 20
	// maxIDs is the number of tunnel or session ids: 16 bits, 0 excepted.
	maxIDs = 65535
	// maxRate is the highest rate that the shield counts.
	maxRate = 1_000_000
)

func l2tpSettings() []Setting {
	return []Setting{
		row("bind_address", address(true), func(c *Config) *netip.Addr { return &c.L2TP.BindAddress }, "0.0.0.0", Restart,
			"Address that L2TP is received on and sent from; 0.0.0.0 for all."),
		row("bind_address6", listenAddress6(), func(c *Config) *netip.Addr { return &c.L2TP.BindAddress6 }, "none", Restart,
			"IPv6 address that L2TP is received on and sent from besides; :: for all."),
		row("l2tp_port", number[uint16]("", 1, 65535), func(c *Config) *uint16 { return &c.L2TP.Port }, "1701", Restart,
			"UDP port that L2TP is received on."),
		secretRow(row("l2tp_secret", secret(maxString), func(c *Config) *Secret { return &c.L2TP.Secret }, "", NewOnly,
			"Secret shared with the LACs that have none of their own.")),
		row("l2tp_challenge", auto(), func(c *Config) *Auto { return &c.L2TP.Challenge }, "auto", NewOnly,
			"Challenge the LAC; auto does so when there is a secret."),
		row("allow_unknown_lacs", auto(), func(c *Config) *Auto { return &c.L2TP.AllowUnknown }, "auto", NewOnly,
			"Let in LACs that no lac command names; auto does so while there is no lac command."),
		row("hide_avps", boolean(), func(c *Config) *bool { return &c.L2TP.HideAVPs }, "no", NewOnly,
			"Hide the AVPs that may be hidden in what we send."),
		row("l2tp_mtu", number[uint16]("bytes", 576, 65535), func(c *Config) *uint16 { return &c.L2TP.MTU }, "1500", NewOnly,
			"MTU of the path to the LACs; sets the link's MRU and adjusts TCP MSS."),
		row("l2tp_receive_window", number[uint16]("messages", 1, 1024), func(c *Config) *uint16 { return &c.L2TP.ReceiveWindow }, "64", NewOnly,
			"Control messages that a LAC may have under way."),
		row("l2tp_hello_interval", seconds(0, day), func(c *Config) *time.Duration { return &c.L2TP.HelloInterval }, "60", NewOnly,
			"Silence after which HELLO is sent; 0 sends none."),
		row("disable_sending_hello", boolean(), func(c *Config) *bool { return &c.L2TP.NoHello }, "no", NewOnly,
			"Never send HELLO, for LACs that do not know it."),
		row("l2tp_retry_interval", seconds(100*time.Millisecond, time.Minute), func(c *Config) *time.Duration { return &c.L2TP.RetryInterval }, "1", NewOnly,
			"Wait before the first retransmission; it doubles with each."),
		row("l2tp_retry_cap", seconds(retryCapFloor, 10*time.Minute), func(c *Config) *time.Duration { return &c.L2TP.RetryCap }, "8", NewOnly,
			"Longest wait between retransmissions."),
		row("l2tp_max_retries", number[int]("", 1, 100), func(c *Config) *int { return &c.L2TP.MaxRetries }, "5", NewOnly,
			"Retransmissions without an answer before the tunnel is given up."),
		row("l2tp_establish_timeout", seconds(time.Second, time.Hour), func(c *Config) *time.Duration { return &c.L2TP.EstablishTimeout }, "120", NewOnly,
			"Time in which a tunnel or a call must be established."),
		row("l2tp_send_length", boolean(), func(c *Config) *bool { return &c.L2TP.SendLength }, "yes", NewOnly,
			"Write the Length field in data headers."),
		row("l2tp_send_sequence", boolean(), func(c *Config) *bool { return &c.L2TP.SendSequence }, "no", NewOnly,
			"Write sequence numbers in data headers; LACs that require them get them anyway."),
		row("outer_df", boolean(), func(c *Config) *bool { return &c.L2TP.OuterDF }, "no", Restart,
			"Set DF in packets to the LACs: no fragments on the way; what a path does not carry is cut or refused inside the tunnel."),
		row("outer_dscp", dscp(), func(c *Config) *session.DSCP { return &c.L2TP.OuterDSCP }, "none", NewOnly,
			"DSCP of data packets to the LACs: that of the subscriber's packet, none (0), or a fixed one."),
		row("ecn", boolean(), func(c *Config) *bool { return &c.L2TP.ECN }, "no", NewOnly,
			"Carry ECN marks through the tunnel (RFC 6040), for LACs that do so too."),
		row("clamp_mss", boolean(), func(c *Config) *bool { return &c.L2TP.ClampMSS }, "yes", NewOnly,
			"Limit the MSS of TCP connections to what the tunnel carries."),
		row("one_tunnel_per_lac", boolean(), func(c *Config) *bool { return &c.L2TP.OneTunnelPerLAC }, "no", NewOnly,
			"Refuse a further tunnel of the same host name and address."),
		row("udp_checksum", boolean(), func(c *Config) *bool { return &c.L2TP.UDPChecksum }, "yes", Restart,
			"Compute the outer UDP checksum of data packets."),
	}
}

func pppSettings() []Setting {
	return []Setting{
		row("peer_address", address(true), func(c *Config) *netip.Addr { return &c.PPP.PeerAddress }, "0.0.0.0", NewOnly,
			"Our address as told to subscribers; 0.0.0.0 for bind_address."),
		row("radius_authtypes", list(enum(authWords()), false), func(c *Config) *[]session.AuthMethod { return &c.PPP.AuthTypes },
			"chap, mschapv2, pap", NewOnly, "Authentication types asked of subscribers, in order of preference."),
		row("ppp_rechallenge", seconds(0, day), func(c *Config) *time.Duration { return &c.PPP.Rechallenge }, "0", NewOnly,
			"Period at which CHAP is repeated; 0 never."),
		row("ppp_restart_time", seconds(100*time.Millisecond, time.Minute), func(c *Config) *time.Duration { return &c.PPP.RestartTimer }, "3", NewOnly,
			"Restart timer of PPP negotiation."),
		row("ppp_max_configure", number[int]("", 1, 255), func(c *Config) *int { return &c.PPP.MaxConfigure }, "10", NewOnly,
			"Configure-Requests sent before giving up."),
		row("ppp_max_failure", number[int]("", 1, 255), func(c *Config) *int { return &c.PPP.MaxFailure }, "5", NewOnly,
			"Configure-Naks sent before a Configure-Reject."),
		row("echo_timeout", seconds(0, day), func(c *Config) *time.Duration { return &c.PPP.EchoTimeout }, "10", NewOnly,
			"Silence after which an LCP Echo-Request is sent; 0 never."),
		row("throttle_speed", number[int]("kbit/s", 0, 1e9), func(c *Config) *int { return &c.Sessions.ThrottleSpeed }, "0", NewOnly,
			"Rate of sessions that were granted no other, each way, and of those throttled without a rate; 0 is no limit. 1 kbit is 1,000 bits."),
		row("throttle_burst", number[int]("bytes", 0, 1<<31-1), func(c *Config) *int { return &c.Sessions.ThrottleBurst }, "0", NewOnly,
			"What a session under throttle_speed may send or get at once after a pause; 0 is a second at its rate."),
		row("packet_limit", number[int]("", 0, 1e6), func(c *Config) *int { return &c.Sessions.PacketLimit }, "0", Restart,
			"Packets to a session in a tenth of a second beyond which they are dropped; 0 is no limit."),
		row("idle_echo_timeout", seconds(0, day), func(c *Config) *time.Duration { return &c.PPP.IdleEchoTimeout }, "240", NewOnly,
			"Drop sessions that have been silent, echoes included, for so long."),
		row("lcp_renegotiation", enum(renegotiateWords()), func(c *Config) *Renegotiate { return &c.PPP.Renegotiate }, "mismatch", NewOnly,
			"When to negotiate LCP anew although the LAC has done so."),
		row("ppp_proxy", boolean(), func(c *Config) *bool { return &c.PPP.Proxy }, "yes", NewOnly,
			"Take LCP and authentication from the LAC where it sent them."),
		row("ppp_acfc", boolean(), func(c *Config) *bool { return &c.PPP.ACFC }, "yes", NewOnly,
			"Offer and accept address and control field compression."),
		row("ppp_pfc", boolean(), func(c *Config) *bool { return &c.PPP.PFC }, "yes", NewOnly,
			"Offer and accept protocol field compression."),
		row("ppp_send_address_control", boolean(), func(c *Config) *bool { return &c.PPP.SendAddressControl }, "yes", NewOnly,
			"Write FF 03 before data unless its compression was negotiated."),
	}
}

func dnsSettings() []Setting {
	dns := func(i int) func(*Config) *netip.Addr { return func(c *Config) *netip.Addr { return &c.DNS.Servers[i] } }
	nbns := func(i int) func(*Config) *netip.Addr { return func(c *Config) *netip.Addr { return &c.DNS.NBNS[i] } }
	return []Setting{
		row("primary_dns", address(true), dns(0), "0.0.0.0", NewOnly, "First name server for subscribers; 0.0.0.0 for none."),
		row("secondary_dns", address(true), dns(1), "0.0.0.0", NewOnly, "Second name server for subscribers; 0.0.0.0 for none."),
		row("primary_nbns", address(true), nbns(0), "0.0.0.0", NewOnly, "First NetBIOS name server for subscribers; 0.0.0.0 for none."),
		row("secondary_nbns", address(true), nbns(1), "0.0.0.0", NewOnly, "Second NetBIOS name server for subscribers; 0.0.0.0 for none."),
	}
}

func radiusSettings() []Setting {
	return []Setting{
		row("primary_radius", address(false), func(c *Config) *netip.Addr { return &c.RADIUS.Primary }, "0.0.0.0", Restart,
			"RADIUS server; 0.0.0.0 for none, subscribers then come from chap-secrets."),
		row("secondary_radius", address(false), func(c *Config) *netip.Addr { return &c.RADIUS.Secondary }, "0.0.0.0", Restart,
			"RADIUS server that is asked when the first is silent; 0.0.0.0 for none."),
		row("primary_radius_port", number[uint16]("", 1, 65534), func(c *Config) *uint16 { return &c.RADIUS.PrimaryPort }, "1812", Restart,
			"Authentication port of the first server; accounting is one more."),
		row("secondary_radius_port", number[uint16]("", 1, 65534), func(c *Config) *uint16 { return &c.RADIUS.SecondaryPort }, "1812", Restart,
			"Authentication port of the second server; accounting is one more."),
		secretRow(row("radius_secret", secret(maxString), func(c *Config) *Secret { return &c.RADIUS.Secret }, "", Restart,
			"Secret shared with the RADIUS servers.")),
		row("radius_accounting", boolean(), func(c *Config) *bool { return &c.RADIUS.Accounting }, "no", Restart,
			"Send accounting records."),
		row("radius_accounting_on", boolean(), func(c *Config) *bool { return &c.RADIUS.AccountingOn }, "yes", Restart,
			"Send Accounting-On at start and Accounting-Off at shutdown."),
		row("radius_tunnel_accounting", boolean(), func(c *Config) *bool { return &c.RADIUS.TunnelAccounting }, "no", NewOnly,
			"Send accounting records of tunnels, and of the calls in them, besides those of sessions (RFC 2867)."),
		row("radius_interim", seconds(0, year), func(c *Config) *time.Duration { return &c.RADIUS.Interim }, "0", NewOnly,
			"Period of interim accounting records; 0 sends none."),
		row("radius_timeout", seconds(100*time.Millisecond, time.Minute), func(c *Config) *time.Duration { return &c.RADIUS.Timeout }, "2", Restart,
			"Wait for an answer before the request is repeated."),
		row("radius_retries", number[int]("", 0, 20), func(c *Config) *int { return &c.RADIUS.Retries }, "2", Restart,
			"Repetitions to one server before the next is tried."),
		row("radius_dead_time", seconds(0, day), func(c *Config) *time.Duration { return &c.RADIUS.DeadTime }, "30", Restart,
			"Time for which a silent server is left alone."),
		row("radius_message_authenticator", auto(), func(c *Config) *Auto { return &c.RADIUS.MessageAuthenticator }, "auto", Restart,
			"Require Message-Authenticator in answers; auto does so once the server has sent a valid one."),
		row("radius_bind_min", orZero(number[uint16]("", 1024, 65535), "any port"), func(c *Config) *uint16 { return &c.RADIUS.BindMin }, "0", Restart,
			"Lowest source port of RADIUS requests."),
		row("radius_bind_max", orZero(number[uint16]("", 1024, 65535), "any port"), func(c *Config) *uint16 { return &c.RADIUS.BindMax }, "0", Restart,
			"Highest source port of RADIUS requests."),
	}
}

func accountingSettings() []Setting {
	return []Setting{
		row("accounting_spool", filePath(), func(c *Config) *string { return &c.Accounting.Spool }, "/var/lib/lnsd/accounting", Restart,
			"Directory that keeps accounting records until a server has confirmed them."),
		row("accounting_spool_size", number[int]("MiB", 16, 1<<20), func(c *Config) *int { return &c.Accounting.SpoolSize }, "1024", Restart,
			"Size of accounting_spool at which records are refused: interim ones from three quarters of it on, Stops last."),
		row("accounting_sync", seconds(0, time.Minute), func(c *Config) *time.Duration { return &c.Accounting.Sync }, "1", Restart,
			"How often accounting_spool is brought to the disk, for the case that the host dies; 0 before anything is sent."),
		row("accounting_dir", dirPath(), func(c *Config) *string { return &c.Accounting.Dir }, "", Restart,
			"Directory for a file of every subscriber's traffic each five minutes, as l2tpns writes it; none for no files."),
		row("account_all_origin", boolean(), func(c *Config) *bool { return &c.Accounting.Origin }, "no", Restart,
			"Add the column of origins to the files in accounting_dir."),
		row("dump_speed", boolean(), func(c *Config) *bool { return &c.Accounting.DumpSpeed }, "no", Live,
			"Log the traffic of all subscribers every second."),
	}
}

func sessionSettings() []Setting {
	return []Setting{
		row("duplicate_users", enum(duplicateWords()), func(c *Config) *session.DuplicatePolicy { return &c.Sessions.Duplicates }, "kick", NewOnly,
			"What a second login of a user does: kick the first, be refused, or be allowed."),
		aliasRow("duplicate_users", row("allow_duplicate_users", duplicates(), func(c *Config) *session.DuplicatePolicy { return &c.Sessions.Duplicates }, "no", NewOnly,
			"Allow several logins of a user; no drops the earlier session.")),
		row("kill_timedout_sessions", boolean(), func(c *Config) *bool { return &c.Sessions.KillTimedOut }, "yes", NewOnly,
			"End a session at once when RADIUS grants it no time."),
		row("session_timeout", seconds(0, year), func(c *Config) *time.Duration { return &c.Sessions.SessionTimeout }, "0", NewOnly,
			"Longest session where RADIUS sets none; 0 for no limit."),
		row("idle_timeout", seconds(0, year), func(c *Config) *time.Duration { return &c.Sessions.IdleTimeout }, "0", NewOnly,
			"Longest time without user traffic where RADIUS sets none; 0 for no limit."),
		row("setup_timeout", seconds(time.Second, time.Hour), func(c *Config) *time.Duration { return &c.Sessions.SetupTimeout }, "120", NewOnly,
			"Time in which a session must come up."),
		row("unknown_filter", enum(unknownFilterWords()), func(c *Config) *UnknownFilter { return &c.Sessions.UnknownFilter }, "ignore", Live,
			"A login that names an access list which is not defined: ignore the list, or refuse the login."),
	}
}

// duplicates reads l2tpns' yes or no as a policy.
func duplicates() kind[session.DuplicatePolicy] {
	b := boolean()
	return kind[session.DuplicatePolicy]{
		name: b.name, words: b.words,
		parse: func(s string) (session.DuplicatePolicy, error) {
			allow, err := b.parse(s)
			if allow {
				return session.AllowDuplicates, err
			}
			return session.KickOld, err
		},
		format: func(p session.DuplicatePolicy) string { return formatBool(p == session.AllowDuplicates) },
	}
}

func limitSettings() []Setting {
	return []Setting{
		row("max_tunnels", number[int]("tunnels", 1, maxIDs), func(c *Config) *int { return &c.Limits.Tunnels }, "65535", NewOnly,
			"Most tunnels at once."),
		row("max_sessions", number[int]("sessions", 1, maxSlots), func(c *Config) *int { return &c.Limits.Sessions }, "65535", Restart,
			"Most sessions at once; sizes the data plane's tables."),
		row("max_sessions_per_tunnel", number[int]("sessions", 1, maxIDs), func(c *Config) *int { return &c.Limits.SessionsPerTunnel }, "65535", NewOnly,
			"Most sessions in one tunnel."),
		row("max_tunnels_per_lac", number[int]("tunnels", 1, maxIDs), func(c *Config) *int { return &c.Limits.TunnelsPerLAC }, "65535", NewOnly,
			"Most tunnels from one address."),
		row("max_half_open", number[int]("tunnels", 1, maxIDs), func(c *Config) *int { return &c.Limits.HalfOpen }, "4096", NewOnly,
			"Most tunnels that are being set up at once."),
		row("max_half_open_per_lac", number[int]("tunnels", 1, maxIDs), func(c *Config) *int { return &c.Limits.HalfOpenPerLAC }, "64", NewOnly,
			"Most tunnels from one address that are being set up at once."),
	}
}

func systemSettings() []Setting {
	return []Setting{
		row("hostname", named("host name", maxString), func(c *Config) *string { return &c.Hostname }, "", NewOnly,
			"Our name towards LACs, subscribers and RADIUS, if not the host's own."),
		row("tundevicename", named("device name", 15), func(c *Config) *string { return &c.SlowPath.Device }, "tun0", Restart,
			"Name of the TUN device."),
		row("iftun_address", address(true), func(c *Config) *netip.Addr { return &c.SlowPath.Address }, "0.0.0.0", Restart,
			"Address of the TUN device; 0.0.0.0 for bind_address."),
		row("icmp_rate", number[int]("packets/s", 0, 1_000_000), func(c *Config) *int { return &c.SlowPath.ICMPRate }, "100", Restart,
			"Most ICMP errors sent per second; 0 sends none."),
		row("xdp_interfaces", list(named("device name", 15), true), func(c *Config) *[]string { return &c.XDP.Interfaces }, "", Restart,
			"Devices of the fast path; none chooses by bind address and routes."),
		row("xdp_mode", enum(xdpModeWords()), func(c *Config) *XDPMode { return &c.XDP.Mode }, "auto", Restart,
			"How the fast path is attached; auto takes native mode where the driver has it."),
		row("cpu_spread", enum(spreadWords()), func(c *Config) *Spread { return &c.XDP.Spread }, "off", Restart,
			"Spread the data of LACs over all CPUs, by session: off, on, or auto while one CPU alone has too much of it."),
		row("hairpin", enum(hairpinWords()), func(c *Config) *Hairpin { return &c.Sessions.Hairpin }, "allow", Restart,
			"Packets from one subscriber to another: allow, deny, or core to leave them to the kernel's routes and rules."),
		row("shield_sccrq_rate", number[int]("messages/s", 0, maxRate), func(c *Config) *int { return &c.XDP.SCCRQRate }, "100", Restart,
			"Most tunnels that a LAC's address may ask for; XDP drops more. 0 for no limit."),
		row("shield_call_rate", number[int]("messages/s", 0, maxRate), func(c *Config) *int { return &c.XDP.CallRate }, "20000", Restart,
			"Most calls that a LAC's address may ask for, with what belongs to their set-up in proportion; XDP drops more. 0 for no limit."),
		row("shield_ppp_rate", number[int]("messages/s", 0, maxRate), func(c *Config) *int { return &c.XDP.PPPRate }, "50", Restart,
			"Most PPP frames from a session that is up; XDP drops more. 0 for no limit."),
		row("pin_path", filePath(), func(c *Config) *string { return &c.XDP.PinPath }, "/sys/fs/bpf/lns", Restart,
			"BPF file system directory of the data plane's maps and programs."),
		row("socket", filePath(), func(c *Config) *string { return &c.Management.Socket }, "/run/lnsd/lnsd.sock", Restart,
			"Unix socket that lnsctl connects to."),
		row("save_state", boolean(), func(c *Config) *bool { return &c.Engine.SaveState }, "yes", Restart,
			"Go on with tunnels and sessions after a restart, an upgrade or a crash; no disconnects them when the daemon stops."),
		row("journal", dirPath(), func(c *Config) *string { return &c.Engine.Journal }, "", Restart,
			"Directory, on tmpfs, of what save_state keeps; none for \"journal\" beside socket."),
		row("config_archive", filePath(), func(c *Config) *string { return &c.Management.Archive }, "/var/lib/lnsd/config", Restart,
			"Directory of the configurations that were in force, for config rollback."),
		row("config_archive_size", number[int]("commits", 1, 1000), func(c *Config) *int { return &c.Management.ArchiveSize }, "50", Live,
			"How many of them are kept."),
		row("metrics_address", listenAddress(), func(c *Config) *netip.AddrPort { return &c.Management.Metrics }, "", Restart,
			"Address that answers Prometheus by HTTP, at /metrics and to anybody; without it nothing does."),
		row("status_dir", dirPath(), func(c *Config) *string { return &c.Management.StatusDir }, "", Restart,
			"Directory in which a file for each peer, tunnel, session and policy is kept current; without it there are none."),
		row("status_rate", number[int]("files per second", 1, 100000), func(c *Config) *int { return &c.Management.StatusRate }, "500", Restart,
			"How many status files are written in a second at most."),
		row("remote_address", listenAddress(), func(c *Config) *netip.AddrPort { return &c.Management.Remote }, "", Restart,
			"Address that lnsctl --server connects to from afar, over TLS with certificates of both ends; without it there is only the socket."),
		row("remote_certificate", filePath(), func(c *Config) *string { return &c.Management.RemoteCertificate }, "/etc/lnsd/tls/server.crt", Restart,
			"Certificate of this daemon for remote_address; like the other two files it is read again when it has changed."),
		row("remote_key", filePath(), func(c *Config) *string { return &c.Management.RemoteKey }, "/etc/lnsd/tls/server.key", Restart,
			"Key of remote_certificate."),
		row("remote_authority", filePath(), func(c *Config) *string { return &c.Management.RemoteAuthority }, "/etc/lnsd/tls/ca.crt", Restart,
			"Certificate of the authority that signs those of the operators."),
		row("shards", number[int]("", 0, 256), func(c *Config) *int { return &c.Engine.Shards }, "0", Restart,
			"Goroutines that tunnels are spread over; 0 for one per CPU."),
		row("drain", boolean(), func(c *Config) *bool { return &c.Engine.Drain }, "no", Live,
			"Refuse new tunnels and calls, let those that are up live on."),
		row("debug", number[LogLevel]("", 0, 5), func(c *Config) *LogLevel { return &c.Log.Level }, "3", Live,
			"Log level: 0 critical, 1 errors, 2 warnings, 3 information, 4 calls, 5 packets."),
		row("history_size", number[int]("", 0, 100000), func(c *Config) *int { return &c.Log.History }, "1000", Restart,
			"Sessions, and failures apart from them, whose history is kept for lnsctl show history; 0 for none."),
		row("log_file", logFile(), func(c *Config) *string { return &c.Log.File }, "", Live,
			"Path of the log, syslog:FACILITY, or journal for systemd's with fields; none for standard error."),
	}
}
