package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

const profiled = `set hostname lns
set l2tp_hello_interval 50
set idle_timeout 1000
pool business add 10.0.0.0/24
ppp_profile default idle_timeout 900 dns1 192.0.2.53
ppp_profile fast lcp_echo_interval 10 lcp_echo_fail_count 3 auth_pap no ip_pool_name business
session_profile long max_x 1
tunnel_profile trusted secret s hello_timeout 30 session_profile_name long
peer_profile default mtu 1480
peer_profile north address 192.0.2.0/28 tunnel_profile trusted
lac south hostname s* ppp_profile fast mtu 1400
`

func source(t *testing.T, values []Value, name string) string {
	t.Helper()
	for _, v := range values {
		if v.Name == name {
			return v.Value + " by " + v.Source
		}
	}
	t.Fatalf("no %s", name)
	return ""
}

func TestInheritance(t *testing.T) {
	c, _ := parse(t, strings.Replace(profiled, "max_x 1", "establish_timeout 20 session_timeout 77 ppp_profile fast", 1))
	if len(c.LACs) != 2 {
		t.Fatal(c.LACs)
	}
	north, south, unknown := &c.LACs[0], &c.LACs[1], c.Unknown()
	for _, x := range []struct {
		lac  *LAC
		want map[string]string
	}{
		{north, map[string]string{
			"l2tp_hello_interval": "30 by tunnel profile trusted", "l2tp_secret": "(hidden) by tunnel profile trusted",
			"session_timeout": "77 by session profile long", "setup_timeout": "20 by session profile long",
			"idle_timeout": "900 by ppp profile default", "idle_echo_timeout": "30 by ppp profile fast", "echo_timeout": "10 by ppp profile fast",
			"pool": "business by ppp profile fast", "l2tp_mtu": "1480 by peer profile default", "primary_dns": "192.0.2.53 by ppp profile default",
			"hostname": "lns by set hostname", "l2tp_retry_interval": "1 by default", "radius_authtypes": "chap, mschapv2 by ppp profile fast",
		}},
		{south, map[string]string{"l2tp_hello_interval": "50 by set l2tp_hello_interval", "l2tp_mtu": "1400 by lac south", "echo_timeout": "10 by ppp profile fast", "session_timeout": "0 by default"}},
		{&unknown, map[string]string{"l2tp_mtu": "1480 by peer profile default", "idle_timeout": "900 by ppp profile default", "echo_timeout": "10 by default", "pool": "default by default"}},
	} {
		for name, want := range x.want {
			if got := source(t, x.lac.Values(), name); got != want {
				t.Errorf("%s: %s is %s, want %s", x.lac.Title(), name, got, want)
			}
		}
	}
	if b := north.Base(c); b.L2TP.HelloInterval != 30*time.Second || b.Sessions.IdleTimeout != 900*time.Second || b.PPP.IdleEchoTimeout != 30*time.Second {
		t.Errorf("%v %v %v", b.L2TP.HelloInterval, b.Sessions.IdleTimeout, b.PPP.IdleEchoTimeout)
	}
	if !north.Challenge || north.MTU != 1480 || north.Pool != "business" || len(south.AuthTypes) != 2 || south.AuthTypes[0] != session.AuthCHAP {
		t.Errorf("%+v", north)
	}
	// The settings themselves are what they were.
	if c.L2TP.HelloInterval != 50*time.Second || c.Sessions.IdleTimeout != 1000*time.Second {
		t.Error("a profile has changed a setting")
	}
	again(t, c)
	if s := c.Show(); strings.Contains(s, "secret s") || !strings.Contains(s, "# tunnel_profile trusted secret (hidden)") {
		t.Errorf("the secret shows:\n%s", s)
	}
}

