package config

import (
	"strings"
	"testing"
)

// What the commands say is read, shown without the secret, and written so that it is
// read as the same again.
func TestDAEClients(t *testing.T) {
	text := "set radius_dae_several no\n" +
		"dae_client billing address 192.0.2.20,2001:db8::/64 secret one\n" +
		"dae_client court address 198.51.100.7 secret two message_authenticator yes intercept yes\n"
	c, _ := parse(t, text)
	d := c.DAE
	if len(d.Clients) != 2 || d.Several || !d.Servers || d.Port != 3799 || d.Window.Seconds() != 300 {
		t.Fatalf("read %+v", d)
	}
	billing, court := d.Clients[0], d.Clients[1]
	if billing.Name != "billing" || len(billing.Addresses) != 2 || billing.Secret.Reveal() != "one" || billing.Intercept ||
		court.MessageAuthenticator != Yes || !court.Intercept || !court.Addresses[0].IsSingleIP() {
		t.Errorf("read %+v and %+v", billing, court)
	}
	again, _ := parse(t, c.Running())
	if changes := Diff(c, again); len(changes) != 0 {
		t.Errorf("%s\nread again differs in %v", c.Running(), changes)
	}
	if shown := c.Show(); strings.Contains(shown, "one") || strings.Contains(shown, "two") || !strings.Contains(shown, "# dae_client court secret") {
		t.Errorf("shown as\n%s", shown)
	}
	other, _ := parse(t, strings.Replace(text, "secret two", "secret three", 1))
	if changes := Diff(c, other); len(changes) != 1 || changes[0] != (Change{"dae_client", Live}) {
		t.Errorf("another secret is %v", changes)
	}
}

// Where requests are taken is an address, all of them, or bind_address.
func TestDAEAddress(t *testing.T) {
	for text, want := range map[string]struct{ value, written string }{
		"bind_address": {"invalid IP", ""}, "any": {"::", "set radius_dae_address any"}, "0.0.0.0": {"::", "set radius_dae_address any"},
		"192.0.2.7": {"192.0.2.7", "set radius_dae_address 192.0.2.7"}, "2001:db8::7": {"2001:db8::7", "set radius_dae_address 2001:db8::7"},
	} {
		c, _ := parse(t, "set radius_dae_address "+text+"\n")
		if got := c.DAE.Address.String(); got != want.value {
			t.Errorf("%s is read as %s, want %s", text, got, want.value)
		}
		if want.written != "" && !strings.Contains(c.Running(), want.written) {
			t.Errorf("%s is written as\n%s", text, c.Running())
		}
		if again, _ := parse(t, c.Running()); again.DAE.Address != c.DAE.Address {
			t.Errorf("%s is read again as %v", text, again.DAE.Address)
		}
	}
	if _, _, err := Parse("f", "set radius_dae_address everywhere\n", Options{}); err == nil {
		t.Error("a word that is none was read")
	}
}
