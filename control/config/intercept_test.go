package config

import (
	"net/netip"
	"testing"
)

func TestInterceptTarget(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{[]string{"set snoop_host 192.0.2.1", "set snoop_port 9000"}, "192.0.2.1:9000"},
		{[]string{"set snoop_host 2001:db8::1", "set snoop_port 9000"}, "[2001:db8::1]:9000"},
		{nil, ""},
		{[]string{"set snoop_host 192.0.2.1"}, "error"},
		{[]string{"set snoop_port 9000"}, "error"},
	} {
		b := newBuilder("f", Options{})
		for i, l := range c.lines {
			b.line(i+1, l)
		}
		b.checkIntercept()
		got := ""
		if to := b.c.Intercept.Target(); len(b.errs) > 0 {
			got = "error"
		} else if to != (netip.AddrPort{}) {
			got = to.String()
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.lines, got, c.want)
		}
	}
}
