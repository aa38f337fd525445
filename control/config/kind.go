package config

import (
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lnsd/lnsd/control/session"
)

// A kind is a type of argument: how it is read, written and described. Errors of
// parse complete the sentence "NAME ..." and never repeat the text itself.
type kind[T any] struct {
	name   string // for help: "number", "address"
	unit   string
	bounds string // "1 to 10"; empty for none
	words  []string
	parse  func(string) (T, error)
	format func(T) string
}

func boolean() kind[bool] {
	return kind[bool]{
		name: "yes|no", words: []string{"yes", "no"},
		parse: func(s string) (bool, error) {
			switch strings.ToLower(s) {
			case "yes", "true", "on", "1":
				return true, nil
			case "no", "false", "off", "0":
				return false, nil
			}
			return false, fmt.Errorf("must be yes or no")
		},
		format: formatBool,
	}
}

func formatBool(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

type integers interface{ ~int | ~uint16 | ~uint8 }

func number[T integers](unit string, low, high int64) kind[T] {
	return kind[T]{
		name: "number", unit: unit, bounds: fmt.Sprintf("%d to %d", low, high),
		parse: func(s string) (T, error) {
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil || n < low || n > high {
				return 0, fmt.Errorf("must be a whole number from %d to %d%s", low, high, ofUnit(unit))
			}
			return T(n), nil
		},
		format: func(v T) string { return strconv.FormatInt(int64(v), 10) },
	}
}

// orZero lets a range begin above a zero that means "off".
func orZero[T integers](k kind[T], off string) kind[T] {
	parse := k.parse
	k.bounds += ", or 0 for " + off
	k.parse = func(s string) (T, error) {
		if s == "0" {
			return 0, nil
		}
		v, err := parse(s)
		if err != nil {
			err = fmt.Errorf("%w, or 0 for %s", err, off)
		}
		return v, err
	}
	return k
}

// dscp is the rule for the outer code point.
func dscp() kind[session.DSCP] {
	fixed := number[uint8]("", 0, 63)
	return kind[session.DSCP]{
		name: "copy|none|number", bounds: fixed.bounds, words: []string{"copy", "none"},
		parse: func(s string) (session.DSCP, error) {
			switch strings.ToLower(s) {
			case "copy":
				return session.DSCP{Copy: true}, nil
			case "none":
				return session.DSCP{}, nil
			}
			v, err := fixed.parse(s)
			if err != nil {
				return session.DSCP{}, fmt.Errorf("must be copy, none or a number from 0 to 63")
			}
			return session.DSCP{Value: v}, nil
		},
		format: func(d session.DSCP) string {
			switch {
			case d.Copy:
				return "copy"
			case d.Value == 0:
				return "none"
			}
			return fixed.format(d.Value)
		},
	}
}

func ofUnit(unit string) string {
	if unit == "" {
		return ""
	}
	return " (" + unit + ")"
}

// seconds is a duration written as a number of seconds, decimals allowed.
func seconds(low, high time.Duration) kind[time.Duration] {
	const unit = "seconds"
	bounds := formatSeconds(low) + " to " + formatSeconds(high)
	return kind[time.Duration]{
		name: "number", unit: unit, bounds: bounds,
		parse: func(s string) (time.Duration, error) {
			d, ok := parseSeconds(s)
			if !ok || d < low || d > high {
				return 0, fmt.Errorf("must be a number from %s (%s)", bounds, unit)
			}
			return d, nil
		},
		format: formatSeconds,
	}
}

// parseSeconds reads digits with at most three decimals. strconv.ParseFloat would
// also take "1e9", "NaN" and values that do not come back as they went in.
func parseSeconds(s string) (time.Duration, bool) {
	whole, frac, dot := strings.Cut(s, ".")
	if dot && (frac == "" || len(frac) > 3) {
		return 0, false
	}
	w, err := strconv.ParseUint(whole, 10, 32)
	if err != nil {
		return 0, false
	}
	var ms uint64
	if dot {
		if ms, err = strconv.ParseUint((frac + "00")[:3], 10, 16); err != nil {
			return 0, false
		}
	}
	return time.Duration(w)*time.Second + time.Duration(ms)*time.Millisecond, true
}

func formatSeconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
}

// address is an IP address; that of no host, 0.0.0.0 or ::, means not set, as it
// does in l2tpns.
func address(v4only bool) kind[netip.Addr] {
	name := "IP address"
	if v4only {
		name = "IPv4 address"
	}
	return kind[netip.Addr]{
		name: name,
		parse: func(s string) (netip.Addr, error) {
			a, err := netip.ParseAddr(s)
			switch {
			case err != nil, a.Zone() != "", v4only && !a.Unmap().Is4():
				return netip.Addr{}, fmt.Errorf("must be an %s", name)
			case a.IsUnspecified():
				return netip.Addr{}, nil
			case a.IsMulticast():
				return netip.Addr{}, fmt.Errorf("must not be a multicast address")
			}
			return a.Unmap(), nil
		},
		format: func(a netip.Addr) string {
			if !a.IsValid() {
				return "0.0.0.0"
			}
			return a.String()
		},
	}
}

