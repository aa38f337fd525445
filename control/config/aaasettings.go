package config

import "time"

// Presets are the vendors whose attributes can be understood.
func Presets() []string {
	return []string{"cisco", "mikrotik", "wispr", "filter-id", "erx", "ascend", "nokia"}
}

func presetWords() (words []choice[string]) {
	for _, p := range Presets() {
		words = append(words, choice[string]{p, p})
	}
	return words
}

// portTypeWords are values of NAS-Port-Type (RFC 2865 section 5.41 and after).
func portTypeWords() []choice[uint32] {
	return []choice[uint32]{
		{"virtual", 5}, {"async", 0}, {"sync", 1}, {"isdn", 2}, {"sdsl", 11}, {"adsl-cap", 12}, {"adsl-dmt", 13},
		{"idsl", 14}, {"ethernet", 15}, {"xdsl", 16}, {"cable", 17}, {"wireless", 18},
	}
}

func aaaSettings() []Setting {
	return []Setting{
		row("radius_balance", boolean(), func(c *Config) *bool { return &c.AAA.Balance }, "no", Restart,
			"Share requests between primary_radius and secondary_radius; no asks the second when the first is silent."),
		row("radius_status_server", boolean(), func(c *Config) *bool { return &c.AAA.StatusServer }, "no", Restart,
			"Ask primary_radius and secondary_radius by Status-Server (RFC 5997) before they are used again after an outage."),
		row("default_realm", text(maxString), func(c *Config) *string { return &c.AAA.DefaultRealm }, "", Restart,
			"Realm of names without one, for the realm commands; none for none."),
		row("radius_presets", list(enum(presetWords()), true), func(c *Config) *[]string { return &c.AAA.Presets },
			"cisco, mikrotik, wispr, filter-id, erx, ascend, nokia", Restart,
			"Vendors whose attributes for rates, filters and gardens are understood; in a conflict the later one counts."),
		row("radius_strict", boolean(), func(c *Config) *bool { return &c.AAA.Strict }, "no", Restart,
			"Refuse a login whose answer carries policy that is not supported; no goes on without it."),
		row("radius_ignore_malformed", boolean(), func(c *Config) *bool { return &c.AAA.IgnoreMalformed }, "no", Restart,
			"Go on without an attribute whose value cannot be understood; no refuses the login."),
		row("radius_nas_port_type", enum(portTypeWords()), func(c *Config) *uint32 { return &c.AAA.PortType }, "virtual", Restart,
			"NAS-Port-Type of requests."),
		row("radius_request_cui", boolean(), func(c *Config) *bool { return &c.AAA.RequestCUI }, "no", Restart,
			"Ask for a Chargeable-User-Identity (RFC 4372), which accounting repeats; a server may send one only when asked."),
		row("radius_down", enum(downWords()), func(c *Config) *DownAction { return &c.AAA.Down.Action }, "deny", Restart,
			"Subscribers for whom no RADIUS server answers: deny, into the garden, or what was granted last."),
		row("radius_down_garden", text(maxString), func(c *Config) *string { return &c.AAA.Down.Garden }, "", Restart,
			"Walled garden for when no RADIUS server answers; with last_good for those who cannot be known again, none denies these."),
		row("radius_down_grace", seconds(time.Minute, year), func(c *Config) *time.Duration { return &c.AAA.Down.Grace }, "86400", Restart,
			"How long what a server granted holds as the last good."),
		row("radius_down_entries", number[int]("subscribers", 1, 1<<22), func(c *Config) *int { return &c.AAA.Down.Entries }, "65536", Restart,
			"Most subscribers remembered for last_good."),
		row("radius_down_line", boolean(), func(c *Config) *bool { return &c.AAA.Down.Line }, "no", Restart,
			"Know CHAP subscribers again by LAC and calling number, since their passwords cannot be checked without the server."),
		row("radius_down_session", seconds(0, year), func(c *Config) *time.Duration { return &c.AAA.Down.Session }, "3600", Restart,
			"Longest session granted while no RADIUS server answers; 0 for no limit."),
	}
}
