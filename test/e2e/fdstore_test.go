package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// serviceManager is the part of systemd that keeps files for a service.
type serviceManager struct {
	conn *net.UnixConn

	mu       sync.Mutex
	kept     *os.File
	messages []string
}

func (r *rig) serviceManager() *serviceManager {
	r.t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: r.path("notify"), Net: "unixgram"})
	if err != nil {
		r.t.Fatal(err)
	}
	m := &serviceManager{conn: conn}
	r.t.Cleanup(func() { conn.Close() })
	go m.run()
	return m
}

func (m *serviceManager) run() {
	b, oob := make([]byte, 4096), make([]byte, 256)
	for {
		n, oobn, _, _, err := m.conn.ReadMsgUnix(b, oob)
		if err != nil {
			return
		}
		m.mu.Lock()
		text := string(b[:n])
		m.messages = append(m.messages, text)
		if strings.HasPrefix(text, "FDSTOREREMOVE=1") && m.kept != nil {
			m.kept.Close()
			m.kept = nil
		}
		if cs, err := syscall.ParseSocketControlMessage(oob[:oobn]); err == nil && len(cs) == 1 {
			if fds, err := syscall.ParseUnixRights(&cs[0]); err == nil && len(fds) == 1 && strings.HasPrefix(text, "FDSTORE=1\nFDNAME=l2tp") {
				m.kept = os.NewFile(uintptr(fds[0]), "l2tp")
			}
		}
		m.mu.Unlock()
	}
}

func (m *serviceManager) file() *os.File {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept
}

// While the daemon is away its port stays open in the service manager's hands: no LAC
// is told by ICMP that it is closed, and the next daemon goes on with the same socket.
func TestSocketOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	r := newLab(t)
	r.writeConfig(options{})
	manager := r.serviceManager()
	r.startLNSD("NOTIFY_SOCKET=" + r.path("notify"))
	r.until(5*time.Second, func() error {
		if manager.file() == nil {
			return fmt.Errorf("no socket was handed over: %q", manager.messages)
		}
		return nil
	})
	p := r.lacsim("--sessions", "3", "--hello", "500ms", "--echo", "500ms", "--hold", "forever")
	r.waitUpCounted(3)
	refused := r.unreachables()
	if err := r.lnsd.Stop(syscall.SIGTERM, patience); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second) // several HELLOs
	if n := r.unreachables() - refused; n != 0 {
		t.Errorf("%d ICMP messages while the daemon was away", n)
	}

	// As systemd starts a service with what it has kept: files from 3 on, and the
	// process id of the service itself.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" -c "$1"`, binary("lnsd"), r.path("startup-config"))
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=l2tp", "NOTIFY_SOCKET="+r.path("notify"))
	cmd.ExtraFiles = []*os.File{manager.file()}
	log, err := os.Create(r.path("second.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := r.lab.LNS.Start(cmd); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	r.until(20*time.Second, func() error {
		select {
		case err := <-ended:
			b, _ := os.ReadFile(r.path("second.log"))
			t.Fatalf("lnsd ended: %v\n%s", err, b)
		default:
		}
		out, err := r.tryCtl("show", "users")
		if err == nil && strings.Count(out, "user") < 3 {
			err = fmt.Errorf("not all users are there:\n%s", out)
		}
		return err
	})
	time.Sleep(time.Second)
	if s := r.sessions(); len(s) != 3 || s[0].State != "up" {
		t.Errorf("sessions: %+v", s)
	}
	select {
	case <-p.Exited():
		t.Errorf("the LAC has given up:\n%s", p.Log())
	default:
	}

	// The end for good closes the port.
	if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatal("lnsd does not end")
	}
	r.until(5*time.Second, func() error {
		if manager.file() != nil {
			return fmt.Errorf("the socket is still kept: %q", manager.messages)
		}
		return nil
	})
}

// unreachables counts the ICMP messages that the LNS's kernel has sent to say that a
// port is closed.
func (r *rig) unreachables() int {
	r.t.Helper()
	out, err := r.lab.LNS.Output(context.Background(), "nstat", "-asz", "IcmpOutDestUnreachs")
	if err != nil {
		r.t.Fatal(err)
	}
	var n int
	for line := range strings.Lines(out) {
		if _, err := fmt.Sscanf(line, "IcmpOutDestUnreachs %d", &n); err == nil {
			return n
		}
	}
	r.t.Fatalf("nstat: %s", out)
	return 0
}
