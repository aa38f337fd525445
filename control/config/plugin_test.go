package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPlugins(t *testing.T) {
	text := "plugin mine path /opt/mine timeout 0.5 fail closed\nload plugin stripdomain\nload plugin mine\n"
	c, _, err := Parse("f", strings.Replace(text, "load plugin mine\n", "load plugin autosnoop\nload plugin \"mine\"\nremove plugin autosnoop\n", 1), Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := &c.Plugins
	if len(p.List) != 1 || p.List[0].Path != "/opt/mine" || p.List[0].Timeout != 500*time.Millisecond || p.List[0].Fail != FailClosed {
		t.Errorf("%+v", p.List)
	}
	if !slices.Equal(p.Loaded, []string{"stripdomain", "mine"}) {
		t.Errorf("loads %q", p.Loaded)
	}
	if !strings.Contains(c.Running(), text) {
		t.Errorf("rendered as:\n%s", c.Running())
	}
	for _, name := range []string{"throttlectl", "garden"} {
		c, warnings, err := Parse("f", "load plugin "+name+"\n", Options{})
		if err != nil || len(c.Plugins.Loaded) > 0 || !strings.Contains(warnings[0].Message, "is not loaded") {
			t.Errorf("%s: %v, %v", name, warnings, err)
		}
	}
	c, _, err = Parse("f", "garden unpaid\nload plugin garden\n", Options{})
	if err != nil || !slices.Equal(c.Plugins.Loaded, []string{"garden"}) {
		t.Errorf("%v, %v", c, err)
	}
}
