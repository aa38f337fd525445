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
	"syscall"
	"time"
)

// Patience. A machine that KVM runs greets within a second, an emulated one within
// ten on an idle host. One that KVM cannot run, as happens below other hypervisors,
// fails at once or never does anything; and an emulated one may, rarely, hang while
// it boots, and is then started again.
const (
	probeTime = 10 * time.Second
	bootTime  = 90 * time.Second
	runTime   = 45 * time.Minute
	boots     = 3
)

// errNoGreeting says that a machine has not come as far as its first process.
var errNoGreeting = errors.New("the machine did not greet")

// accelerator is how qemu executes the machine's instructions.
type accelerator string

const (
	kvm accelerator = "kvm"
	// One thread for all processors: it takes one core, and is spared from
	// what the emulation of several at once gets wrong.
	emulation accelerator = "tcg,thread=single"
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
		"-machine", "q35", "-accel", string(m.accel), "-cpu", "max", "-smp", "2", "-m", "1536",
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
	return m.start(ctx, args, console)
}

// start runs qemu and returns what comes out of the second serial port.
func (m machine) start(ctx context.Context, args []string, console string) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := time.AfterFunc(m.patience(), func() { cancel(errNoGreeting) })
	out := transcript{first: func() { patience.Stop() }}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	var problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	patience.Stop()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		err = fmt.Errorf("qemu: %w\n%s\nThe kernel's console ended with:\n%s", err, problems.Bytes(), tail(console))
	}
	return out.written.Bytes(), err
}

// patience is how long the machine may take to greet.
func (m machine) patience() time.Duration {
	if m.accel == kvm {
		return probeTime
	}
	return bootTime
}

// transcript keeps what is written to it, and calls first before the first byte.
type transcript struct {
	first   func()
	written bytes.Buffer
}

func (t *transcript) Write(b []byte) (int, error) {
	if t.written.Len() == 0 {
		t.first()
	}
	return t.written.Write(b)
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
	m.accel = kvm
	out, err := m.run(ctx, "lnsd.probe")
	if err == nil && !bytes.Contains(out, []byte("@@ bye")) {
		err = errNoGreeting
	}
	if err != nil {
		return emulation, err
	}
	return kvm, nil
}
