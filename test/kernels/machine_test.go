package kernels

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Patience. A machine that KVM runs greets within a second; one that KVM cannot
// run, as happens below other hypervisors, fails at once or never does anything.
const (
	probeTime = 10 * time.Second
	runTime   = 25 * time.Minute
)

// accelerator is how qemu executes the machine's instructions.
type accelerator string

const (
	kvm       accelerator = "kvm"
	emulation accelerator = "tcg"
)

// machine is a virtual machine that can be started many times, one at a time.
type machine struct {
	accel     accelerator
	kernel    bootable
	initramfs string // file
	dir       string // for its logs
}

// run boots the machine, waits until it has switched itself off, and returns what
// its tests have printed. The kernel's console goes to console.log.
func (m machine) run(ctx context.Context, options ...string) ([]byte, error) {
	console := filepath.Join(m.dir, "console.log")
	args := []string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-machine", "q35,accel=" + string(m.accel), "-cpu", "max", "-smp", "2", "-m", "1536",
		"-kernel", m.kernel.image, "-initrd", m.initramfs,
		"-append", strings.Join(append([]string{"console=ttyS0", "panic=-1"}, options...), " "),
		"-serial", "file:" + console, "-serial", "stdio",
	}
	// The first device is wired to the third and the second to the fourth. The
	// option ROM, for booting from them, is in a package that we do without.
	for i := range 4 {
		args = append(args,
			"-netdev", fmt.Sprintf("hubport,id=n%d,hubid=%d", i, i%2),
			"-device", fmt.Sprintf("virtio-net-pci,netdev=n%d,mac=52:54:00:00:00:%02x,romfile=", i, i+1))
	}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		err = fmt.Errorf("qemu: %w\n%s\nThe kernel's console ended with:\n%s", err, problems.Bytes(), tail(console))
	}
	return out.Bytes(), err
}

// tail returns the end of a file.
func tail(path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	return b[max(0, len(b)-3000):]
}

// chooseAccelerator returns KVM where a machine greets under it.
func (m machine) chooseAccelerator(ctx context.Context) (accelerator, error) {
	if _, err := os.Stat("/dev/kvm"); errors.Is(err, os.ErrNotExist) {
		return emulation, err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	m.accel = kvm
	out, err := m.run(ctx, "lnsd.probe")
	if err != nil {
		return emulation, err
	}
	if !bytes.Contains(out, []byte("@@ bye")) {
		return emulation, errors.New("the machine did not greet")
	}
	return kvm, nil
}
