//go:build linux

// Command guest is the first and only process of the virtual machines in which
// the XDP program is tested. It prepares the machine, runs every test binary it
// finds in its initramfs, and switches the machine off.
//
// What the tests print goes to the second serial port as it is, between lines
// that begin with "@@ ":
//
//	@@ kernel 6.1.0-56-cloud-amd64
//	@@ begin maps
//	...
//	@@ end maps 0
//	@@ bye
//
// The number is the binary's exit status. The kernel's own console is the first
// port, so that neither garbles the other.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// probeOption on the kernel's command line asks for nothing but the greeting.
const probeOption = "lnsd.probe"

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "guest is the init process of a virtual machine and does nothing elsewhere")
		os.Exit(2)
	}
	if err := work(); err != nil {
		fmt.Println("guest:", err) // to the kernel's console
	}
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("guest: power off:", err)
	}
}

func work() error {
	if err := mountAll(); err != nil {
		return err
	}
	port, err := openPort("/dev/ttyS1")
	if err != nil {
		return err
	}
	defer port.Close()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	fmt.Fprintf(port, "@@ kernel %s\n", unix.ByteSliceToString(name.Release[:]))
	options, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	if !slices.Contains(strings.Fields(string(options)), probeOption) {
		if err := errors.Join(loadModules("/modules"), runTests(port, "/tests"), checkTaint()); err != nil {
			fmt.Fprintln(port, "@@ error", err)
		}
	}
	fmt.Fprintln(port, "@@ bye")
	return drain(port)
}

// mountAll mounts what the tests expect of a running system.
func mountAll() error {
	for _, m := range []struct{ kind, at string }{
		{"proc", "/proc"},
		{"sysfs", "/sys"},
		{"devtmpfs", "/dev"},
		{"bpf", "/sys/fs/bpf"},
		{"tmpfs", "/run"},
		{"tmpfs", "/tmp"},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	return nil
}

// openPort opens a serial port that changes no byte and echoes none.
func openPort(path string) (*os.File, error) {
	port, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	t, err := unix.IoctlGetTermios(int(port.Fd()), unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	if err := unix.IoctlSetTermios(int(port.Fd()), unix.TCSETS, t); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return port, nil
}

// drain waits until all that was written has left the port.
func drain(port *os.File) error {
	return unix.IoctlSetInt(int(port.Fd()), unix.TCSBRK, 1)
}

// loadModules inserts the modules of a folder in the order of their names, which
// whoever filled it made an order of dependencies.
func loadModules(dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.ko"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := loadModule(path); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

// runTests runs the test binaries of a folder, one after the other.
func runTests(port io.Writer, dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.test"))
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return fmt.Errorf("no tests in %s", dir)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".test")
		fmt.Fprintln(port, "@@ begin", name)
		cmd := exec.Command(path, "-test.v=test2json", "-test.timeout=30m")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "LNSD_GUEST=1", "HOME=/tmp", "PATH=/bin")
		cmd.Stdout, cmd.Stderr = port, port
		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			return err
		}
		fmt.Fprintf(port, "\n@@ end %s %d\n", name, cmd.ProcessState.ExitCode())
	}
	return nil
}

// checkTaint fails where the kernel has complained of itself while the tests ran:
// that is a failure even if every packet arrived.
func checkTaint() error {
	tainted, err := os.ReadFile("/proc/sys/kernel/tainted")
	if err != nil {
		return err
	}
	if flags := string(bytes.TrimSpace(tainted)); flags != "0" {
		return fmt.Errorf("the kernel is tainted, flags %s: see its console", flags)
	}
	return nil
}
