package kernels

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// wantedModules are loaded in every machine, with all that they depend on.
var wantedModules = []string{"virtio_pci", "virtio_net", "veth", "8021q", "tun"}

// module is a kernel module, not compressed.
type module struct {
	name string
	elf  []byte
}

// modules returns those wanted that dir, a kernel's module folder, has, each
// behind what it depends on. The packages hold no list of dependencies, which is
// made at installation, but every module names its own. One that is not there is
// part of the kernel.
func modules(dir string, wanted []string) ([]module, error) {
	paths, err := modulePaths(dir)
	if err != nil {
		return nil, err
	}
	var list []module
	done := make(map[string]bool)
	var add func(names []string) error
	add = func(names []string) error {
		for _, name := range names {
			path, ok := paths[name]
			if !ok || done[name] {
				continue
			}
			done[name] = true
			m, err := readModule(name, path)
			if err != nil {
				return err
			}
			depends, err := m.depends()
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if err := add(depends); err != nil {
				return err
			}
			list = append(list, m)
		}
		return nil
	}
	return list, add(wanted)
}

// modulePaths returns the file of each module by its name.
func modulePaths(dir string) (map[string]string, error) {
	paths := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if name, _, ok := strings.Cut(filepath.Base(path), ".ko"); ok && err == nil {
			paths[moduleName(name)] = path
		}
		return err
	})
	return paths, err
}

// moduleName is a module's name as the kernel writes it.
func moduleName(file string) string { return strings.ReplaceAll(file, "-", "_") }

func readModule(name, path string) (module, error) {
	if strings.HasSuffix(path, ".xz") {
		out, err := exec.Command("xz", "-dc", path).Output()
		if err != nil {
			return module{}, fmt.Errorf("xz -dc %s: %w", path, err)
		}
		return module{name, out}, nil
	}
	b, err := os.ReadFile(path)
	return module{name, b}, err
}

// depends returns the names of the modules that m says it depends on.
func (m module) depends() ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(m.elf))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("%s says nothing of itself", m.name)
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	return modinfoDepends(info), nil
}

// modinfoDepends finds the dependencies in a .modinfo section: strings of the
// form key=value, each ending with a zero byte.
func modinfoDepends(info []byte) []string {
	for field := range bytes.SplitSeq(info, []byte{0}) {
		list, ok := strings.CutPrefix(string(field), "depends=")
		if ok && list != "" {
			return strings.Split(moduleName(list), ",")
		}
	}
	return nil
}
