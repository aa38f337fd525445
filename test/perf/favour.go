package perf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// favour gives the threads whose names begin so, and which were not there before, the
// highest priority: what else runs on their CPU waits. It returns them.
func favour(name string, before map[int]bool) (list []int, err error) {
	for pid := range threads(name) {
		if !before[pid] {
			list = append(list, pid)
			err = errors.Join(err, unix.Setpriority(unix.PRIO_PROCESS, pid, priority))
		}
	}
	return list, err
}

// cpuTime is how long threads have run, of which the kernel tells the nanoseconds.
func cpuTime(list []int) (sum time.Duration, err error) {
	for _, pid := range list {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
		if err != nil {
			return 0, err
		}
		var ns int64
		if _, err := fmt.Sscan(string(b), &ns); err != nil {
			return 0, err
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// favourSession gives the processes of pid's login session precedence over those of others:
// the kernel shares the CPUs among sessions before it looks at priorities. Kernels without
// that have no such file.
func favourSession(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), fmt.Appendln(nil, priority), 0)
}

// favourServer gives a server the generator's precedence: a session's share of a CPU goes
// by what its processes weigh on all of them.
func favourServer(pid int) error {
	favourSession(pid)
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, t := range tasks {
		thread, _ := strconv.Atoi(t.Name())
		if e := unix.Setpriority(unix.PRIO_PROCESS, thread, priority); e != nil && !errors.Is(e, unix.ESRCH) {
			err = errors.Join(err, e)
		}
	}
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
