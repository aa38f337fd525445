package maps

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// grace waits until no run of the program that began before is still going on.
//
// The kernel offers this to user space as a property of maps that hold maps: an
// update returns only when every program that could see the old inner map has
// ended, whichever program that is. So one such map is kept, used for nothing
// else.
type grace struct {
	outer, inner *ebpf.Map
}

func newGrace() (*grace, error) {
	innerSpec := &ebpf.MapSpec{Name: "lns_grace_in", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	inner, err := ebpf.NewMap(innerSpec)
	if err != nil {
		return nil, fmt.Errorf("grace period: %w", err)
	}
	outer, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "lns_grace", Type: ebpf.ArrayOfMaps,
		KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: innerSpec,
	})
	if err != nil {
		inner.Close()
		return nil, fmt.Errorf("grace period: %w", err)
	}
	return &grace{outer, inner}, nil
}

// wait takes some tens of milliseconds: once per batch of changes.
func (g *grace) wait() error {
	if err := g.outer.Put(uint32(0), g.inner); err != nil {
		return fmt.Errorf("grace period: %w", err)
	}
	return nil
}

func (g *grace) close() error {
	return errors.Join(g.outer.Close(), g.inner.Close())
}
