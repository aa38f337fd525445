package commit

import (
	"io/fs"
	"syscall"
)

// ownerOf is the user and group of a file, -1 where they are not known.
func ownerOf(info fs.FileInfo) (user, group int) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1, -1
	}
	return int(s.Uid), int(s.Gid)
}
