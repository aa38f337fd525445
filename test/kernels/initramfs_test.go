package kernels

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
)

// File modes as cpio has them.
const (
	modeDirectory  = 0o040755
	modeExecutable = 0o100755
)

// initramfs returns an archive with files, given by their paths without leading
// slash, and the folders above them. It is what the kernel calls an initramfs
// buffer, format "newc" (Documentation/driver-api/early-userspace/buffer-format.rst).
func initramfs(files map[string][]byte) []byte {
	folders := make(map[string]bool)
	for name := range files {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			folders[dir] = true
		}
	}
	var b bytes.Buffer
	inode := 0
	entry := func(name string, mode int, data []byte) {
		inode++
		fields := []int{inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0}
		b.WriteString("070701")
		for _, f := range fields {
			fmt.Fprintf(&b, "%08X", f)
		}
		b.WriteString(name)
		b.WriteByte(0)
		pad(&b)
		b.Write(data)
		pad(&b)
	}
	// Parents come before what is in them, as sorting puts them.
	for _, dir := range slices.Sorted(maps.Keys(folders)) {
		entry(dir, modeDirectory, nil)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		entry(name, modeExecutable, files[name])
	}
	entry("TRAILER!!!", 0, nil)
	return b.Bytes()
}

// pad fills up to the next multiple of four bytes.
func pad(b *bytes.Buffer) {
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
}
