package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"

	"github.com/lnsd/lnsd/test/terminal"
)

const (
	shellPort = "127.0.0.1:2222" // in the LNS's namespace
	// A shell's users: a hash as Debian's passwd makes it, of "sushi".
	shellUsers = "alice:$y$j75$AAt9R641xPvCI9nXw1HHW/$b.l8p5STQZP6sbf4Bw1frWZiZUTRNiaaJS2NOET3JY8\nenable:queen\n"
)

// A person walks the shell, with a subscriber on the line: at a terminal of the host,
// and by SSH.
func TestAPersonWalksTheShell(t *testing.T) {
	r := newLab(t)
	r.writeConfig(options{config: "# what the operator wrote\nset ssh_address " + shellPort + "\nset ssh_host_key " + r.path("host-key")})
	if err := os.WriteFile(r.path("users"), []byte(shellUsers), 0o600); err != nil {
		t.Fatal(err)
	}
	r.startLNSD()
	p := r.lacsim("--sessions", "2", "--hold", "forever")
	r.waitUp(2)

	t.Run("on the host", func(t *testing.T) {
		cmd := exec.Command(binary("lnsctl"), "--socket", r.path("lnsd.sock"))
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "TERM=xterm")
		tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 200})
		if err != nil {
			t.Fatal(err)
		}
		defer tty.Close()
		s := terminal.Watch(t, tty, tty)
		walk(s, "", "901")
		s.Ends()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		r.wantWritten(t, "set idle_timeout 901")
	})
	t.Run("by SSH", func(t *testing.T) {
		if c, err := r.dialShell("wrong"); err == nil {
			c.Close()
			t.Fatal("a wrong password gets in")
		}
		r.until(30*time.Second, func() error {
			if !strings.Contains(r.lnsd.Log(), `"msg":"wrong password"`) {
				return fmt.Errorf("the wrong password is not in the log")
			}
			return nil
		})
		c, err := r.dialShell("sushi")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		session, err := c.NewSession()
		if err == nil {
			err = session.RequestPty("xterm", 24, 200, ssh.TerminalModes{})
		}
		if err != nil {
			t.Fatal(err)
		}
		in, _ := session.StdinPipe()
		out, _ := session.StdoutPipe()
		if err := session.Shell(); err != nil {
			t.Fatal(err)
		}
		walk(terminal.Watch(t, out, in), "queen", "902")
		if err := session.Wait(); err != nil {
			t.Errorf("the shell ends with %v", err)
		}
		r.wantWritten(t, "set idle_timeout 902")
	})
	r.leave(p)
}

// walk goes through the shell; password is that of enable, if it takes one, and timeout
// what is configured.
func walk(s *terminal.Screen, password, timeout string) {
	s.Sees("> ")
	s.Types("?")
	for _, word := range []string{"enable", "show", "uptime", "watch"} {
		s.Sees("  " + word + " ")
	}
	s.Types("drop session 1\r")
	s.Sees("% unknown command: drop")
	s.Types("ena\r")
	if password != "" {
		s.Sees("Password: ")
		s.Types(password + "\r")
	}
	s.Sees("# ")

	// Abbreviations, a live name by Tab, and filters.
	s.Types("sh user us\t\t")
	s.Sees("user2")
	s.Types("1\t\r")
	s.Sees("State:             up")
	s.Sees("--More--")
	s.Types("q")
	s.Sees("# ")
	s.Types("show session | include user1\r")
	if rows := s.Sees("# "); strings.Contains(rows, "user2") || !strings.Contains(rows, "10.64.") {
		s.Fatalf("| include shows\n%s", rows)
	}
	s.Types("sh sess | count user\r")
	s.Sees("\n2\r\n")

	// Pages.
	s.Types("show counters\r")
	s.Sees("--More--")
	s.Types(" ")
	s.Sees("--More--")
	s.Types("q")
	s.Sees("# ")
	s.Types("terminal length 0\r")
	s.Sees("# ")

	// A change, which is in force and kept.
	s.Types("configure terminal\r")
	s.Sees("(config)# ")
	s.Types("set idle_timeou x\r")
	s.Sees("idle_timeout must be a number")
	s.Sees("(config)# ")
	s.Types("set idle_timeout " + timeout + "\r")
	s.Sees("(config)# ")
	s.Types("\x1a")
	s.Sees("# ")
	s.Types("show running-config | include idle_timeout\r")
	s.Sees("set idle_timeout " + timeout)
	s.Sees("# ")
	s.Types("write memory\r")
	s.Sees("1 changes written to")
	s.Sees("# ")

	s.Types("disable\r")
	s.Sees("> ")
	s.Types("exit\r")
}

func (r *rig) dialShell(password string) (*ssh.Client, error) {
	var conn net.Conn
	if err := r.lab.LNS.Do(func() (err error) {
		conn, err = net.DialTimeout("tcp", shellPort, 30*time.Second)
		return err
	}); err != nil {
		return nil, err
	}
	c, channels, requests, err := ssh.NewClientConn(conn, shellPort, &ssh.ClientConfig{
		User: "alice", Auth: []ssh.AuthMethod{ssh.Password(password)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return ssh.NewClient(c, channels, requests), nil
}

// wantWritten checks that the startup-config has a line, once, and still its comments.
func (r *rig) wantWritten(t *testing.T, line string) {
	t.Helper()
	b, err := os.ReadFile(r.path("startup-config"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(b), line+"\n") != 1 || strings.Count(string(b), "idle_timeout") != 1 || !strings.Contains(string(b), "# what the operator wrote\n") {
		t.Errorf("the startup-config is\n%s", b)
	}
}
