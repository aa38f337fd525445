package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lnsd/lnsd/control/session"
)

// Notes for keys of OpenL2TP that have no effect here.
const (
	ofTunnel     = "the tunnel command says it of each tunnel"
	oneDevice    = "the packets of all sessions pass one device, iftun"
	lcpsHold     = "the lcp_ values hold for all of PPP's protocols"
	boundedSetup = "setup_timeout bounds the authentication"
	pppdOption   = "it is for pppd, which is not used"
	followsMTU   = "it follows from the tunnel's mtu"
)

// stands is a key that stands for a setting.
func stands(name, setting, help string, alias ...string) ProfileKey {
	if setting != name {
		alias = append(alias, setting)
	}
	return ProfileKey{Name: name, Setting: setting, Help: help, Alias: alias}
}

// idle is a key without effect.
func idle(name, note string, alias ...string) ProfileKey {
	return ProfileKey{Name: name, Note: note, Help: "Accepted without effect: " + note + ".", Alias: alias}
}

func refusedKey(name, why string, alias ...string) ProfileKey {
	return ProfileKey{Name: name, Refused: why, Help: "Refused: " + why + ".", Alias: alias}
}

func link(l Layer) ProfileKey {
	return ProfileKey{Name: l.Command(), Alias: []string{l.Command() + "_name"}, Link: l, isLink: true,
		Help: "The profile of " + map[Layer]string{TunnelLayer: "its tunnels.", SessionLayer: "their sessions.", PPPLayer: "their PPP links."}[l]}
}

// peerProfileKeys are those beside the keys of a lac command.
func peerProfileKeys() []ProfileKey {
	return []ProfileKey{link(TunnelLayer), link(SessionLayer), link(PPPLayer)}
}

func tunnelProfileKeys() []ProfileKey {
	secret := stands("secret", "l2tp_secret", "Secret shared with the peers.")
	secret.Secret = true
	mode := stands("auth_mode", "l2tp_challenge", "Authentication: none, simple or challenge.")
	mode.words = []string{"none", "simple", "challenge"}
	mode.translate = oneOf(map[string]string{"none": "no", "simple": "no", "challenge": "yes"})
	mode.Alias = nil // its values are others
	return append(dialKeys(), []ProfileKey{
		stands("host_name", "hostname", "Our Host Name AVP."),
		secret, mode,
		stands("l2tp_challenge", "l2tp_challenge", "Challenge the peer: yes, no or auto."),
		stands("hide_avps", "hide_avps", "Hide AVPs from onlookers."),
		stands("hello_timeout", "l2tp_hello_interval", "Silence in seconds after which HELLO is sent; 0 sends none."),
		stands("disable_sending_hello", "disable_sending_hello", "Send no HELLO at all."),
		stands("max_retries", "l2tp_max_retries", "Retransmissions before the tunnel is given up."),
		stands("retry_timeout", "l2tp_retry_interval", "Seconds before the first retransmission."),
		stands("l2tp_retry_cap", "l2tp_retry_cap", "Longest wait between retransmissions, in seconds."),
		stands("rx_window_size", "l2tp_receive_window", "Control messages that the peer may have under way."),
		stands("establish_timeout", "l2tp_establish_timeout", "Seconds in which a tunnel or a call must be established."),
		stands("max_sessions", "max_sessions_per_tunnel", "Most sessions in one tunnel."),
		stands("mtu", "l2tp_mtu", "MTU of the path to the peers."),
		stands("allow_ppp_proxy", "ppp_proxy", "Take LCP and authentication from the peers."),
		stands("outer_dscp", "outer_dscp", "DSCP of data packets."),
		stands("ecn", "ecn", "Carry ECN marks through the tunnel."),
		stands("send_length", "l2tp_send_length", "Write the Length field in data headers."),
		stands("clamp_mss", "clamp_mss", "Limit the MSS of TCP connections."),
		link(SessionLayer), link(PPPLayer),
		idle("tx_window_size", "the peer says how many messages it takes"),
		idle("use_udp_checksums", "the setting udp_checksum holds for all tunnels"),
		idle("do_pmtu_discovery", "packets that are too big are answered in any case", "pmtu_discovery", "do_pmtu"),
		idle("tunnel_name", ofTunnel), idle("dest_ipaddr", ofTunnel), idle("our_udp_port", "l2tp_port is that of all tunnels"),
		idle("interface_name", oneDevice),
		idle("using_ipsec", "IPsec is set up outside, by marks or addresses"),
	}...)
}

