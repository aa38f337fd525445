package config

import "net/netip"

// Shell is how operators reach the daemon's own shell.
type Shell struct {
	// SSH and Telnet are where it is; the zero value is nowhere.
	SSH, Telnet netip.AddrPort
	// Exposed lets telnet be reached from other hosts, for all to read on the way.
	Exposed bool
	// HostKey is the file of the SSH server's key, AuthorizedKeys that of the keys which
	// are let in.
	HostKey, AuthorizedKeys string
}

func shellSettings() []Setting {
	return []Setting{
		row("ssh_address", listenAddress(), func(c *Config) *netip.AddrPort { return &c.Shell.SSH }, "", Restart,
			"Address of the shell for operators by SSH, who log in by the users file or a key; without it there is none."),
		row("ssh_host_key", filePath(), func(c *Config) *string { return &c.Shell.HostKey }, "/var/lib/lnsd/ssh_host_ed25519_key", Restart,
			"Key of the SSH server, made when it is not there."),
		row("ssh_authorized_keys", filePath(), func(c *Config) *string { return &c.Shell.AuthorizedKeys }, "/etc/lnsd/authorized_keys", Restart,
			"Keys that may log in by SSH, one a line as OpenSSH has them."),
		row("telnet_address", listenAddress(), func(c *Config) *netip.AddrPort { return &c.Shell.Telnet }, "", Restart,
			"Address of the shell for operators by telnet, which must be of this host's loopback: nothing is encrypted; without it there is none."),
		row("telnet_exposed", boolean(), func(c *Config) *bool { return &c.Shell.Exposed }, "no", Restart,
			"Let telnet_address be one that other hosts reach."),
	}
}

// checkShell refuses telnet over a network, and warns of shells that let nobody in.
func (b *builder) checkShell() {
	s := &b.c.Shell
	if s.Telnet.IsValid() && !s.Telnet.Addr().IsLoopback() && !s.Exposed {
		b.fail(b.where("telnet_address"), "use ssh_address, or set telnet_exposed yes", "telnet_address is not of the loopback: passwords could be read on the way")
	}
	if s.Telnet.IsValid() && b.c.Files.Users == "" {
		b.warn(b.where("telnet_address"), "there is no users file: nobody can log in by telnet")
	}
}
