package perf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// apartTarget is lnsd's program on a CPU of its own, as l2tpns is: the kernel's thread
// that polls the device forwards and sends there what CPU 0 makes. It is not slowed down
// by more than it can take, so packets are made as fast as can be.
func (f *fastPath) apartTarget(t *table) *target {
	attach := func() error { return errors.Join(f.attach(), f.rig.poll(ServerCPU)) }
	detach := func() error { return errors.Join(f.rig.pollAsUsual(), f.detach()) }
	return &target{name: LNSDApart, rig: f.rig, table: t, elsewhere: true, attach: attach, detach: detach}
}

// pollTime bounds how long a command in a namespace may take.
const pollTime = 30 * time.Second

// poll has threads of the kernel that are bound to cpu poll the forwarder's devices.
func (r *rig) poll(cpu int) error {
	var errs []error
	for _, p := range []*port{&r.lac.far, &r.core.far} {
		name := "napi/" + p.name + "-"
		before := threads(name)
		errs = append(errs, p.setThreaded(true))
		for pid := range threads(name) {
			if !before[pid] {
				errs = append(errs, pin(pid, cpu))
			}
		}
		errs = append(errs, favour(name, before))
	}
	return errors.Join(errs...)
}

// favour gives the threads whose names begin so, and which were not there before, the
// highest priority: what else runs on their CPU waits.
func favour(name string, before map[int]bool) error {
	var errs []error
	for pid := range threads(name) {
		if !before[pid] {
			errs = append(errs, unix.Setpriority(unix.PRIO_PROCESS, pid, priority))
		}
	}
	return errors.Join(errs...)
}

// pollAsUsual undoes poll.
func (r *rig) pollAsUsual() error {
	return errors.Join(r.lac.far.setThreaded(false), r.core.far.setThreaded(false))
}

// setThreaded says whether threads poll the device, in place of interrupts' ends.
func (p *port) setThreaded(on bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), pollTime)
	defer cancel()
	value := "0"
	if on {
		value = "1"
	}
	// ip mounts the namespace's own /sys.
	_, err := p.ns.Output(ctx, "ip", "netns", "exec", p.ns.Name, "sh", "-c",
		fmt.Sprintf("echo %s >/sys/class/net/%s/threaded", value, p.name))
	return err
}

// threads are those of the kernel whose names begin so.
func threads(name string) map[int]bool {
	list := make(map[int]bool)
	files, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil && strings.HasPrefix(string(b), name) {
			list[pid] = true
		}
	}
	return list
}
