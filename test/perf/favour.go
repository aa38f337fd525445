package perf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

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

// favourSession gives a process precedence over those of other login sessions, among which
// the kernel otherwise shares the CPUs before it looks at priorities. Kernels without
// that have no such file.
func favourSession(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), fmt.Appendln(nil, priority), 0)
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
