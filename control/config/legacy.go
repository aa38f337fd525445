package config

import (
	"slices"
	"strings"
)

// legacy is what l2tpns' files may hold that is accepted without effect here, so
// that they load as they are.
type legacy struct {
	// settings maps names to what to know about them.
	settings map[string]legacySetting
	// commands maps first words to what to know about them.
	commands map[string]string
}

type legacySetting struct {
	// note says what replaces the setting, or why it is not needed.
	note string
	// same are the values which ask for what happens anyway: no warning then.
	same []string
}

const (
	notHere    = "is not available in this version"
	notNeeded  = "is not needed"
	restartsUp = notNeeded + ": the service manager does this"
)

func newLegacy() legacy {
	return legacy{settings: legacySettings(), commands: legacyCommands()}
}

func legacySettings() map[string]legacySetting {
	off := []string{"no", "false", "off", "0"}
	on := []string{"yes", "true", "on", "1"}
	note := func(n string) legacySetting { return legacySetting{note: n} }
	m := map[string]legacySetting{
		"auth_tunnel_change_addr_src": {"is refused: a tunnel's addresses stay fixed for its life (RFC 2661 section 8.1)", off},
		"bind_multi_address":          note("is not used: leave bind_address unset to receive on every address"),
		"cleanup_interval":            note(notNeeded + ": every session has its own timers"),
		"cli_bind_address":            note("is not used: lnsctl talks over the Unix socket; operators come by ssh_address, or by telnet_address where that must be"),
		"disable_lac_func":            {notHere, on},
		"disable_no_spoof":            {"is not used: packets with a foreign source are always dropped", off},
		"guest_account":               note("is not used: duplicate_users says what a second login does"),
		"lock_pages":                  {notNeeded + ": LimitMEMLOCK and MemorySwapMax of the service do this", off},
		"multi_hostname":              note(notHere + "; hostname sets the one name"),
		"multi_read_count":            note(notNeeded + ": packets are read in batches"),
		"pid_file":                    note(restartsUp),
		"ppp_keepalive":               {"is not used: echoes are sent only in silence", on},
		"random_device":               note(notNeeded + ": the kernel's generator is used"),
		"scheduler_fifo":              {"is not used: CPUSchedulingPolicy of the service does this", off},
		"send_garp":                   {notHere, off},
		"setuid":                      note("is not used: User of the service does this"),
		"snoop_host":                  note(notHere),
		"snoop_port":                  note(notHere),
		"throttle_buckets":            note(notNeeded + ": every session has room for its rates"),
	}
	groups := map[string][]string{
		"clustering " + notHere: {"cluster_address", "cluster_port", "cluster_interface", "cluster_mcast_ttl",
			"cluster_hb_interval", "cluster_hb_timeout", "cluster_master_min_adv"},
		"BGP " + notHere: {"as_number", "bgp_peer1", "bgp_peer1_as", "bgp_peer2", "bgp_peer2_as",
			"nexthop", "nexthop6", "nexthop_address", "nexthop6_address"},
		"handing sessions on " + notHere: {"bind_address_remotelns", "bind_portremotelns"},
		"PPPoE " + notHere: {"pppoe_if_to_bind", "pppoe_service_name", "pppoe_ac_name",
			"pppoe_only_equal_svc_name"},
	}
	for text, names := range groups {
		for _, n := range names {
			m[n] = note("is not used: " + text)
		}
	}
	return m
}

func legacyCommands() map[string]string {
	const bgp = "BGP is not available in this version"
	return map[string]string{
		"router":     bgp,
		"neighbour":  bgp,
		"setforward": "handing sessions on is not available in this version",
		"exit":       "",
		"end":        "",
	}
}

// legacySetting reports whether the name is one of l2tpns' settings that have no
// effect, and warns of it.
func (b *builder) legacySetting(name, value token) bool {
	s, ok := b.legacy.settings[name.text]
	if ok && !slices.Contains(s.same, value.text) {
		b.warn(b.at(name), "%s %s", name.text, s.note)
	}
	return ok
}

// legacyCommand does the same for commands. An empty note is no warning.
func (b *builder) legacyCommand(toks []token) bool {
	note, ok := b.legacy.commands[toks[0].text]
	if ok && note != "" {
		b.warn(b.at(toks[0]), "%s is ignored: %s", toks[0].text, note)
	}
	return ok
}

// Legacy is one name that l2tpns' files may hold and that has no effect here.
type Legacy struct {
	Name string
	// Note says what replaces it, or why it is not needed.
	Note string
}

// LegacySettings lists the settings, LegacyCommands the commands of l2tpns that are
// read and have no effect, by name.
func LegacySettings() []Legacy {
	var out []Legacy
	for name, s := range legacySettings() {
		out = append(out, Legacy{name, s.note})
	}
	slices.SortFunc(out, byName)
	return out
}

// LegacyCommands is described at LegacySettings.
func LegacyCommands() []Legacy {
	var out []Legacy
	for name, note := range legacyCommands() {
		out = append(out, Legacy{name, note})
	}
	slices.SortFunc(out, byName)
	return out
}

func byName(a, b Legacy) int { return strings.Compare(a.Name, b.Name) }