// listenAddress6 is an IPv6 address to listen on, or none.
func listenAddress6() kind[netip.Addr] {
	const name, none = "IPv6 address", "none"
	return kind[netip.Addr]{
		name: name, bounds: "`" + none + "`",
		parse: func(s string) (netip.Addr, error) {
			if s == none {
				return netip.Addr{}, nil
			}
			a, err := netip.ParseAddr(s)
			switch {
			case err != nil, a.Zone() != "", !a.Is6(), a.Is4In6():
				return netip.Addr{}, fmt.Errorf("must be an %s, or %s", name, none)
			case a.IsMulticast(), a.IsLinkLocalUnicast():
				return netip.Addr{}, fmt.Errorf("must not be a multicast or link-local address")
			}
			return a, nil
		},
		format: func(a netip.Addr) string {
			if !a.IsValid() {
				return none
			}
			return a.String()
		},
	}
}

// anyPrefix is an IPv4 or IPv6 network.
func anyPrefix() kind[netip.Prefix] {
	return kind[netip.Prefix]{
		name: "IP prefix",
		parse: func(s string) (netip.Prefix, error) {
			if !strings.Contains(s, ":") {
				return parsePrefix(s)
			}
			if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
				return netip.PrefixFrom(a, a.BitLen()), nil
			}
			p, err := netip.ParsePrefix(s)
			switch {
			case err != nil || p.Addr().Is4In6():
				return netip.Prefix{}, fmt.Errorf("must be an IP address or prefix, such as 2001:db8::/32")
			case p.Masked() != p:
				return netip.Prefix{}, fmt.Errorf("has bits set beyond its length: %s is meant, or %s/128", p.Masked(), p.Addr())
			case p.Bits() < minPrefixBits:
				return netip.Prefix{}, fmt.Errorf("must not be larger than a /%d", minPrefixBits)
			}
			return p, nil
		},
		format: netip.Prefix.String,
	}
}

// minPrefixBits keeps a slip from making a pool of half the Internet; address
// pools hold no more than a /8 anyway.
const minPrefixBits = 8

// parsePrefix reads an IPv4 network. Bits beyond its length are an error: they are
// mostly a slip of the pen that would hand out other addresses than meant.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Is4() {
		return netip.PrefixFrom(a, 32), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is4() {
		return netip.Prefix{}, fmt.Errorf("must be an IPv4 address or prefix, such as 192.0.2.0/24")
	}
	if p.Masked() != p {
		return netip.Prefix{}, fmt.Errorf("has bits set beyond its length: %s is meant, or %s/32", p.Masked(), p.Addr())
	}
	if p.Bits() < minPrefixBits {
		return netip.Prefix{}, fmt.Errorf("must not be larger than a /%d", minPrefixBits)
	}
	return p, nil
}

// text is a string of at most the given number of bytes, without control
// characters: it goes into packets, logs and tables.
func text(limit int) kind[string] {
	return kind[string]{
		name: "text", bounds: fmt.Sprintf("up to %d bytes", limit),
		parse:  func(s string) (string, error) { return s, checkText(s, limit) },
		format: func(s string) string { return s },
	}
}

func checkText(s string, limit int) error {
	switch {
	case len(s) > limit:
		return fmt.Errorf("must not be longer than %d bytes", limit)
	case !utf8.ValidString(s):
		return fmt.Errorf("must be valid UTF-8")
	case strings.IndexFunc(s, unicode.IsControl) >= 0:
		return fmt.Errorf("must not hold control characters")
	}
	return nil
}

// named is a text that is not empty and has no blanks.
func named(what string, limit int) kind[string] {
	k := text(limit)
	k.name = what
	k.parse = func(s string) (string, error) {
		if s == "" || strings.ContainsFunc(s, unicode.IsSpace) {
			return "", fmt.Errorf("must be a %s without blanks", what)
		}
		return s, checkText(s, limit)
	}
	return k
}

// filePath is an absolute path: the daemon's working directory is nobody's choice.
func filePath() kind[string] {
	k := text(4095)
	k.name = "path"
	k.parse = func(s string) (string, error) {
		if !strings.HasPrefix(s, "/") {
			return "", fmt.Errorf("must be an absolute path")
		}
		return path.Clean(s), checkText(s, 4095)
	}
	return k
}

