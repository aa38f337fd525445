package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lnsd/lnsd/control/session"
)

// Arg is one argument of a command.
type Arg struct {
	Name, Type, Help string
	// Words are the values where there is a fixed choice.
	Words []string
	// Rest takes all further words, at least one unless it is Optional.
	Rest, Optional bool
	// Many: a key that may be given several times and adds up.
	Many bool
	// Secret values are not to be shown.
	Secret bool
}

// Command is one row of the table of commands.
type Command struct {
	// Name is the first word; "no" negates a command and is not part of it.
	Name string
	Args []Arg
	// Keys are what KEY VALUE stands for, where that is among the arguments.
	Keys []Arg
	Help string

	run func(*builder, []token)
	// within says that the command is part of the one before.
	within bool
	// keyed is how many arguments tell one such command from another that it takes the
	// place of; 0: all of them.
	keyed int
}

// IsPart reports whether the command is part of the one before, as a rule is of its
// access list.
func (c Command) IsPart() bool { return c.within }

// Usage returns the command with its arguments, as a manual writes it.
func (c Command) Usage() string {
	parts := []string{c.Name}
	for _, a := range c.Args {
		switch {
		case len(a.Words) > 0:
			parts = append(parts, strings.Join(a.Words, "|"))
		case a.Optional:
			parts = append(parts, "["+a.Name+"...]")
		case a.Rest:
			parts = append(parts, a.Name+"...")
		default:
			parts = append(parts, a.Name)
		}
	}
	return strings.Join(parts, " ")
}

// Commands returns the table of configuration commands.
func Commands() []Command {
	commands := []Command{
		{Name: "set", Help: "Give a setting its value.", run: (*builder).set, keyed: 1, Args: []Arg{
			{Name: "NAME", Type: "setting", Help: "Name of the setting."},
			{Name: "VALUE", Type: "value", Help: "Its value; in quotes if it has blanks."},
		}},
		{Name: "pool", Help: "Add addresses to a named pool.", run: (*builder).pool, Args: []Arg{
			{Name: "NAME", Type: "pool name", Help: "Name of the pool, as Framed-Pool gives it."},
			{Name: "add", Type: "word", Words: []string{"add"}},
			{Name: "PREFIX", Type: "IPv4 prefix", Help: "Addresses to add."},
		}},
		{Name: "pool6", Help: "Add prefixes to a named pool of IPv6 prefixes.", run: (*builder).pool6, Args: []Arg{
			{Name: "NAME", Type: "pool name", Help: "Name of the pool, as Framed-IPv6-Pool or Delegated-IPv6-Prefix-Pool gives it."},
			{Name: "add", Type: "word", Words: []string{"add"}},
			{Name: "PREFIX", Type: "IPv6 prefix", Help: "Prefix to be cut into pieces."},
			{Name: "LENGTH", Type: "number", Help: "Length of the pieces in bits: 64 for links, 48 to 64 for delegation."},
		}},
		{Name: "lac", Help: "Let in the LACs of an address or a host name, with a policy of their own.", run: (*builder).lac, Keys: lacKeyArgs(), Args: []Arg{
			{Name: "NAME", Type: "name", Help: "Name of the policy."},
			{Name: "KEY VALUE", Type: "policy", Help: "What the policy says; the command may be repeated.", Rest: true},
		}},
	}
	return slices.Concat(commands, aaaCommands(), daeCommands(), gardenCommands(), packetHookCommands(), pluginCommands(), profileCommands(), outgoingCommands(), accessListCommands())
}

// LACKey is one row of the table of what a lac command can say.
type LACKey struct {
	Name, Type, Unit, Range string
	Words                   []string
	Help                    string
	Secret                  bool
	// Many means that the key may be given several times and adds up.
	Many bool

	// parse sets the value and returns it as it is to be rendered.
	parse func(*LAC, string) (string, error)
	// show is the value as it may be seen.
	show func(*LAC) string
}

func lacRow[T any](name string, k kind[T], at func(*LAC) *T, help string) LACKey {
	return LACKey{
		Name: name, Type: k.name, Unit: k.unit, Range: k.bounds, Words: k.words, Help: help,
		parse: func(l *LAC, s string) (string, error) {
			v, err := k.parse(s)
			if err != nil {
				return "", err
			}
			*at(l) = v
			return k.format(v), nil
		},
		show: func(l *LAC) string { return k.format(*at(l)) },
	}
}

