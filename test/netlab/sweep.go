package netlab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const namedNamespaces = "/run/netns"

// Sweep removes what an interrupted run with this prefix left: its namespaces with the
// programs that still run in them, and what bears its name in the other directories.
// Where a process id follows the prefix, that of processes that live is kept.
func Sweep(prefix string, directories ...string) error {
	var errs []error
	for _, name := range leftBy(prefix, namedNamespaces) {
		errs = append(errs, endAll(filepath.Join(namedNamespaces, name)), netns.DeleteNamed(name))
	}
	for _, dir := range directories {
		for _, name := range leftBy(prefix, dir) {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, name)))
		}
	}
	return errors.Join(errs...)
}

// leftBy lists the entries of a directory, which may be missing, that an interrupted run
// left.
func leftBy(prefix, dir string) (names []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if rest, ok := strings.CutPrefix(e.Name(), prefix+"-"); ok && !ownerLives(rest) {
			names = append(names, e.Name())
		}
	}
	return names
}

// ownerLives reports whether a name begins with the id of a running process.
func ownerLives(name string) bool {
	id, _, _ := strings.Cut(name, "-")
	pid, err := strconv.Atoi(id)
	if err != nil {
		return false
	}
	_, err = os.Stat(fmt.Sprintf("/proc/%d", pid))
	return err == nil
}

// endAll kills the processes in a namespace.
func endAll(path string) error {
	space, err := os.Stat(path)
	if err != nil {
		return err
	}
	processes, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range processes {
		of, err := os.Stat(p)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // ended meanwhile
		}
		if err != nil || !os.SameFile(space, of) {
			continue
		}
		pid, _ := strconv.Atoi(strings.Split(p, "/")[2])
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("process %d in %s: %w", pid, path, err))
		}
	}
	return errors.Join(errs...)
}
