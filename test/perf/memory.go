package perf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/lnsd/lnsd/maps"
)

// MapMemory is what the maps of a number of sessions take, as the kernel reports it.
type MapMemory struct {
	Sessions int    `json:"sessions"`
	IPv6     bool   `json:"ipv6"`
	Bytes    uint64 `json:"bytes"`
	// Fixed is what they take for a single session.
	Fixed uint64 `json:"fixed"`
	// ByMap is in bytes, by name.
	ByMap map[string]uint64 `json:"by_map"`
}

// MeasureMaps makes lnsd's maps for a number of sessions, with IPv6 or without,
// installs some that have an address and, with IPv6, a /64, and asks what the maps take.
func MeasureMaps(sessions, installed int, ipv6 bool) (m MapMemory, err error) {
	m = MapMemory{Sessions: sessions, IPv6: ipv6, ByMap: make(map[string]uint64)}
	before, err := mapIDs()
	if err != nil {
		return m, err
	}
	own, err := maps.Open(maps.Config{Sessions: uint32(sessions), Routes: 1, IPv6: ipv6})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	if err := settle(own, MakeSessions(installed, sessions), ipv6); err != nil {
		return m, err
	}
	after, err := mapIDs()
	if err != nil {
		return m, err
	}
	for id := range after {
		if before[id] {
			continue
		}
		name, bytes, err := mapMemory(id)
		if err != nil {
			return m, err
		}
		if strings.HasPrefix(name, "lns_") {
			m.ByMap[name] = bytes
			m.Bytes += bytes
		}
	}
	if m.Bytes == 0 {
		return m, errors.New("the kernel does not tell what maps take")
	}
	return m, nil
}

// settle installs sessions.
func settle(m *maps.Maps, sessions []Session, ipv6 bool) error {
	for i := range sessions {
		one := entry(i, &sessions[i])
		if ipv6 {
			net := [16]byte{0x20, 0x01, 0x0d, 0xb8}
			binary.BigEndian.PutUint32(net[4:], uint32(i+1))
			one.Prefixes6 = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom16(net), 64)}
		}
		if err := m.Install(one); err != nil {
			return err
		}
	}
	return nil
}

// mapIDs lists the maps that this process holds: others may make some meanwhile.
func mapIDs() (map[ebpf.MapID]bool, error) {
	const folder = "/proc/self/fdinfo"
	files, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	ids := make(map[ebpf.MapID]bool)
	for _, f := range files {
		info, err := os.ReadFile(filepath.Join(folder, f.Name()))
		if err != nil {
			continue // closed since
		}
		for line := range strings.Lines(string(info)) {
			var id uint32
			if _, err := fmt.Sscanf(line, "map_id: %d", &id); err == nil {
				ids[ebpf.MapID(id)] = true
			}
		}
	}
	return ids, nil
}

// mapMemory opens a map by id; one that is gone takes nothing.
func mapMemory(id ebpf.MapID) (string, uint64, error) {
	m, err := ebpf.NewMapFromID(id)
	if errors.Is(err, os.ErrNotExist) {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		return "", 0, err
	}
	bytes, _ := info.Memlock() // not known is 0, which the caller notices
	return info.Name, bytes, nil
}
