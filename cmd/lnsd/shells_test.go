package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/apitest"
	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/test/terminal"
)

// visitor starts shells with a daemon behind them that is none, and returns where they
// are.
func visitor(t *testing.T, b *apitest.Backend, users string) (s *shells, sshAt, telnetAt string) {
	t.Helper()
	dir := t.TempDir()
	c := &config.Config{}
	c.Shell.SSH, c.Shell.Telnet = netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("127.0.0.1:0")
	c.Shell.HostKey, c.Shell.AuthorizedKeys = filepath.Join(dir, "state", "key"), filepath.Join(dir, "authorized_keys")
	if users != "" {
		c.Files.Users = filepath.Join(dir, "users")
		if err := os.WriteFile(c.Files.Users, []byte(users), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := openShells(c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &parts{failed: make(chan error, 8)}
	server := api.NewServer(b, zap.NewNop(), api.InProcess(), api.Services(b), api.Restrictions(b), api.Terminal(b), api.Interceptions(b), api.Plugins(b))
	p.serve(ctx, "shells", s.local, server)
	s.start(ctx, p)
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
		cancel()
		server.Close(ctx)
		p.wait()
		select {
		case err := <-p.failed:
			t.Error(err)
		default:
		}
	})
	return s, s.sshLn.Addr().String(), s.telLn.Addr().String()
}

const visitors = "alice:wonderland\nenable:queen\n"

func visited() *apitest.Backend {
	return &apitest.Backend{
		StatusValue: api.Status{HostName: "lns1", Version: "1"},
		SessionList: []session.View{{Ref: session.Ref{TunnelID: 7, SessionID: 8}, Slot: 3, State: "up", User: "sub@example", UserVerified: true}},
	}
}

func dialSSH(at, user string, auth ...ssh.AuthMethod) (*ssh.Client, error) {
	return ssh.Dial("tcp", at, &ssh.ClientConfig{User: user, Auth: auth, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 30 * time.Second})
}

func TestOperatorComesBySSH(t *testing.T) {
	t.Parallel()
	b := visited()
	_, at, _ := visitor(t, b, visitors)
	c, err := dialSSH(at, "alice", ssh.Password("wonderland"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RequestPty("xterm", 40, 200, ssh.TerminalModes{}); err != nil {
		t.Fatal(err)
	}
	in, _ := s.StdinPipe()
	out, _ := s.StdoutPipe()
	if err := s.Shell(); err != nil {
		t.Fatal(err)
	}
	o := terminal.Watch(t, out, in)
	o.Sees("lns1> ")
	o.Types("sh sess\r")
	o.Sees("sub@example")
	o.Sees("lns1> ")
	o.Types("drop session 3\r")
	o.Sees("% unknown command: drop")
	o.Types("enable\r")
	o.Sees("Password: ")
	o.Types("wrong\r")
	o.Sees("% wrong password")
	o.Types("enable\r")
	o.Sees("Password: ")
	o.Types("queen\r")
	o.Sees("lns1# ")
	o.Types("drop session 3\r")
	o.Sees("lns1# ")
	// What would read or write files of the daemon's host is not there.
	o.Types("support-bundle\r")
	o.Sees("% unknown command")
	o.Types("show session --socket /run/x\r")
	o.Sees("% unknown flag")
	o.Types("conf t\r")
	o.Sees("lns1(config)# ")
	o.Types("set debug 4\r")
	o.Sees("lns1(config)# ")
	o.Types("\x1aexit\r")
	if err := s.Wait(); err != nil {
		t.Errorf("the shell ends with %v", err)
	}
	if got := strings.Join(b.Calls(), "; "); got != "drop session 3 cause 6; configure set debug 4" {
		t.Errorf("calls: %s", got)
	}
}

// Interception takes a password of its own: an admin can't order it, nor see it.
func TestInterceptionBySSH(t *testing.T) {
	t.Parallel()
	b := visited()
	b.Intercepted = []api.Interception{{Slot: 3, User: "sub@example", Target: netip.MustParseAddrPort("192.0.2.9:4000")}}
	b.PluginList = []api.Plugin{{Name: "stripdomain", BuiltIn: true, State: "running"}}
	_, at, _ := visitor(t, b, visitors+"enable-intercept:knave\n")
	c, err := dialSSH(at, "alice", ssh.Password("wonderland"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	o := terminalOf(t, c)
	o.Sees("lns1> ")
	o.Types("enable\r")
	o.Sees("Password: ")
	o.Types("queen\r")
	o.Sees("lns1# ")
	o.Types("snoop sub@example 192.0.2.9 4000\r")
	o.Sees("% not allowed")
	o.Sees("lns1# ")
	o.Types("show intercept\r")
	if text := o.Sees("lns1# "); strings.Contains(text, "192.0.2.9") || !strings.Contains(text, "% not allowed") {
		t.Errorf("an admin sees\n%s", text)
	}
	o.Types("enable intercept\r")
	o.Sees("Password: ")
	o.Types("queen\r")
	o.Sees("% wrong password")
	o.Types("enable intercept\r")
	o.Sees("Password: ")
	o.Types("knave\r")
	o.Sees("lns1# ")
	o.Types("snoop sub@example 192.0.2.9 4000\r")
	o.Sees("lns1# ")
	o.Types("show intercept\r")
	o.Sees("192.0.2.9")
	o.Sees("lns1# ")
	o.Types("show plugins\r")
	o.Sees("stripdomain")
	o.Sees("lns1# ")
	o.Types("suspend\r")
	o.Sees("% nothing is announced here")
	o.Sees("lns1# ")
	o.Types("restart bgp\r")
	o.Sees("% no BGP is configured")
	o.Sees("lns1# ")
	o.Types("disable\r")
	o.Sees("lns1> ")
	o.Types("exit\r")
	if got := strings.Join(b.Calls(), "; "); !strings.HasSuffix(got, "intercept true") || len(b.Calls()) != 1 {
		t.Errorf("calls: %s", got)
	}
}

// terminalOf opens a shell in a connection.
func terminalOf(t *testing.T, c *ssh.Client) *terminal.Screen {
	t.Helper()
	s, err := c.NewSession()
	if err == nil {
		err = s.RequestPty("xterm", 40, 200, ssh.TerminalModes{})
	}
	if err != nil {
		t.Fatal(err)
	}
	in, _ := s.StdinPipe()
	out, _ := s.StdoutPipe()
	if err := s.Shell(); err != nil {
		t.Fatal(err)
	}
	return terminal.Watch(t, out, in)
}

func TestSSHCarriesOutOneCommand(t *testing.T) {
	t.Parallel()
	b := visited()
	_, at, _ := visitor(t, b, visitors)
	c, err := dialSSH(at, "alice", ssh.Password("wonderland"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	run := func(line string) (string, error) {
		s, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		out, err := s.Output(line)
		return string(out), err
	}
	if out, err := run("sh sess | include sub@ | count"); err != nil || out != "1\n" {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := run("drop session 3"); err == nil || !strings.Contains(out, "unknown command") {
		t.Errorf("%q, %v", out, err)
	}
	if len(b.Calls()) > 0 {
		t.Errorf("calls: %v", b.Calls())
	}
}

// A viewer's connection itself can do no more, whatever the shell lets through.
func TestViewerIsRefusedByTheDaemon(t *testing.T) {
	b := visited()
	s, _, _ := visitor(t, b, visitors)
	for role, allowed := range map[string]bool{"viewer": false, "admin": true} {
		c, err := s.local.Dial(api.Caller{Name: "somebody", Rights: api.RoleRights(role)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.DropSession(context.Background(), dropRequest(3))
		if (err == nil) != allowed {
			t.Errorf("%s: %v", role, err)
		}
		c.Close()
	}
}

func TestWhoIsNotLetIn(t *testing.T) {
	t.Parallel()
	_, at, _ := visitor(t, visited(), visitors)
	_, empty, _ := visitor(t, visited(), "")
	for _, c := range []struct{ at, user, password string }{
		{at, "enable", "queen"}, {at, "mallory", "wonderland"}, {empty, "alice", "wonderland"},
	} {
		if conn, err := dialSSH(c.at, c.user, ssh.Password(c.password)); err == nil {
			conn.Close()
			t.Errorf("%s gets in with %q", c.user, c.password)
		}
	}
}

func TestKeysAndHostKey(t *testing.T) {
	t.Parallel()
	s, at, _ := visitor(t, visited(), visitors)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := dialSSH(at, "bob", ssh.PublicKeys(signer)); err == nil {
		c.Close()
		t.Fatal("a key that nobody authorized gets in")
	}
	keys := filepath.Join(filepath.Dir(s.users), "authorized_keys")
	write := func(mode os.FileMode) {
		t.Helper()
		text := "# keys\n" + string(ssh.MarshalAuthorizedKey(signer.PublicKey()))
		if err := os.WriteFile(keys, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(keys, mode); err != nil {
			t.Fatal(err)
		}
	}
	write(0o666)
	if c, err := dialSSH(at, "bob", ssh.PublicKeys(signer)); err == nil {
		c.Close()
		t.Fatal("keys that everybody can write count")
	}
	write(0o600)
	c, err := dialSSH(at, "bob", ssh.PublicKeys(signer))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Dial("tcp", at); err == nil {
		t.Error("the server forwards connections")
	}
	info, err := os.Stat(filepath.Join(filepath.Dir(s.users), "state", "key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("host key: %v %v", info, err)
	}
}

func TestOperatorComesByTelnet(t *testing.T) {
	t.Parallel()
	b := visited()
	_, _, at := visitor(t, b, visitors)
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	o := terminal.Watch(t, c, c)
	o.Sees("Username: ")
	o.Types("alice\r\nwrong\r\n")
	o.Sees("Login incorrect")
	o.Sees("Username: ")
	o.Types("alice\r\n")
	o.Sees("Password: ")
	o.Types("wonderland\r\n")
	if text := o.Sees("lns1> "); strings.Contains(text, "wonderland") {
		t.Error("the password is echoed")
	}
	o.Types("sh sess | inc sub@\r\n")
	o.Sees("sub@example")
	o.Types("exit\r\n")
}

func dropRequest(sid uint32) *lnsv1.DropSessionRequest { return &lnsv1.DropSessionRequest{Sid: sid} }
