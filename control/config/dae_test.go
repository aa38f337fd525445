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
