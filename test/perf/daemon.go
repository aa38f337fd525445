package perf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lnsd/lnsd/test/lac/l2tpns"
	"github.com/lnsd/lnsd/test/netlab"
)

// The secrets of the servers under test.
const (
	tunnelSecret = "tunnel secret"
	userPassword = "user password"
)

// ServerCPU is where l2tpns runs, which has one thread for everything: the CPU that
// packets are not made on. lnsd is left to the scheduler.
const ServerCPU = 1

// server is a running LNS in a rig.
type server struct {
	pid  int
	stop func() error
}

// startLNSD starts the daemon with its users in a file, or with the RADIUS server of
// this package's tests when a line of extra says so.
func startLNSD(r *rig, binary, dir string, extra ...string) (*server, error) {
	socket := filepath.Join(dir, "lnsd.sock")
	pins := "/sys/fs/bpf/" + r.lab.LNS.Name
	config := append([]string{
		"set bind_address " + netlab.LNSAddr.String(),
		fmt.Sprintf("set l2tp_secret %q", tunnelSecret),
		"set socket " + socket, "set pin_path " + pins, "set debug 2", "set max_sessions 65536",
	}, extra...)
	for name, text := range map[string]string{
		"startup-config": strings.Join(config, "\n") + "\n",
		"ip_pool":        netlab.Pool.String() + "\n",
		"chap-secrets":   fmt.Sprintf("* * %q *\n", userPassword),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	p, err := r.lab.LNS.Run(filepath.Join(dir, "lnsd.log"), binary, "-c", filepath.Join(dir, "startup-config"))
	if err != nil {
		return nil, err
	}
	s := &server{pid: p.PID(), stop: func() error {
		return errors.Join(p.Stop(syscall.SIGQUIT, 60*time.Second), os.RemoveAll(pins))
	}}
	err = netlab.Until(20*time.Second, func() error {
		select {
		case <-p.Exited():
			return errors.New("it has ended")
		default:
		}
		conn, err := net.Dial("unix", socket)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lnsd: %w\n%s", err, p.Log()), s.stop())
	}
	return s, nil
}

// startL2TPNS starts Debian's l2tpns with its RADIUS server.
func startL2TPNS(r *rig, dir string) (*server, error) {
	l, err := l2tpns.Start(r.lab.LNS, dir, l2tpns.Config{
		Bind: netlab.LNSAddr, Pool: netip.PrefixFrom(netlab.Pool.Addr(), 16),
		Secret: tunnelSecret, Password: userPassword, Auth: "chap",
	})
	if err != nil {
		return nil, err
	}
	return &server{pid: l.PID(), stop: l.Stop}, nil
}

// pin keeps a process, all its threads, on one CPU.
func pin(pid, cpu int) error {
	var only unix.CPUSet
	only.Set(cpu)
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, &only); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// resident is the memory of a process that is its own, in bytes: what it has
// allocated, shared memory included, files not.
func resident(pid int) (uint64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	var sum uint64
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		if len(f) == 3 && (f[0] == "RssAnon:" || f[0] == "RssShmem:") {
			kib, err := strconv.ParseUint(f[1], 10, 64)
			if err != nil {
				return 0, err
			}
			sum += kib << 10
		}
	}
	return sum, nil
}
