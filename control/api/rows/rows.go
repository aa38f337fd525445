// Package rows writes the rows of tables that both ends must write alike: the daemon
// filters "show session" by what the operator would see.
package rows

import (
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// Escape makes text from the network safe to print: subscribers and LACs choose
// their names, and a terminal obeys control characters. What is not printable is
// written as in a Go string.
func Escape(s string) string {
	clean := true
	for _, r := range s {
		if !printable(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if printable(r) {
			b.WriteRune(r)
			continue
		}
		q := strconv.QuoteRuneToASCII(r)
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}

// printable leaves out marks that change the direction of text, and the stand-in
// for bytes that are no text, as well as controls.
func printable(r rune) bool {
	return r == ' ' || unicode.IsGraphic(r) && r != '\u00a0' && r != unicode.ReplacementChar
}

// Since is the time from one stamp (Unix nanoseconds, 0 for never) to another.
func Since(at, now int64) time.Duration {
	if at == 0 || now < at {
		return 0
	}
	return time.Duration(now - at)
}

// Seconds writes a duration as l2tpns' tables do.
func Seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// Or stands in for text that is not known.
func Or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

// Letter is a column of one letter.
func Letter(b bool) string {
	if b {
		return "Y"
	}
	return "N"
}

// SessionColumns are those of l2tpns.
func SessionColumns() []Column {
	return []Column{
		{"SID", 7, true}, {"TID", 5, true}, {"Username", 32, false}, {"IP", 15, false},
		{"I", 1, false}, {"T", 1, false}, {"G", 1, false}, {"IPv6", 4, false},
		{"opened", 10, true}, {"downloaded", 12, true}, {"uploaded", 12, true}, {"idle", 7, true},
		{"Rem.Time", 10, true}, {"LAC", 15, false}, {"CLI", 0, false},
	}
}

// Session is the cells of a session.
func Session(s *lnsv1.SessionInfo) []string {
	return []string{
		Number(uint64(s.Sid)), Number(uint64(s.TunnelId)), UserName(s), Or(s.Address, "0.0.0.0"),
		Letter(s.Intercepted), Letter(s.Throttled), Letter(s.Gardened), Letter(s.Ipv6),
		Seconds(Since(s.Opened, s.Now)), Number(s.GetCounters().GetDownBytes()), Number(s.GetCounters().GetUpBytes()),
		Seconds(Idle(s)), remaining(s), HostOf(s.Lac), s.CallingNumber,
	}
}

// UserName is a session's user, "*" until authenticated.
func UserName(s *lnsv1.SessionInfo) string {
	if !s.UserVerified {
		return "*"
	}
	return s.User
}

// Idle is the time since user traffic, or since the session came up without any.
func Idle(s *lnsv1.SessionInfo) time.Duration {
	return Since(max(s.GetCounters().GetLastSeen(), s.UpSince, s.Opened), s.Now)
}

// remaining is what is left of the session's time, 0 where there is no limit.
func remaining(s *lnsv1.SessionInfo) string {
	if s.SessionTimeout == 0 || s.UpSince == 0 {
		return "0"
	}
	return Seconds(max(0, time.Duration(s.SessionTimeout)-Since(s.UpSince, s.Now)))
}

// HostOf is the host of ADDRESS:PORT.
func HostOf(addrPort string) string {
	host, _, err := net.SplitHostPort(addrPort)
	if err != nil {
		return addrPort
	}
	return host
}

// Number writes a number.
func Number(n uint64) string { return strconv.FormatUint(n, 10) }

// Column is one of a table's. Widths are fixed, since rows are printed as they come; a
// value that is too wide moves the rest of its row.
type Column struct {
	Title string
	Width int
	Right bool // aligned to the right
}

// Line is a row of cells under its columns, without the blanks at its end.
func Line(columns []Column, cells []string) string {
	var b strings.Builder
	for i, c := range columns {
		if i > 0 {
			b.WriteByte(' ')
		}
		pad := strings.Repeat(" ", max(0, c.Width-utf8.RuneCountInString(cells[i])))
		if c.Right {
			b.WriteString(pad + cells[i])
		} else {
			b.WriteString(cells[i] + pad)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// SessionLine is the row of a session as "show session" prints it.
func SessionLine(s *lnsv1.SessionInfo) string {
	cells := Session(s)
	for i, c := range cells {
		cells[i] = Escape(c)
	}
	return Line(SessionColumns(), cells)
}
