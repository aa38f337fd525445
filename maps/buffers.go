package maps

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
)

// hasFrags is BPF_F_XDP_HAS_FRAGS of linux/bpf.h: the program takes such frames.
const hasFrags = 1 << 5

// redirectsBuffers is the first Linux that redirects frames in several buffers: 6.3.
const redirectsBuffers = 6<<16 | 3<<8

// forBuffers returns the program for devices whose frames come in several buffers,
// loaded when the first of them is met: it costs more for each packet, so devices with
// frames of usual size do not get it.
func (m *Maps) forBuffers() (*ebpf.Program, error) {
	if m.buffers != nil {
		return m.buffers, nil
	}
	how := kernelLnsBuffersLNS_BUFFERS_LEFT
	if v, err := features.LinuxVersionCode(); err == nil && v >= redirectsBuffers {
		how = kernelLnsBuffersLNS_BUFFERS_SENT
	}
	p, err := m.loadBuffers(how)
	if err != nil {
		return nil, fmt.Errorf("program for large frames: %w", err)
	}
	m.buffers = p
	return p, nil
}

// loadBuffers loads it to deal with them in the given way.
func (m *Maps) loadBuffers(how kernelLnsBuffers) (*ebpf.Program, error) {
	return m.loadVariant(func(spec *ebpf.CollectionSpec) error {
		spec.Programs[kernelProgLnsXdp].Flags |= hasFrags
		ownCPUs(spec)
		return spec.Variables[kernelVarBuffers].Set(how)
	}, kernelMapLnsCpus)
}

// loadVariant loads the program once more with other knobs, on the maps that are there
// apart from those named.
func (m *Maps) loadVariant(change func(*ebpf.CollectionSpec) error, own ...string) (*ebpf.Program, error) {
	spec, err := m.programSpec()
	if err != nil {
		return nil, err
	}
	if err := change(spec); err != nil {
		return nil, err
	}
	return m.loadBeside(spec, own...)
}

// loadBeside loads spec's program on the maps that are there, apart from own.
func (m *Maps) loadBeside(spec *ebpf.CollectionSpec, own ...string) (*ebpf.Program, error) {
	shared := make(map[string]*ebpf.Map)
	held := reflect.ValueOf(&m.objs.kernelMaps).Elem()
	for i := range held.NumField() {
		name := held.Type().Field(i).Tag.Get("ebpf")
		if one, ok := held.Field(i).Interface().(*ebpf.Map); ok && !slices.Contains(own, name) {
			shared[name] = one
		}
	}
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: shared})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	p := c.DetachProgram(kernelProgLnsXdp)
	if p == nil {
		return nil, errors.New("there is no such program")
	}
	return p, nil
}
