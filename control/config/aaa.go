package config

import (
	"net/netip"
	"regexp"
	"time"
)

// AAA holds the RADIUS servers besides the primary and the secondary one, how
// subscribers are spread over them, what their attributes mean, and what holds when
// none answers.
type AAA struct {
	Servers []RADIUSHost
	Realms  []Realm
	// DefaultRealm is the realm of names without one; empty is none.
	DefaultRealm string

	// Presets are the vendors whose attributes are understood.
	Presets   []string
	Maps      []AttributeMap
	FilterIDs []FilterIDMap
	Profiles  []RateProfile
	// Strict refuses logins with policy that is not supported; IgnoreMalformed goes on
	// without attributes that cannot be understood.
	Strict, IgnoreMalformed bool
	// PortType is the NAS-Port-Type sent.
	PortType uint32
	// RequestCUI asks for the Chargeable-User-Identity.
	RequestCUI bool
	// StatusServer asks the primary and secondary server by Status-Server before they
	// are used again; Balance shares requests between them.
	StatusServer, Balance bool

	Down RADIUSDown
}

// RADIUSHost is one radius_server command.
type RADIUSHost struct {
	Object
	Address            netip.Addr
	AuthPort, AcctPort uint16
	Secret             Secret
	// Group is the server group; empty is that of the primary and secondary server.
	Group            string
	Priority, Weight int
	StatusServer     bool
	// MessageAuthenticator is as in RADIUS.
	MessageAuthenticator Auto
}

// Realm is one realm command; its Name is the pattern, "none" for names without one.
type Realm struct {
	Object
	Group         string
	Strip, Refuse bool
}

// RateProfile is one rate_profile command. Rates are in bit/s, bursts in bytes.
type RateProfile struct {
	Object
	Up, Down           uint64
	UpBurst, DownBurst uint32
}

// AttributeMap is one radius_map command: what an attribute of the servers means.
type AttributeMap struct {
	// Vendor is 0 for the IETF's; Pair is the key in a Cisco-AVPair.
	Vendor uint32
	Type   byte
	Pair   string
	Target string
	// Unit is 1 in bit/s of a rate without a suffix; Integer tells a number from text.
	Unit    uint64
	Integer bool
}

// FilterIDMap is one filter_id command.
type FilterIDMap struct {
	Pattern       *regexp.Regexp
	Target, Value string
	Unit          uint64
}

// DownAction is what becomes of subscribers when no RADIUS server answers.
type DownAction uint8

// The actions.
const (
	DownDeny DownAction = iota
	DownGarden
	DownLastGood
)

func downWords() []choice[DownAction] {
	return []choice[DownAction]{{"deny", DownDeny}, {"garden", DownGarden}, {"last_good", DownLastGood}}
}

// RADIUSDown is what holds when no server answers.
type RADIUSDown struct {
	Action DownAction
	Garden string
	// Grace is how old the last yes may be, Entries how many are remembered, Line
	// whether CHAP logins are known again by where they call from, Session the limit
	// of a session so granted.
	Grace   time.Duration
	Entries int
	Line    bool
	Session time.Duration
}

// DefaultGroup is the name of the server group of the primary and secondary server.
const DefaultGroup = "default"

// ServerGroup is a group of servers that answer for the same subscribers.
type ServerGroup struct {
	Name    string
	Servers []RADIUSHost
}

// ServerGroups returns the groups, the one of names without a realm of their own first.
// It is DefaultGroup, or the first of a radius_server command where no server is in
// that.
func (c *Config) ServerGroups() []ServerGroup {
	var groups []ServerGroup
	add := func(s RADIUSHost) {
		if s.Group == "" {
			s.Group = DefaultGroup
		}
		for i := range groups {
			if groups[i].Name == s.Group {
				groups[i].Servers = append(groups[i].Servers, s)
				return
			}
		}
		groups = append(groups, ServerGroup{s.Group, []RADIUSHost{s}})
	}
	for i, s := range c.RADIUS.Servers() {
		host := RADIUSHost{
			Address: s.Auth.Addr(), AuthPort: s.Auth.Port(), AcctPort: s.Acct.Port(), Secret: c.RADIUS.Secret,
			Priority: i + 1, Weight: 1, StatusServer: c.AAA.StatusServer, MessageAuthenticator: c.RADIUS.MessageAuthenticator,
		}
		if c.AAA.Balance {
			host.Priority = 1
		}
		add(host)
	}
	for _, s := range c.AAA.Servers {
		if s.Group == DefaultGroup {
			s.Group = ""
		}
		add(s)
	}
	for i := range groups {
		if groups[i].Name == DefaultGroup && i > 0 {
			first := groups[i]
			copy(groups[1:i+1], groups[:i])
			groups[0] = first
		}
	}
	return groups
}
