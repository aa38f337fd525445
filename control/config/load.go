package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxFile bounds what is read: an ip_pool of a million single addresses fits.
const maxFile = 32 << 20

// Load reads the startup-config at path and the files beside it: ip_pool, whose
// addresses go to the pool "default", and chap-secrets, users and build-garden, which
// are only located. A file of secrets that others may read is warned of. Faults in the text come as
// Errors.
func Load(path string) (*Config, []Warning, error) {
	text, warnings, err := readFile(path)
	if err != nil {
		return nil, warnings, err
	}
	c, more, err := LoadText(path, text)
	if err == nil && !c.holdsSecrets() {
		// Nothing in it needs hiding, so anybody may read it.
		warnings = dropFile(warnings, path)
	}
	return c, append(warnings, more...), err
}

// LoadText is Load for a startup-config that is not, or not yet, what the file at path
// holds.
func LoadText(path, text string) (*Config, []Warning, error) {
	o := Options{Files: Files{StartupConfig: path, Text: Secret(text)}}
	var warnings []Warning
	var err error
	if o.HostName, err = os.Hostname(); err != nil {
		return nil, warnings, fmt.Errorf("the host's own name: %w", err)
	}
	poolPath := filepath.Join(filepath.Dir(path), "ip_pool")
	switch pool, _, err := readFile(poolPath); {
	case err == nil:
		o.Pool, o.PoolFile, o.Files.IPPool = pool, poolPath, poolPath
	case !errors.Is(err, fs.ErrNotExist):
		return nil, warnings, err
	}
	secrets := filepath.Join(filepath.Dir(path), "chap-secrets")
	switch info, err := os.Stat(secrets); {
	case err == nil:
		o.Files.ChapSecrets = secrets
		warnings = append(warnings, exposed(secrets, info)...)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, warnings, err
	}
	users := filepath.Join(filepath.Dir(path), "users")
	switch info, err := os.Stat(users); {
	case err == nil:
		o.Files.Users = users
		warnings = append(warnings, exposed(users, info)...)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, warnings, err
	}
	build := filepath.Join(filepath.Dir(path), "build-garden")
	if _, err := os.Stat(build); err == nil {
		o.Files.BuildGarden = build
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, warnings, err
	}
	c, more, err := Parse(path, text, o)
	return c, append(warnings, more...), err
}

// readFile returns a file's text, and a warning if others may read it.
func readFile(path string) (string, []Warning, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return "", nil, err
	case len(b) > maxFile:
		return "", nil, fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	return string(b), exposed(path, info), nil
}

func exposed(path string, info fs.FileInfo) []Warning {
	const others = 0o007
	if info.Mode().Perm()&others == 0 {
		return nil
	}
	return []Warning{{Pos{File: path}, fmt.Sprintf("holds secrets and is open to everybody (mode %04o): chmod 0640 or less", info.Mode().Perm())}}
}

func dropFile(ws []Warning, path string) []Warning {
	var kept []Warning
	for _, w := range ws {
		if w.File != path {
			kept = append(kept, w)
		}
	}
	return kept
}

func (c *Config) holdsSecrets() bool {
	if c.L2TP.Secret != "" || c.RADIUS.Secret != "" || c.AAA.holdsSecrets() || c.Outgoing.holdsSecrets() || len(c.DAE.Clients) > 0 {
		return true
	}
	for _, p := range c.Profiles[TunnelLayer] {
		if p.has("secret") || p.has("l2tp_secret") {
			return true
		}
	}
	for i := range c.LACs {
		if c.LACs[i].Secret != "" {
			return true
		}
	}
	return false
}
