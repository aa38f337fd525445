package config

// Apply says when a changed setting takes effect.
type Apply uint8

// The times.
const (
	// Live: at once, for everything.
	Live Apply = iota
	// NewOnly: for tunnels and sessions that are set up from then on.
	NewOnly
	// Restart: when the daemon is started again.
	Restart
)

// String returns "live", "new sessions" or "restart".
func (a Apply) String() string {
	return [...]string{"live", "new sessions", "restart"}[a]
}

// Setting is one row of the table of settings: what "set NAME VALUE" takes.
type Setting struct {
	Name string
	// Type is the kind of value, Unit its unit and Range its bounds, as words for
	// the reader; Unit and Range may be empty. Words are the values where there is
	// a fixed choice.
	Type, Unit, Range string
	Words             []string
	// Default is written as it would be in the file; empty is no value.
	Default string
	Apply   Apply
	Help    string
	// Secret values are hidden wherever they would be shown.
	Secret bool
	// Alias names the setting that this one is another way of writing; it is not
	// rendered.
	Alias string

	parse  func(*Config, string) error
	format func(*Config) string
}

// row makes a Setting of a kind and the place of its value.
func row[T any](name string, k kind[T], at func(*Config) *T, def string, apply Apply, help string) Setting {
	return Setting{
		Name: name, Type: k.name, Unit: k.unit, Range: k.bounds, Words: k.words,
		Default: def, Apply: apply, Help: help,
		parse: func(c *Config, s string) error {
			v, err := k.parse(s)
			if err == nil {
				*at(c) = v
			}
			return err
		},
		format: func(c *Config) string { return k.format(*at(c)) },
	}
}

func secretRow(s Setting) Setting { s.Secret = true; return s }

func aliasRow(of string, s Setting) Setting { s.Alias = of; return s }

// Settings returns the table of settings, grouped as Config is.
func Settings() []Setting {
	var all []Setting
	for _, group := range [][]Setting{
		l2tpSettings(), pppSettings(), dnsSettings(), ipv6Settings(), radiusSettings(), aaaSettings(), daeSettings(),
		accountingSettings(), sessionSettings(), gardenSettings(), interceptSettings(), limitSettings(), systemSettings(), shellSettings(), outgoingSettings(),
	} {
		all = append(all, group...)
	}
	return all
}

// Shown is the setting's value in c, as it may be shown: secrets are hidden.
func (s Setting) Shown(c *Config) string {
	v := s.format(c)
	if s.Secret && v != "" {
		return hidden
	}
	return v
}
