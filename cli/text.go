package cli

import (
	"fmt"
	"time"

	"github.com/lnsd/lnsd/control/api/rows"
)

// escape makes text from the network safe to print.
func escape(s string) string { return rows.Escape(s) }

// since is the time from one stamp (Unix nanoseconds, 0 for never) to another.
func since(at, now int64) time.Duration { return rows.Since(at, now) }

// wholeSeconds writes a duration as l2tpns' tables do.
func wholeSeconds(d time.Duration) string { return rows.Seconds(d) }

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

// or stands in for text that is not known.
func or(s, instead string) string { return rows.Or(s, instead) }

// flag is a column of one letter.
func flag(b bool) string { return rows.Letter(b) }

// hostOf is the host of ADDRESS:PORT.
func hostOf(addrPort string) string { return rows.HostOf(addrPort) }
