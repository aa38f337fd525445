package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// escape makes text from the network safe to print: subscribers and LACs choose
// their names, and a terminal obeys control characters. What is not printable is
// written as in a Go string.
func escape(s string) string {
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

// since is the time from one stamp (Unix nanoseconds, 0 for never) to another.
func since(at, now int64) time.Duration {
	if at == 0 || now < at {
		return 0
	}
	return time.Duration(now - at)
}

// wholeSeconds writes a duration as l2tpns' tables do.
func wholeSeconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// span writes a duration for reading: "2 days, 3:04:05".
func span(d time.Duration) string {
	s := int64(d / time.Second)
	clock := fmt.Sprintf("%d:%02d:%02d", s/3600%24, s/60%60, s%60)
	switch days := s / 86400; days {
	case 0:
		return clock
	case 1:
		return "1 day, " + clock
	default:
		return fmt.Sprintf("%d days, %s", days, clock)
	}
}

// limit writes a time limit, where 0 is none.
func limit(ns int64) string {
	if ns == 0 {
		return "none"
	}
	return span(time.Duration(ns))
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// flag is a column of one letter.
func flag(b bool) string {
	if b {
		return "Y"
	}
	return "N"
}

// or stands in for text that is not known.
func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}
