// Package l2tpns runs Debian's l2tpns in a network namespace, as an independent LNS
// to prove the emulator against and to compare with. It brings the RADIUS server
// along that l2tpns can't be without.
package l2tpns

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

// Path is where the Debian package installs the daemon.
const Path = "/usr/sbin/l2tpns"

// Config is what a Server is started with.
type Config struct {
	// Bind is the address for L2TP; it must be the namespace's own.
	Bind netip.Addr
	// Pool is what subscribers get their addresses from.
	Pool netip.Prefix
	// Secret is the tunnel secret.
	Secret string
	// Password is every subscriber's.
	Password string
	// Auth is the methods to ask for, in l2tpns's words: "pap", "chap" or both.
	Auth string
	// Echo is the silence after which it sends an LCP Echo-Request; 0 is its default.
	Echo time.Duration
}

// Server is a running l2tpns.
type Server struct {
	process *netlab.Process
	radius  *responder
	logPath string
}

// Available tells why a Server can't be started here, if so.
func Available() error {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces and l2tpns need root")
	}
	if _, err := os.Stat(Path); err != nil {
		return errors.New("l2tpns is not installed (Debian package l2tpns)")
	}
	if _, err := exec.LookPath("unshare"); err != nil {
		return errors.New("unshare is not installed (Debian package util-linux)")
	}
	return nil
}

const radiusSecret = "radius-secret"

// Start runs l2tpns in the namespace until Stop, its files in dir, and returns once
// it takes calls.
func Start(ns *netlab.Namespace, dir string, cfg Config) (*Server, error) {
	s := &Server{logPath: filepath.Join(dir, "l2tpns.log")}
	configFile, poolFile := filepath.Join(dir, "l2tpns.conf"), filepath.Join(dir, "ip_pool")
	if err := errors.Join(
		os.WriteFile(configFile, []byte(cfg.text(s.logPath, filepath.Join(dir, "l2tpns.pid"))), 0o600),
		os.WriteFile(poolFile, []byte(cfg.Pool.String()+"\n"), 0o600),
	); err != nil {
		return nil, err
	}
	err := ns.Do(func() (err error) {
		s.radius, err = startResponder(cfg.Password)
		return err
	})
	if err != nil {
		return nil, err
	}
	// The path of the pool file is compiled in: ours is put in its place where
	// only this process sees it. It gets a session of its own because l2tpns ends by
	// a signal to its whole process group.
	script := fmt.Sprintf("mount --bind '%s' /etc/l2tpns/ip_pool && exec %s -c '%s' -h l2tpns", poolFile, Path, configFile)
	s.process, err = ns.Run(filepath.Join(dir, "l2tpns.out"), "setsid", "unshare", "--mount", "sh", "-c", script)
	if err != nil {
		return nil, errors.Join(err, s.radius.close())
	}
	if err := netlab.Until(20*time.Second, s.ready); err != nil {
		return nil, errors.Join(fmt.Errorf("l2tpns: %w\n%s%s", err, s.process.Log(), s.Log()), s.Stop())
	}
	return s, nil
}

// text is the startup-config. Even alone it must win the election for the master of
// its cluster, for which it waits a heartbeat timeout; 19 is the least it takes with
// this interval (tenths of a second).
func (c *Config) text(logFile, pidFile string) string {
	var b strings.Builder
	for _, s := range [][2]string{
		{"debug", "3"}, {"log_file", logFile}, {"pid_file", pidFile},
		{"l2tp_secret", c.Secret}, {"bind_address", c.Bind.String()},
		{"peer_address", c.Pool.Addr().Next().String()},
		{"primary_radius", "127.0.0.1"}, {"radius_secret", radiusSecret}, {"radius_authtypes", c.Auth},
		{"cluster_interface", "lo"}, {"cluster_hb_interval", "2"}, {"cluster_hb_timeout", "19"},
		{"cli_bind_address", "127.0.0.1"}, {"allow_duplicate_users", "yes"},
	} {
		fmt.Fprintf(&b, "set %s \"%s\"\n", s[0], s[1])
	}
	if c.Echo > 0 {
		fmt.Fprintf(&b, "set echo_timeout %d\n", c.Echo/time.Second)
	}
	return b.String()
}

func (s *Server) ready() error {
	select {
	case <-s.process.Exited():
		return errors.New("it has ended")
	default:
	}
	if !strings.Contains(s.Log(), "declaring myself the master") {
		return errors.New("it is not the master yet")
	}
	return nil
}

// Log is what l2tpns has written to its log file.
func (s *Server) Log() string {
	b, err := os.ReadFile(s.logPath)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// PID is the daemon's process id.
func (s *Server) PID() int { return s.process.PID() }

// Stop ends the server and its RADIUS responder. SIGTERM leaves the sessions as they
// are. When a call is in the wrong state it takes more than a signal, and how it ends
// says nothing about whoever called it.
func (s *Server) Stop() error {
	_ = s.process.Stop(syscall.SIGTERM, 5*time.Second)
	return s.radius.close()
}
