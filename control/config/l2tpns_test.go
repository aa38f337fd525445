package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The folder that Debian's l2tpns package brings loads as it is.
func TestDebianFolderLoads(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"startup-config", "users", "ip_pool"} {
		text, err := os.ReadFile(filepath.Join("testdata", "l2tpns", name))
		if err != nil {
			t.Fatal(err)
		}
		// As the package installs them.
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, warnings, err := Load(filepath.Join(dir, "startup-config"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range warnings {
		got = append(got, strings.TrimPrefix(w.String(), dir+"/"))
	}
	want := []string{
		"startup-config:8:5: pid_file is not needed: the service manager does this",
		"startup-config:60:5: cli_bind_address is not used: lnsctl talks over the Unix socket; operators come by ssh_address, or by telnet_address where that must be",
	}
	if !slices.Equal(got, want) {
		t.Errorf("warnings:\n%s", strings.Join(got, "\n"))
	}
	pool := []netip.Prefix{netip.MustParsePrefix("10.10.10.0/24"), netip.MustParsePrefix("10.13.10.0/24")}
	if len(c.Pools) != 1 || c.Pools[0].Name != DefaultPool || !slices.Equal(c.Pools[0].Prefixes, pool) {
		t.Errorf("pools: %+v", c.Pools)
	}
	if c.Files.Users != filepath.Join(dir, "users") || c.Log.File != "/var/log/l2tpns" || c.L2TP.Secret != "secret" {
		t.Errorf("%+v %+v", c.Files, c.Log)
	}
}

// l2tpns' variables, by the rows of the manual that name them, and a value that each
// takes. Every one has its meaning here, or says what replaces it.
func l2tpnsVariables() map[string][][2]string {
	return map[string][][2]string{
		"logging":    {{"debug", "3"}, {"log_file", "syslog:local5"}},
		"tunnels":    {{"l2tp_secret", "s"}, {"l2tp_mtu", "1500"}, {"disable_sending_hello", "yes"}, {"auth_tunnel_change_addr_src", "yes"}, {"bind_address", "192.0.2.1"}, {"bind_multi_address", "192.0.2.1"}, {"iftun_address", "192.0.2.1"}, {"tundevicename", "tun3"}},
		"names":      {{"primary_dns", "10.0.0.1"}, {"secondary_dns", "10.0.0.2"}, {"peer_address", "10.0.0.3"}, {"hostname", "lns"}, {"multi_hostname", "a"}},
		"state":      {{"save_state", "no"}, {"setuid", "5"}, {"pid_file", "/run/x"}, {"random_device", "/dev/urandom"}, {"scheduler_fifo", "yes"}, {"lock_pages", "yes"}, {"cleanup_interval", "10"}, {"multi_read_count", "10"}},
		"RADIUS":     {{"primary_radius", "10.0.0.3"}, {"secondary_radius", "10.0.0.4"}, {"primary_radius_port", "1645"}, {"secondary_radius_port", "1645"}, {"radius_accounting", "yes"}, {"radius_interim", "600"}, {"radius_secret", "s"}, {"radius_authtypes", "pap, chap"}, {"radius_dae_port", "3799"}, {"radius_bind_min", "2000"}, {"radius_bind_max", "2063"}},
		"users":      {{"allow_duplicate_users", "yes"}, {"kill_timedout_sessions", "no"}, {"guest_account", "guest"}, {"throttle_speed", "28"}, {"throttle_buckets", "3000"}, {"packet_limit", "100"}, {"snoop_host", "10.0.0.9"}, {"snoop_port", "5000"}},
		"accounting": {{"accounting_dir", "/var/run/l2tpns/acct"}, {"account_all_origin", "yes"}, {"dump_speed", "yes"}},
		"network":    {{"send_garp", "yes"}, {"icmp_rate", "100"}, {"cli_bind_address", "127.0.0.1"}, {"nexthop", "10.0.0.1"}, {"nexthop6", "2001:db8::1"}},
		"PPP":        {{"ppp_restart_time", "3"}, {"ppp_max_configure", "10"}, {"ppp_max_failure", "5"}, {"echo_timeout", "10"}, {"idle_echo_timeout", "240"}, {"ppp_keepalive", "no"}},
		"cluster":    {{"cluster_address", "239.192.13.13"}, {"cluster_interface", "eth0"}, {"cluster_hb_interval", "5"}, {"cluster_hb_timeout", "150"}, {"cluster_port", "32792"}, {"cluster_mcast_ttl", "1"}, {"cluster_master_min_adv", "1"}},
		"BGP":        {{"as_number", "64512"}, {"bgp_peer1", "10.0.0.1"}, {"bgp_peer1_as", "64512"}, {"bgp_peer2", "10.0.0.2"}, {"bgp_peer2_as", "64512"}},
		"IPv6":       {{"dhcp6_server_duid", "1"}, {"dhcp6_preferred_lifetime", "3600"}, {"dhcp6_valid_lifetime", "7200"}, {"primary_ipv6_dns", "2001:db8::1"}, {"secondary_ipv6_dns", "2001:db8::2"}, {"default_ipv6_domain_list", "example.net"}, {"ipv6_prefix", "2001:db8::"}},
		"LAC":        {{"bind_address_remotelns", "10.0.0.1"}, {"bind_portremotelns", "65432"}, {"disable_lac_func", "no"}},
		"PPPoE":      {{"pppoe_if_to_bind", "eth0"}, {"pppoe_service_name", "x"}, {"pppoe_ac_name", "x"}, {"pppoe_only_equal_svc_name", "yes"}},
	}
}

func TestEveryVariableOfL2tpnsIsKnown(t *testing.T) {
	for group, rows := range l2tpnsVariables() {
		for _, r := range rows {
			b := newBuilder("f", Options{})
			b.line(1, "set "+r[0]+" \""+r[1]+"\"")
			if len(b.errs) > 0 {
				t.Errorf("%s: %s: %v", group, r[0], b.errs)
				continue
			}
			_, known := b.settings[r[0]]
			if known == (len(b.warnings) > 0) {
				t.Errorf("%s: %s: a setting: %v; warnings: %v", group, r[0], known, b.warnings)
			}
			for _, w := range b.warnings {
				if len(w.Message) < len(r[0])+15 {
					t.Errorf("%s: %s does not say what replaces it: %s", group, r[0], w.Message)
				}
			}
		}
	}
}

// Commands of l2tpns' files, each on its own line.
func TestEveryCommandOfL2tpnsIsKnown(t *testing.T) {
	for _, block := range []string{
		"load plugin \"garden\"", "remove plugin \"garden\"", "setforward mask 10.0.0.1 1701 secret",
		"router bgp 64512\n neighbour 10.0.0.1 remote-as 64512\n neighbour 10.0.0.1 timers 10 30\n exit",
		"ip access-list standard A\n permit 10.0.0.0 0.0.0.255\n deny host 10.0.0.1\n exit",
		"ip access-list extended B\n permit tcp any any eq 80\n permit tcp any any established\n permit udp any range 1 9 any neq 53\n deny tcp any any match-all +syn -ack\n permit ip any any fragments",
	} {
		if _, _, err := Parse("f", block, Options{HostName: "h"}); err != nil {
			t.Errorf("%s:\n%v", block, err)
		}
	}
}
