package kernels

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// debianKernel is the kernel that a release of Debian ships for virtual machines.
type debianKernel struct {
	series string // such as 6.1
	suite  string // the release's name
}

// debianKernels are the oldest kernel that lnsd runs on and the newest that
// Debian has in a stable release.
var debianKernels = []debianKernel{
	{"6.1", "bookworm"},
	{"6.12", "trixie"},
}

// bootable is an unpacked kernel package.
type bootable struct {
	image   string // vmlinuz
	modules string // folder with the modules
}

// sources makes apt see one release, with its security updates, whatever release
// this machine runs and whatever else it has configured.
const sources = `deb [arch=amd64 target=Packages signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian %[1]s main
deb [arch=amd64 target=Packages signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian-security %[1]s-security main
`

// dependency finds the kernel that Debian's metapackage stands for.
var dependency = regexp.MustCompile(`(?m)^\s*Depends: (linux-image-\d\S+)$`)

// fetch downloads the newest package of the kernel and unpacks it below dir. It
// installs nothing. What is there from an earlier run is used again.
func (k debianKernel) fetch(dir string) (bootable, error) {
	root := filepath.Join(dir, "root")
	if b, err := unpacked(root); err == nil {
		return b, nil
	}
	apt, err := newApt(filepath.Join(dir, "apt"), k.suite)
	if err != nil {
		return bootable{}, err
	}
	if _, err := apt.run("apt-get", "update", "-qq"); err != nil {
		return bootable{}, err
	}
	out, err := apt.run("apt-cache", "depends", "linux-image-cloud-amd64")
	if err != nil {
		return bootable{}, err
	}
	match := dependency.FindStringSubmatch(out)
	if match == nil {
		return bootable{}, fmt.Errorf("no kernel among the dependencies:\n%s", out)
	}
	if !strings.HasPrefix(match[1], "linux-image-"+k.series+".") {
		return bootable{}, fmt.Errorf("%s has %s, not a kernel %s", k.suite, match[1], k.series)
	}
	if _, err := apt.run("apt-get", "download", "-qq", match[1]); err != nil {
		return bootable{}, err
	}
	return apt.unpack(match[1], root)
}

// apt runs Debian's package tools on a state of its own.
type apt struct {
	dir     string
	options []string
}

func newApt(dir, suite string) (*apt, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	for _, d := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	list := filepath.Join(dir, "sources.list")
	if err := os.WriteFile(list, fmt.Appendf(nil, sources, suite), 0o644); err != nil {
		return nil, err
	}
	status := filepath.Join(dir, "status")
	if err := os.WriteFile(status, nil, 0o644); err != nil {
		return nil, err
	}
	return &apt{dir: dir, options: []string{
		"-o", "Dir::Etc::SourceList=" + list,
		"-o", "Dir::Etc::SourceParts=-",
		"-o", "Dir::State=" + filepath.Join(dir, "state"),
		"-o", "Dir::State::Status=" + status,
		"-o", "Dir::Cache=" + filepath.Join(dir, "cache"),
		"-o", "Acquire::Languages=none",
		// The unprivileged user cannot reach a checkout in someone's home.
		"-o", "APT::Sandbox::User=root",
	}}, nil
}

// run returns what a tool prints.
func (a *apt) run(tool string, args ...string) (string, error) {
	cmd := exec.Command(tool, append(a.options, args...)...)
	cmd.Dir = a.dir
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w\n%s", err, exit.Stderr)
		}
		return "", fmt.Errorf("%s %s: %w", tool, strings.Join(args, " "), err)
	}
	return string(out), nil
}

// unpack extracts a downloaded package to root, which is there whole or not at all.
func (a *apt) unpack(name, root string) (bootable, error) {
	files, err := filepath.Glob(filepath.Join(a.dir, name+"_*.deb"))
	if err != nil || len(files) != 1 {
		return bootable{}, fmt.Errorf("%s: %d packages in %s (%v)", name, len(files), a.dir, err)
	}
	part := root + ".part"
	if err := os.RemoveAll(part); err != nil {
		return bootable{}, err
	}
	if out, err := exec.Command("dpkg", "-x", files[0], part).CombinedOutput(); err != nil {
		return bootable{}, fmt.Errorf("dpkg -x %s: %w\n%s", files[0], err, out)
	}
	if err := os.Rename(part, root); err != nil {
		return bootable{}, err
	}
	return unpacked(root)
}

// unpacked finds kernel and modules below root. Newer packages have /lib below
// /usr.
func unpacked(root string) (bootable, error) {
	images, err := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*"))
	if err != nil || len(images) != 1 {
		return bootable{}, fmt.Errorf("%d kernels in %s (%v)", len(images), root, err)
	}
	for _, lib := range []string{"lib", "usr/lib"} {
		folders, err := filepath.Glob(filepath.Join(root, lib, "modules/*/kernel"))
		if err == nil && len(folders) == 1 {
			return bootable{images[0], folders[0]}, nil
		}
	}
	return bootable{}, fmt.Errorf("no modules in %s", root)
}
