package maps

import (
	"os"
	"reflect"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
)

// originals are programs of the usual configuration with their maps that no test uses at
// the moment: for the verifier to walk one takes longer than most tests.
var originals struct {
	sync.Mutex
	free []*Maps
}

// original returns one of originals for the length of the test.
func original(t testing.TB) (m *Maps) {
	t.Helper()
	originals.Lock()
	if n := len(originals.free); n > 0 {
		m, originals.free = originals.free[n-1], originals.free[:n-1]
	}
	originals.Unlock()
	if m == nil {
		var err error
		if m, err = Open(usual); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		originals.Lock()
		defer originals.Unlock()
		originals.free = append(originals.free, m)
	})
	return m
}

// reopened returns what Open returns for the usual configuration: new handles of what
// was loaded, whose maps are as if they had just been made.
func reopened(t testing.TB) *Maps {
	t.Helper()
	first := original(t)
	m := newMaps(usual, first.names)
	from, to := reflect.ValueOf(&first.objs).Elem(), reflect.ValueOf(&m.objs).Elem()
	eachObject(t, from, to, func(object any) any {
		switch o := object.(type) {
		case *ebpf.Map:
			wipe(t, o)
			clone, err := o.Clone()
			if err != nil {
				t.Fatal(err)
			}
			return clone
		case *ebpf.Program:
			clone, err := o.Clone()
			if err != nil {
				t.Fatal(err)
			}
			return clone
		}
		return object
	})
	if err := m.begin(); err != nil {
		t.Fatal(err)
	}
	return m
}

// eachObject sets the fields of to, and those of the structs in it, to what f makes of
// those of from.
func eachObject(t testing.TB, from, to reflect.Value, f func(any) any) {
	t.Helper()
	for i := range from.NumField() {
		if from.Field(i).Kind() == reflect.Struct {
			eachObject(t, from.Field(i), to.Field(i), f)
			continue
		}
		to.Field(i).Set(reflect.ValueOf(f(from.Field(i).Interface())))
	}
}

// wipe makes m what it was when it was new: zeros, or empty.
func wipe(t testing.TB, m *ebpf.Map) {
	t.Helper()
	var err error
	switch m.Type() {
	case ebpf.Array, ebpf.PerCPUArray:
		err = zero(m)
	case ebpf.RingBuf:
		err = skip(m)
	case ebpf.Hash, ebpf.LRUHash, ebpf.LPMTrie, ebpf.DevMapHash, ebpf.CPUMap:
		err = empty(m)
	default:
		t.Fatalf("%v: no way is known to empty it", m)
	}
	if err != nil {
		t.Fatalf("%v: %v", m, err)
	}
}

// zero writes zeros to all of an array.
func zero(m *ebpf.Map) error {
	if m.Flags()&mmapable != 0 {
		raw, err := syscall.Mmap(m.FD(), 0, int(m.MaxEntries()*m.ValueSize()), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
		if err != nil {
			return err
		}
		clear(raw)
		return syscall.Munmap(raw)
	}
	size, cpus := int(m.ValueSize()), ebpf.MustPossibleCPU()
	if m.Type() == ebpf.PerCPUArray && size == 8 { // many, of counters
		keys := make([]uint32, m.MaxEntries())
		for i := range keys {
			keys[i] = uint32(i)
		}
		_, err := m.BatchUpdate(keys, make([]uint64, len(keys)*cpus), nil)
		return err
	}
	var value any = make([]byte, size)
	if m.Type() == ebpf.PerCPUArray {
		all := make([][]byte, cpus)
		for i := range all {
			all[i] = make([]byte, size)
		}
		value = all
	}
	for i := range m.MaxEntries() {
		if err := m.Put(i, value); err != nil {
			return err
		}
	}
	return nil
}

const mmapable = 1 << 10 // BPF_F_MMAPABLE

// skip makes the reader of a ring stand where its writer does: the first word of the two
// pages in front of the data is the one's place and the other's.
func skip(m *ebpf.Map) error {
	page := os.Getpagesize()
	reader, err := syscall.Mmap(m.FD(), 0, page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return err
	}
	defer syscall.Munmap(reader)
	writer, err := syscall.Mmap(m.FD(), int64(page), page, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return err
	}
	defer syscall.Munmap(writer)
	*(*uint64)(unsafe.Pointer(&reader[0])) = *(*uint64)(unsafe.Pointer(&writer[0]))
	runtime.KeepAlive(m)
	return nil
}

// empty deletes all keys.
func empty(m *ebpf.Map) error {
	var keys [][]byte
	key, it := []byte(nil), m.Iterate()
	var value []byte
	for it.Next(&key, &value) {
		keys = append(keys, append([]byte(nil), key...))
	}
	if err := it.Err(); err != nil {
		return err
	}
	for _, key := range keys {
		if err := m.Delete(key); err != nil {
			return err
		}
	}
	return nil
}
