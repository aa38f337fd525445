package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// printJSON prints one value, indented.
func printJSON(w io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}

// printJSONLine prints one value on a line, for streams.
func printJSONLine(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}

// jsonList prints an array as its items come, one a line, so that a million of
// them need no memory.
type jsonList struct {
	w     io.Writer
	begun bool
}

func (l *jsonList) item(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	lead := ",\n"
	if !l.begun {
		l.begun, lead = true, "[\n"
	}
	_, err = fmt.Fprintf(l.w, "%s  %s", lead, b)
	return err
}

func (l *jsonList) end() error {
	if !l.begun {
		_, err := fmt.Fprintln(l.w, "[]")
		return err
	}
	_, err := fmt.Fprintln(l.w, "\n]")
	return err
}

// moment is a time in JSON: RFC 3339 in UTC, null for never.
type moment int64

// MarshalJSON writes the time.
func (m moment) MarshalJSON() ([]byte, error) {
	if m == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(time.Unix(0, int64(m)).UTC())
}

// secs is a duration in JSON: seconds.
type secs int64

// MarshalJSON writes the seconds, with decimals where there are any.
func (s secs) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(s).Seconds())
}

// list makes JSON write an array where there is nothing in it.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