func sessionProfileKeys() []ProfileKey {
	return append(placingKeys(), []ProfileKey{
		stands("use_sequence_numbers", "l2tp_send_sequence", "Number data packets."),
		{Name: "sequencing_required", words: []string{"yes", "no"}, Help: "Number data packets, and require it of the peers of our calls; one that requires it gets it anyway.",
			apply: func(e *Effective, s string) error {
				on, err := boolean().parse(s)
				if err != nil {
					return err
				}
				e.Call.Params.SequencingRequired = on
				return e.set("l2tp_send_sequence", s)
			}},
		stands("establish_timeout", "setup_timeout", "Seconds in which a session must come up."),
		stands("use_ppp_proxy", "ppp_proxy", "Take LCP and authentication from the peers."),
		stands("duplicate_users", "duplicate_users", "What a second login of a user does."),
		stands("session_timeout", "session_timeout", "Longest session in seconds where RADIUS sets none."),
		stands("throttle_speed", "throttle_speed", "Rate in kbit/s of sessions that were granted none."),
		stands("throttle_burst", "throttle_burst", "Burst in bytes of throttle_speed."),
		stands("radius_interim", "radius_interim", "Period of interim accounting, in seconds."),
		stands("clamp_mss", "clamp_mss", "Limit the MSS of TCP connections."),
		stands("reject_garden", "reject_garden", "Walled garden of those whom the authentication refuses."),
		link(PPPLayer),
		refusedKey("no_ppp", "a session without PPP has nowhere to go"),
		idle("reorder_timeout", "packets that are late are dropped, not put in order"),
		idle("interface_name", oneDevice),
		idle("trace_flags", "lnsctl sets what is traced", "debug_flags"),
		idle("do_pmtu_discovery", "packets that are too big are answered in any case", "pmtu_discovery"),
	}...)
}