// listenAddress is where TCP connections are taken; empty is nowhere.
func listenAddress() kind[netip.AddrPort] {
	return kind[netip.AddrPort]{
		name: "ADDRESS:PORT",
		parse: func(s string) (netip.AddrPort, error) {
			if s == "" {
				return netip.AddrPort{}, nil
			}
			a, err := netip.ParseAddrPort(s)
			if err != nil || a.Port() == 0 {
				return a, fmt.Errorf("must be an address with a port, such as 192.0.2.1:1707 or [2001:db8::1]:1707")
			}
			return a, nil
		},
		format: func(a netip.AddrPort) string {
			if !a.IsValid() {
				return ""
			}
			return a.String()
		},
	}
}

// dirPath is an absolute path that may be left out.
func dirPath() kind[string] {
	k := filePath()
	parse := k.parse
	k.parse = func(s string) (string, error) {
		if s == "" {
			return "", nil
		}
		return parse(s)
	}
	return k
}

func logFile() kind[string] {
	k := text(4095)
	k.name = "path, syslog:FACILITY or journal"
	k.parse = func(s string) (string, error) {
		facility, syslog := strings.CutPrefix(s, "syslog:")
		switch {
		case syslog && !isFacility(facility):
			return "", fmt.Errorf("must name a syslog facility, such as syslog:local5")
		case s == "journal":
			return s, nil
		case !syslog && s != "" && !strings.HasPrefix(s, "/"):
			return "", fmt.Errorf("must be an absolute path, syslog:FACILITY or journal")
		}
		return s, checkText(s, 4095)
	}
	return k
}

// CheckLogFile says what is wrong with a value of log_file.
func CheckLogFile(s string) error {
	_, err := logFile().parse(s)
	return err
}

// traceMask is written by names, and read by names and OpenL2TP's numbers.
func traceMask() kind[session.TraceMask] {
	return kind[session.TraceMask]{
		name: "trace categories",
		parse: func(s string) (session.TraceMask, error) {
			m, err := session.ParseTraceMask(s)
			if err != nil {
				return 0, fmt.Errorf("must be a number up to %d, all, or some of %s, separated by commas", session.TraceAll,
					strings.Join(session.TraceCategories(), ", "))
			}
			return m, nil
		},
		format: func(m session.TraceMask) string { return m.String() },
	}
}

func isFacility(s string) bool {
	switch s {
	case "auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "security", "syslog", "user", "uucp":
		return true
	}
	return len(s) == 6 && strings.HasPrefix(s, "local") && s[5] >= '0' && s[5] <= '7'
}

func secret(limit int) kind[Secret] {
	return kind[Secret]{
		name: "secret", bounds: fmt.Sprintf("up to %d bytes", limit),
		parse:  func(s string) (Secret, error) { return Secret(s), checkText(s, limit) },
		format: Secret.Reveal,
	}
}

// glob is a pattern as path.Match takes it.
func glob(limit int) kind[string] {
	k := text(limit)
	k.name = "pattern"
	k.parse = func(s string) (string, error) {
		if _, err := path.Match(s, ""); err != nil {
			return "", fmt.Errorf("must be a pattern of letters, * and ?")
		}
		return s, checkText(s, limit)
	}
	return k
}

func enum[T comparable](words []choice[T]) kind[T] {
	var texts []string
	for _, w := range words {
		texts = append(texts, w.text)
	}
	return kind[T]{
		name: strings.Join(texts, "|"), words: texts,
		parse: func(s string) (T, error) {
			for _, w := range words {
				if strings.EqualFold(s, w.text) {
					return w.value, nil
				}
			}
			var zero T
			return zero, fmt.Errorf("must be one of %s", strings.Join(texts, ", "))
		},
		format: func(v T) string {
			for _, w := range words {
				if w.value == v {
					return w.text
				}
			}
			return ""
		},
	}
}

// auto is a yes or no that also takes l2tpns' other ways of writing them.
func auto() kind[Auto] {
	k, b := enum(autoWords()), boolean()
	parse := k.parse
	k.parse = func(s string) (Auto, error) {
		if v, err := b.parse(s); err == nil {
			if v {
				return Yes, nil
			}
			return No, nil
		}
		return parse(s)
	}
	return k
}

// list is a comma-separated list without repetitions.
func list[T comparable](of kind[T], emptyOK bool) kind[[]T] {
	return kind[[]T]{
		name: "list of " + of.name, words: of.words,
		parse: func(s string) ([]T, error) {
			var out []T
			for item := range strings.SplitSeq(s, ",") {
				item = strings.TrimSpace(item)
				if item == "" && emptyOK && strings.TrimSpace(s) == "" {
					return nil, nil
				}
				v, err := of.parse(item)
				if err != nil {
					return nil, fmt.Errorf("must be a comma-separated list; each item %w", err)
				}
				for _, old := range out {
					if old == v {
						return nil, fmt.Errorf("must not name anything twice")
					}
				}
				out = append(out, v)
			}
			return out, nil
		},
		format: func(vs []T) string {
			var b strings.Builder
			for i, v := range vs {
				if i > 0 {
					b.WriteString(", ")
				}
				b.WriteString(of.format(v))
			}
			return b.String()
		},
	}
}