func TestProfileFaults(t *testing.T) {
	for text, want := range map[string]string{
		"ppp_profile a auth_none yes":                                             "everybody must say who they are",
		"ppp_profile a lcp_echo_interval x":                                       "must be a number",
		"session_profile a max_x 1":                                               "unknown key",
		"session_profile a ppp_profile b":                                         "names the ppp profile",
		"peer_profile a address 192.0.2.1 tunnel_profile b":                       "there is no tunnel profile b",
		"peer_profile a hello_timeout 5":                                          "unknown key",
		"peer_profile a":                                                          "neither address nor hostname",
		"lac a hostname x\npeer_profile a mtu 1400":                               "is the name of a lac command",
		"ppp_profile a ip_pool_name b\nlac c hostname x ppp_profile a":            "names pool",
		"tunnel_profile a auth_mode guess":                                        "must be one of challenge, none, simple",
		"tunnel_profile a auth_mode challenge\nlac b hostname x tunnel_profile a": "has no secret",
	} {
		_, _, err := Parse("f", text, Options{HostName: "h"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Each parameter of OpenL2TP's profiles, in FEATURES' groups, is known in its layer: it
// stands for a setting that there is, has no effect for a reason, or is refused for one.
func TestOpenL2TPsParameters(t *testing.T) {
	for layer, names := range map[Layer]string{
		TunnelLayer: "dest_ipaddr src_ipaddr udp_port interface_name tunnel_name host_name secret auth_mode hide_avps use_tiebreaker framing_caps bearer_caps " +
			"hello_timeout max_retries retry_timeout rx_window_size tx_window_size idle_timeout max_sessions persist use_udp_checksums mtu pmtu_discovery " +
			"allow_ppp_proxy do_pmtu using_ipsec establish_timeout persist_pend_timeout session_profile_name ppp_profile_name trace_flags",
		SessionLayer: "session_type sequencing_required use_sequence_numbers reorder_timeout no_ppp priv_group_id framing_type bearer_type min_bps max_bps " +
			"connect_speed calling_number called_number sub_address establish_timeout persist_pend_timeout persist ppp_profile_name use_ppp_proxy trace_flags",
		PPPLayer: "mtu mru asyncmap accomp pcomp acfc magic auth_pap auth_chap auth_mschapv1 auth_mschapv2 auth_eap auth_none chap_interval chap_max_challenge " +
			"chap_restart pap_max_auth_requests pap_restart pap_timeout lcp_max_configure ipcp_max_configure lcp_max_failure ipcp_max_failure lcp_max_terminate " +
			"ipcp_max_terminate lcp_restart ipcp_restart lcp_echo_interval lcp_echo_fail_count idle_timeout max_connect_time local_ip peer_ip ip_pool_name " +
			"dns1 dns2 wins1 wins2 use_radius radius_hint default_route multilink local_name remote_name proxyarp trace_flags",
	} {
		for _, name := range strings.Fields(names) {
			if findProfileKey(ProfileKeys(layer), name) == nil {
				t.Errorf("%s: no %s", layer.Command(), name)
			}
		}
	}
	settings := map[string]Setting{}
	for _, s := range Settings() {
		settings[s.Name] = s
	}
	for _, layer := range Layers() {
		seen := map[string]bool{}
		for _, k := range ProfileKeys(layer) {
			n := 0
			for _, is := range []bool{k.Setting != "", k.Note != "", k.Refused != "", k.isLink, k.apply != nil} {
				if is {
					n++
				}
			}
			s, ok := settings[k.Setting]
			if n != 1 || k.Setting != "" && (!ok || s.Apply == Restart) || k.Help == "" {
				t.Errorf("%s %s: %+v", layer.Command(), k.Name, k)
			}
			for _, name := range append([]string{k.Name}, k.Alias...) {
				if seen[name] {
					t.Errorf("%s has %s twice", layer.Command(), name)
				}
				seen[name] = true
			}
			if k.Note != "" {
				_, ws, err := Parse("f", fmt.Sprintf("%s p %s 1", layer.Command(), k.Name), Options{})
				if err != nil || !strings.Contains(fmt.Sprint(ws), k.Note) {
					t.Errorf("%s %s: %v %v", layer.Command(), k.Name, ws, err)
				}
			}
		}
	}
}