// LACKeys returns the table of what a lac command can say.
func LACKeys() []LACKey {
	secretKey := lacRow("secret", secret(maxString), func(l *LAC) *Secret { return &l.Secret }, "Secret shared with these LACs.")
	secretKey.Secret = true
	secretKey.show = func(l *LAC) string { return l.Secret.String() }
	profile := func(layer Layer, at func(*LAC) *string) LACKey {
		return lacRow(layer.Command(), named("profile name", maxString), at, link(layer).Help)
	}
	return []LACKey{
		addressKey(),
		lacRow("hostname", glob(maxString), func(l *LAC) *string { return &l.HostName }, "Host names (patterns with * and ?) of these LACs."),
		secretKey,
		lacRow("challenge", boolean(), func(l *LAC) *bool { return &l.Challenge }, "Challenge these LACs."),
		lacRow("hide_avps", boolean(), func(l *LAC) *bool { return &l.HideAVPs }, "Hide AVPs from onlookers."),
		lacRow("mtu", number[uint16]("bytes", 576, 65535), func(l *LAC) *uint16 { return &l.MTU }, "MTU of the path to these LACs."),
		lacRow("max_sessions", number[int]("sessions", 1, maxIDs), func(l *LAC) *int { return &l.MaxSessions }, "Most sessions in one tunnel."),
		lacRow("pool", named("pool name", maxString), func(l *LAC) *string { return &l.Pool }, "Pool for sessions whose profile names none."),
		lacRow("ipv6_pool", named("pool name", maxString), func(l *LAC) *string { return &l.Pool6 }, "Pool of the link's IPv6 prefix for sessions whose profile names none."),
		lacRow("ipv6_pd_pool", named("pool name", maxString), func(l *LAC) *string { return &l.PDPool }, "Pool of the delegated prefix for sessions whose profile names none."),
		lacRow("authtypes", list(enum(authWords()), false), func(l *LAC) *[]session.AuthMethod { return &l.AuthTypes }, "Authentication types, in order of preference."),
		lacRow("renegotiation", enum(renegotiateWords()), func(l *LAC) *Renegotiate { return &l.Renegotiate }, "When to negotiate LCP anew."),
		lacRow("proxy", boolean(), func(l *LAC) *bool { return &l.Proxy }, "Take LCP and authentication from these LACs."),
		lacRow("outer_dscp", dscp(), func(l *LAC) *session.DSCP { return &l.OuterDSCP }, "DSCP of data packets: that of the subscriber's packet, none (0), or a fixed one."),
		lacRow("ecn", boolean(), func(l *LAC) *bool { return &l.ECN }, "Carry ECN marks through the tunnel (RFC 6040), which these LACs must do too."),
		lacRow("trace", traceMask(), func(l *LAC) *session.TraceMask { return &l.Trace }, "What is traced of these LACs' tunnels and sessions into the log: numbers, or names such as protocol,fsm."),
		lacRow("send_length", boolean(), func(l *LAC) *bool { return &l.SendLength }, "Write the Length field in data headers."),
		profile(TunnelLayer, func(l *LAC) *string { return &l.TunnelProfile }),
		profile(SessionLayer, func(l *LAC) *string { return &l.SessionProfile }),
		profile(PPPLayer, func(l *LAC) *string { return &l.PPPProfile }),
		lacRow("send_address_control", boolean(), func(l *LAC) *bool { return &l.SendAddressControl }, "Write FF 03 before data."),
	}
}

// addressKey adds up: a carrier's LACs rarely share one prefix.
func addressKey() LACKey {
	k := anyPrefix()
	return LACKey{
		Name: "address", Type: k.name, Help: "Source addresses of these LACs; may be repeated.", Many: true,
		parse: func(l *LAC, s string) (string, error) {
			p, err := k.parse(s)
			if err != nil {
				return "", err
			}
			if slices.Contains(l.Addresses, p) {
				return "", fmt.Errorf("is given twice")
			}
			l.Addresses = append(l.Addresses, p)
			return k.format(p), nil
		},
	}
}

// lacKeyArgs are the keys as arguments of their command.
func lacKeyArgs() []Arg {
	var out []Arg
	for _, k := range LACKeys() {
		out = append(out, Arg{Name: k.Name, Type: k.Type, Help: k.Help, Words: k.Words, Many: k.Many, Secret: k.Secret})
	}
	return out
}
