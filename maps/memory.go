package maps

import (
	"fmt"
	"syscall"
	"unsafe"

	"github.com/cilium/ebpf"
)

// mapped is an array map seen as memory, shared with the kernel. Each 64-bit (or
// smaller, aligned) word can be read and written with sync/atomic.
type mapped[T any] struct {
	values []T
	raw    []byte
}

// newMapped maps array into memory. The size of T must be that of its values.
func newMapped[T any](array *ebpf.Map) (mapped[T], error) {
	var m mapped[T]
	size := int(unsafe.Sizeof(*new(T)))
	if size != int(array.ValueSize()) {
		return m, fmt.Errorf("map %s: value of %d bytes, want %d", array, array.ValueSize(), size)
	}
	n := int(array.MaxEntries())
	raw, err := syscall.Mmap(array.FD(), 0, n*size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return m, fmt.Errorf("map %s into memory: %w", array, err)
	}
	m.raw = raw
	m.values = unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(raw))), n)
	return m, nil
}

func (m *mapped[T]) close() error {
	if m.raw == nil {
		return nil
	}
	raw := m.raw
	m.raw, m.values = nil, nil
	return syscall.Munmap(raw)
}