func pppProfileKeys() []ProfileKey {
	keys := []ProfileKey{
		stands("accomp", "ppp_acfc", "Offer and accept address and control field compression.", "acfc"),
		stands("pcomp", "ppp_pfc", "Offer and accept protocol field compression.", "pfc"),
		method("auth_pap", session.AuthPAP), method("auth_chap", session.AuthCHAP), method("auth_mschapv2", session.AuthMSCHAPv2),
		stands("authtypes", "radius_authtypes", "Authentication types, in order of preference."),
		stands("chap_interval", "ppp_rechallenge", "Seconds between CHAP challenges; 0 asks once."),
		stands("lcp_max_configure", "ppp_max_configure", "Configure-Requests sent before giving up."),
		stands("lcp_max_failure", "ppp_max_failure", "Configure-Naks sent before a Configure-Reject."),
		stands("lcp_restart", "ppp_restart_time", "Restart timer of PPP negotiation, in seconds.", "lcp_restart_timer"),
		stands("lcp_echo_interval", "echo_timeout", "Silence in seconds after which an LCP Echo-Request is sent; 0 never."),
		{Name: "lcp_echo_fail_count", Alias: []string{"lcp_echo_failure_count"}, apply: echoFailures,
			Help: "Echoes without an answer after which the link is down."},
		stands("idle_echo_timeout", "idle_echo_timeout", "Drop sessions that have been silent for so many seconds."),
		stands("idle_timeout", "idle_timeout", "Longest time in seconds without user traffic where RADIUS sets none."),
		stands("max_connect_time", "session_timeout", "Longest session in seconds where RADIUS sets none."),
		stands("local_ip", "peer_address", "Our address as told to subscribers.", "local_ip_addr"),
		{Name: "ip_pool_name", Alias: []string{"pool"}, Help: "Pool of those whose profile names none.", apply: poolName},
		stands("ipv6_pool", "ipv6_pool", "Pool of the link's IPv6 prefix."),
		stands("ipv6_pd_pool", "ipv6_pd_pool", "Pool of the delegated prefix."),
		stands("dns1", "primary_dns", "First name server.", "dns_ipaddr_pri"),
		stands("dns2", "secondary_dns", "Second name server.", "dns_ipaddr_sec"),
		stands("wins1", "primary_nbns", "First NetBIOS name server.", "wins_ipaddr_pri"),
		stands("wins2", "secondary_nbns", "Second NetBIOS name server.", "wins_ipaddr_sec"),
		stands("renegotiation", "lcp_renegotiation", "When to negotiate LCP anew."),
		stands("send_address_control", "ppp_send_address_control", "Write FF 03 before data."),
		refusedKey("peer_ip", "addresses come from pools and from the authentication", "peer_ip_addr"),
		refusedKey("auth_none", "everybody must say who they are"),
		refusedKey("auth_mschapv1", "MS-CHAP version 1 gives passwords away"),
		refusedKey("auth_eap", "EAP is not carried"),
		refusedKey("multilink", "links are not bundled"),
		idle("mtu", followsMTU), idle("mru", followsMTU),
		idle("asyncmap", "nothing is escaped in a tunnel"), idle("magic", "a magic number is always sent"),
		idle("use_radius", "RADIUS is used where a server is configured"), idle("radius_hint", "radius_server and realm say who is asked"),
		idle("default_route", pppdOption, "use_as_default_route"), idle("local_name", pppdOption), idle("remote_name", pppdOption),
		idle("proxyarp", "routes or BGP lead to the subscribers"),
		idle("trace_flags", "lnsctl sets what is traced", "debug_flags"),
	}
	for _, name := range []string{"chap_max_challenge", "chap_restart", "pap_max_auth_requests", "pap_restart", "pap_restart_timer", "pap_timeout"} {
		keys = append(keys, idle(name, boundedSetup))
	}
	for _, name := range []string{"lcp_max_terminate", "ipcp_max_configure", "ipcp_max_failure", "ipcp_max_terminate", "ipcp_restart", "ipcp_restart_timer"} {
		keys = append(keys, idle(name, lcpsHold))
	}
	return keys
}

// oneOf translates words.
func oneOf(words map[string]string) func(string) (string, error) {
	return func(s string) (string, error) {
		if v, ok := words[strings.ToLower(s)]; ok {
			return v, nil
		}
		var names []string
		for w := range words {
			names = append(names, w)
		}
		slices.Sort(names)
		return "", fmt.Errorf("must be one of %s", strings.Join(names, ", "))
	}
}

// method is a key that lets one way of authentication in or keeps it out.
func method(name string, m session.AuthMethod) ProfileKey {
	return ProfileKey{Name: name, words: []string{"yes", "no"}, Help: "Let subscribers authenticate so: yes or no.",
		apply: func(e *Effective, s string) error {
			on, err := boolean().parse(s)
			if err != nil {
				return err
			}
			types := slices.DeleteFunc(slices.Clone(e.Config.PPP.AuthTypes), func(x session.AuthMethod) bool { return x == m })
			if on {
				types = e.Config.PPP.AuthTypes
				if !slices.Contains(types, m) {
					types = append(slices.Clone(types), m)
				}
			}
			e.Config.PPP.AuthTypes = types
			e.said("radius_authtypes")
			return nil
		}}
}

// echoFailures says by a number of echoes what idle_echo_timeout says in seconds.
func echoFailures(e *Effective, s string) error {
	n, err := number[int]("", 1, 100).parse(s)
	if err == nil {
		e.echoFailures = n
		e.said("idle_echo_timeout")
	}
	return err
}

func poolName(e *Effective, s string) error {
	name, err := named("pool name", maxString).parse(s)
	if err == nil {
		e.pool = name
		e.said("pool")
	}
	return err
}
