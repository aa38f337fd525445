package kernels

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// wantedTools are this machine's programs that tests start; they are copied into
// the virtual ones with the libraries that they need.
var wantedTools = []string{"ip", "ping", "ethtool", "bpftool"}

// library finds the files in what ldd prints: behind an arrow, or alone for the
// loader. The virtual library that the kernel provides has neither.
var library = regexp.MustCompile(`(?m)^\s*(?:\S+ => )?(/\S+) \(0x`)

// tools returns programs, as bin/name, and libraries by path without the leading
// slash.
func tools(names []string) (map[string][]byte, error) {
	files := make(map[string][]byte)
	add := func(from, to string) error {
		content, err := os.ReadFile(from)
		files[strings.TrimPrefix(to, "/")] = content
		return err
	}
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			return nil, err
		}
		if err := add(path, "bin/"+name); err != nil {
			return nil, err
		}
		out, err := exec.Command("ldd", path).Output()
		if err != nil {
			return nil, fmt.Errorf("ldd %s: %w", path, err)
		}
		for _, match := range library.FindAllStringSubmatch(string(out), -1) {
			if err := add(match[1], match[1]); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}
