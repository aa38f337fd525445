package perf

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/lnsd/lnsd/maps"
)

// MapMemory is what the maps of a number of sessions take, as the kernel reports it.
type MapMemory struct {
	Sessions int    `json:"sessions"`
	Bytes    uint64 `json:"bytes"`
	// ByMap is in bytes, by name.
	ByMap map[string]uint64 `json:"by_map"`
}

// MeasureMaps makes lnsd's maps for a number of sessions and asks what they take.
func MeasureMaps(sessions int) (m MapMemory, err error) {
	m = MapMemory{Sessions: sessions, ByMap: make(map[string]uint64)}
	before, err := mapIDs()
	if err != nil {
		return m, err
	}
	own, err := maps.Open(maps.Config{Sessions: uint32(sessions), Routes: 1})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, own.Close()) }()
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

// mapIDs lists the maps of the whole machine.
func mapIDs() (map[ebpf.MapID]bool, error) {
	ids := make(map[ebpf.MapID]bool)
	for id := ebpf.MapID(0); ; {
		next, err := ebpf.MapGetNextID(id)
		if errors.Is(err, os.ErrNotExist) {
			return ids, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list maps: %w", err)
		}
		ids[next], id = true, next
	}
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
