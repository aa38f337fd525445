package maps

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
)

// Direction is the subscriber's: what it sends is up.
type Direction uint8

// The directions.
const (
	Up Direction = iota
	Down
	directions
)

func (d Direction) String() string { return [...]string{"up", "down"}[d] }

// hookPrefix begins the names of the pinned maps of the operator's functions.
const hookPrefix = "hook_"

// Hook is an operator's compiled function that every packet of a direction passes.
type Hook struct {
	// Object is an ELF file with a function as bpf/hook.h says.
	Object []byte
	// Function is its name; it may be "" where the file has one only.
	Function string
}

// ErrHook says that a hook can't be had.
var ErrHook = errors.New("hook refused")

// loadedHook is a hook that is part of the program.
type loadedHook struct {
	function string
	spec     *ebpf.CollectionSpec
	maps     map[string]*ebpf.Map // by their names in the object
}

// SetHook makes every packet of a direction pass h from now on; nil takes out what is
// there. The program is loaded anew with h in it, and takes the place of the one that is
// attached in one step: no packet is lost, and each passes the old hook or the new one.
// On an error nothing has changed.
//
// The maps of h are pinned as hook_up_NAME or hook_down_NAME beside ours. The next hook of
// that direction, and the next process, go on with those of the same name and type.
func (m *Maps) SetHook(d Direction, h *Hook) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.hooks
	next[d] = nil
	if h != nil {
		made, err := m.makeHook(d, h)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrHook, err)
		}
		next[d] = made
	}
	if err := m.swap(next); err != nil {
		if next[d] != nil {
			err = errors.Join(fmt.Errorf("%w: %w", ErrHook, err), next[d].close())
		}
		return err
	}
	return m.unpinHookMaps(d)
}

// HookFunction is the name of the function in force for a direction, "" for none.
func (m *Maps) HookFunction(d Direction) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hooks[d] == nil {
		return ""
	}
	return m.hooks[d].function
}

// loaded is all that a change of the hooks makes anew.
type loaded struct {
	hooks   [directions]*loadedHook
	program *ebpf.Program
	buffers *ebpf.Program // nil until it is needed
	spread  spreading
}

func (m *Maps) loaded() loaded { return loaded{m.hooks, m.objs.LnsXdp, m.buffers, m.spread} }

func (m *Maps) setLoaded(l loaded) {
	m.hooks, m.objs.LnsXdp, m.buffers, m.spread = l.hooks, l.program, l.buffers, l.spread
}

// close gives up the programs.
func (l loaded) close() error {
	errs := []error{l.spread.close()}
	for _, p := range []*ebpf.Program{l.program, l.buffers} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}

// swap puts a program with other hooks in the place of the one that is attached.
func (m *Maps) swap(next [directions]*loadedHook) error {
	before := m.loaded()
	m.setLoaded(loaded{hooks: next})
	if err := m.loadHooked(before.spread.cpus); err != nil {
		failed := m.loaded()
		m.setLoaded(before)
		return errors.Join(readable(err), failed.close())
	}
	if err := m.takePlace(); err != nil {
		failed := m.loaded()
		m.setLoaded(before)
		return errors.Join(err, m.takePlace(), failed.close())
	}
	errs := []error{before.close()}
	for d, h := range before.hooks {
		if h != nil && h != next[d] {
			errs = append(errs, h.close())
		}
	}
	return errors.Join(errs...)
}

// loadHooked loads what is to be attached, and to be run on CPUs that data is spread over.
func (m *Maps) loadHooked(cpus []int) error {
	spec, err := m.programSpec()
	if err != nil {
		return err
	}
	if m.objs.LnsXdp, err = m.loadBeside(spec); err != nil || len(cpus) == 0 {
		return err
	}
	m.spread, err = m.loadSpread(cpus)
	return err
}

// takePlace puts the programs in the place of what runs.
func (m *Maps) takePlace() error {
	if err := m.putCPUs(m.spread); err != nil {
		return err
	}
	for ifindex, a := range m.links {
		var err error
		if a.buffers, err = m.update(a.link); err != nil {
			return err
		}
		m.links[ifindex] = a
	}
	return nil
}

// readable leaves of what the verifier says its last words.
func readable(err error) error {
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) && len(refused.Log) > 0 {
		last := refused.Log[max(0, len(refused.Log)-verifierLines):]
		return fmt.Errorf("the kernel refuses the program with it: %w: %s", refused.Cause, strings.Join(last, "; "))
	}
	return err
}

// verifierLines is how much of what the verifier says an operator is told.
const verifierLines = 8

// programSpec is the program as it is to be loaded, with the hooks that there are.
func (m *Maps) programSpec() (*ebpf.CollectionSpec, error) {
	spec, err := loadKernel()
	if err != nil {
		return nil, err
	}
	if err := m.cfg.apply(spec); err != nil {
		return nil, err
	}
	return spec, m.addHooks(spec)
}

