package api

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// utf8Text makes s fit for a protobuf string, which has to be valid UTF-8: names
// come from the network and are any bytes. Each other byte becomes \xNN.
func utf8Text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[0])
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}
