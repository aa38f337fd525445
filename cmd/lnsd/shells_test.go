package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/apitest"
	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/session"
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

// screen is what came over a connection.
type screen struct {
	t    *testing.T
	mu   sync.Mutex
	more *sync.Cond
	seen bytes.Buffer
	end  bool
}

func watchScreen(t *testing.T, r io.Reader) *screen {
	s := &screen{t: t}
	s.more = sync.NewCond(&s.mu)
	go func() {
		var b [1024]byte
		for {
			n, err := r.Read(b[:])
			s.mu.Lock()
			s.seen.Write(b[:n])
			s.end = err != nil
			s.more.Broadcast()
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

// sees waits for a text and takes what came until then.
func (s *screen) sees(what string) string {
	s.t.Helper()
	late := time.AfterFunc(time.Minute, func() { s.mu.Lock(); s.end = true; s.more.Broadcast(); s.mu.Unlock() })
	defer late.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if i := bytes.Index(s.seen.Bytes(), []byte(what)); i >= 0 {
			return string(s.seen.Next(i + len(what)))
		}
		if s.end {
			s.t.Fatalf("%q does not come; there is\n%s", what, s.seen.String())
		}
		s.more.Wait()
	}
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
	o, types := watchScreen(t, out), func(text string) { io.WriteString(in, text) }
	o.sees("lns1> ")
	types("sh sess\r")
	o.sees("sub@example")
	o.sees("lns1> ")
	types("drop session 3\r")
	o.sees("% unknown command: drop")
	types("enable\r")
	o.sees("Password: ")
	types("wrong\r")
	o.sees("% wrong password")
	types("enable\r")
	o.sees("Password: ")
	types("queen\r")
	o.sees("lns1# ")
	types("drop session 3\r")
	o.sees("lns1# ")
	// What would read or write files of the daemon's host is not there.
	types("support-bundle\r")
	o.sees("% unknown command")
	types("show session --socket /run/x\r")
	o.sees("% unknown flag")
	types("conf t\r")
	o.sees("lns1(config)# ")
	types("set debug 4\r")
	o.sees("lns1(config)# ")
	types("\x1aexit\r")
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
	o, types := terminalOf(t, c)
	o.sees("lns1> ")
	types("enable\r")
	o.sees("Password: ")
	types("queen\r")
	o.sees("lns1# ")
	types("snoop sub@example 192.0.2.9 4000\r")
	o.sees("% not allowed")
	o.sees("lns1# ")
	types("show intercept\r")
	if text := o.sees("lns1# "); strings.Contains(text, "192.0.2.9") || !strings.Contains(text, "% not allowed") {
		t.Errorf("an admin sees\n%s", text)
	}
	types("enable intercept\r")
	o.sees("Password: ")
	types("queen\r")
	o.sees("% wrong password")
	types("enable intercept\r")
	o.sees("Password: ")
	types("knave\r")
	o.sees("lns1# ")
	types("snoop sub@example 192.0.2.9 4000\r")
	o.sees("lns1# ")
	types("show intercept\r")
	o.sees("192.0.2.9")
	o.sees("lns1# ")
	types("show plugins\r")
	o.sees("stripdomain")
	o.sees("lns1# ")
	types("suspend\r")
	o.sees("% nothing is announced here")
	o.sees("lns1# ")
	types("restart bgp\r")
	o.sees("% no BGP is configured")
	o.sees("lns1# ")
	types("disable\r")
	o.sees("lns1> ")
	types("exit\r")
	if got := strings.Join(b.Calls(), "; "); !strings.HasSuffix(got, "intercept true") || len(b.Calls()) != 1 {
		t.Errorf("calls: %s", got)
	}
}

// terminalOf opens a shell in a connection.
func terminalOf(t *testing.T, c *ssh.Client) (*screen, func(string)) {
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
	return watchScreen(t, out), func(text string) { io.WriteString(in, text) }
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
	o, types := watchScreen(t, c), func(text string) { io.WriteString(c, text) }
	o.sees("Username: ")
	types("alice\r\nwrong\r\n")
	o.sees("Login incorrect")
	o.sees("Username: ")
	types("alice\r\n")
	o.sees("Password: ")
	types("wonderland\r\n")
	if text := o.sees("lns1> "); strings.Contains(text, "wonderland") {
		t.Error("the password is echoed")
	}
	types("sh sess | inc sub@\r\n")
	o.sees("sub@example")
	types("exit\r\n")
}

func dropRequest(sid uint32) *lnsv1.DropSessionRequest { return &lnsv1.DropSessionRequest{Sid: sid} }