// addHooks links the hooks into a program that is to be loaded.
func (m *Maps) addHooks(spec *ebpf.CollectionSpec) error {
	for d, knob := range [directions]string{kernelVarHookUp, kernelVarHookDown} {
		h := m.hooks[d]
		if h == nil {
			continue
		}
		if err := spec.Variables[knob].Set(uint8(1)); err != nil {
			return err
		}
		if err := linkHook(spec.Programs[kernelProgLnsXdp], Direction(d), h); err != nil {
			return err
		}
	}
	return nil
}

// makeHook reads a hook and makes its maps.
func (m *Maps) makeHook(d Direction, h *Hook) (*loadedHook, error) {
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(h.Object))
	if err != nil {
		return nil, err
	}
	l := &loadedHook{spec: spec, maps: make(map[string]*ebpf.Map)}
	if l.function, err = hookFunction(spec, h.Function); err != nil {
		return nil, err
	}
	if err := checkHook(spec.Programs[l.function]); err != nil {
		return nil, err
	}
	for name, s := range spec.Maps {
		one, err := m.hookMap(d, name, s)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("map %s: %w", name, err), l.close())
		}
		l.maps[name] = one
	}
	return l, nil
}

// hookFunction returns the name of the function that is meant.
func hookFunction(spec *ebpf.CollectionSpec, name string) (string, error) {
	var all []string
	for n := range spec.Programs {
		all = append(all, n)
	}
	slices.Sort(all)
	switch {
	case len(all) == 0:
		return "", errors.New("there is no function in it that has a section of its own")
	case slices.Contains(all, name):
		return name, nil
	case name == "" && len(all) == 1:
		return all[0], nil
	case name == "":
		return "", fmt.Errorf("there are several functions (%s): name one", strings.Join(all, ", "))
	}
	return "", fmt.Errorf("there is no function %s, but %s", name, strings.Join(all, ", "))
}

// hookMap makes a map of the hook, or goes on with that of the one before.
func (m *Maps) hookMap(d Direction, name string, s *ebpf.MapSpec) (*ebpf.Map, error) {
	s = s.Copy()
	if m.cfg.PinPath == "" || strings.HasPrefix(name, ".") {
		s.Pinning = ebpf.PinNone
		return ebpf.NewMap(s)
	}
	s.Name, s.Pinning = mapPin(d, name), ebpf.PinByName
	opts := ebpf.MapOptions{PinPath: m.cfg.PinPath}
	one, err := ebpf.NewMapWithOptions(s, opts)
	if errors.Is(err, ebpf.ErrMapIncompatible) {
		// Whoever changes the type means to begin anew.
		if err = os.Remove(filepath.Join(m.cfg.PinPath, s.Name)); err == nil {
			one, err = ebpf.NewMapWithOptions(s, opts)
		}
	}
	return one, err
}

func mapPin(d Direction, name string) string { return hookPrefix + d.String() + "_" + name }

// unpinHookMaps takes away the pinned maps that a direction's hook has not.
func (m *Maps) unpinHookMaps(d Direction) error {
	if m.cfg.PinPath == "" {
		return nil
	}
	pins, err := filepath.Glob(filepath.Join(m.cfg.PinPath, mapPin(d, "*")))
	errs := []error{err}
	for _, pin := range pins {
		name := strings.TrimPrefix(filepath.Base(pin), mapPin(d, ""))
		if m.hooks[d] == nil || m.hooks[d].maps[name] == nil {
			errs = append(errs, os.Remove(pin))
		}
	}
	return errors.Join(errs...)
}

// close gives up the maps; the program keeps what it needs of them.
func (h *loadedHook) close() error {
	var errs []error
	for _, one := range h.maps {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}

// closeHooks gives up this process's hold; what is attached goes on.
func (m *Maps) closeHooks() error {
	var errs []error
	for _, h := range m.hooks {
		if h != nil {
			errs = append(errs, h.close())
		}
	}
	return errors.Join(errs...)
}

// HookMaps are the paths where the maps of a direction's hook are pinned.
func (m *Maps) HookMaps(d Direction) (paths []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hooks[d] == nil || m.cfg.PinPath == "" {
		return nil
	}
	for name := range m.hooks[d].maps {
		if !strings.HasPrefix(name, ".") {
			paths = append(paths, filepath.Join(m.cfg.PinPath, mapPin(d, name)))
		}
	}
	slices.Sort(paths)
	return paths
}

// DropHookMaps takes away what an earlier process's hook has left, where this one has
// none.
func (m *Maps) DropHookMaps(d Direction) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unpinHookMaps(d)
}
