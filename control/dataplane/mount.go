package dataplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ensureBPFFS makes sure that the folder of the pins lies in a BPF file system,
// and returns where it had to mount one, if so. Inside `ip netns exec`, /sys is
// mounted anew and /sys/fs/bpf is empty.
func ensureBPFFS(pinPath string) (mounted string, err error) {
	parent := filepath.Dir(pinPath)
	for _, p := range []string{pinPath, parent} {
		if ok, err := isBPFFS(p); err != nil || ok {
			return "", err
		}
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("folder for pins: %w", err)
	}
	if err := unix.Mount("bpf", parent, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return "", fmt.Errorf("mount a BPF file system on %s: %w", parent, err)
	}
	return parent, nil
}

func isBPFFS(path string) (bool, error) {
	var fs unix.Statfs_t
	err := unix.Statfs(path, &fs)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("statfs %s: %w", path, err)
	}
	return uint32(fs.Type) == unix.BPF_FS_MAGIC, nil
}

// unmountUnused takes away a BPF file system that we mounted, unless somebody
// else has put a folder of pins into it meanwhile.
func unmountUnused(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("BPF file system: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() {
			return nil
		}
	}
	if err := unix.Unmount(path, 0); err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	return nil
}
