package maps

import (
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

func kernelSpec(t *testing.T) *ebpf.CollectionSpec {
	t.Helper()
	spec, err := loadKernel()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// TestSizes: the generated types are as large as the C sources assert.
func TestSizes(t *testing.T) {
	for name, sizes := range map[string][2]uintptr{
		"lns_rule4":   {unsafe.Sizeof(kernelLnsRule4{}), 40},
		"lns_rule6":   {unsafe.Sizeof(kernelLnsRule6{}), 88},
		"lns_list":    {unsafe.Sizeof(kernelLnsList{}), 8232},
		"lns_call":    {unsafe.Sizeof(kernelLnsCall{}), 4},
		"lns_host":    {unsafe.Sizeof(kernelLnsHost{}), 8},
		"lns_prefix":  {unsafe.Sizeof(kernelLnsPrefix{}), 12},
		"lns_net6":    {unsafe.Sizeof(kernelLnsNet6{}), 12},
		"lns_prefix6": {unsafe.Sizeof(kernelLnsPrefix6{}), 24},
		"lns_share6":  {unsafe.Sizeof(kernelLnsShare6{}), 32},
		"lns_local":   {unsafe.Sizeof(kernelLnsLocal{}), 8},
		"lns_where":   {unsafe.Sizeof(kernelLnsWhere{}), 8},
		"lns_port":    {unsafe.Sizeof(kernelLnsPort{}), 16},
		"lns_door":    {unsafe.Sizeof(kernelLnsDoor{}), 24},
		"lns_hop":     {unsafe.Sizeof(kernelLnsHop{}), 64},
		"lns_hint":    {unsafe.Sizeof(kernelLnsHint{}), 32},
		"lns_tag":     {unsafe.Sizeof(kernelLnsTag{}), 4},
		"lns_exit":    {unsafe.Sizeof(kernelLnsExit{}), 12},
		"lns_session": {unsafe.Sizeof(kernelLnsSession{}), 64},
		"lns_flow":    {unsafe.Sizeof(kernelLnsFlow{}), 64},
		"lns_usage":   {unsafe.Sizeof(kernelLnsUsage{}), 128},
		"lns_line":    {unsafe.Sizeof(kernelLnsLine{}), 16},
		"lns_tally":   {unsafe.Sizeof(kernelLnsTally{}), 16},
		"lns_facts":   {unsafe.Sizeof(kernelLnsFacts{}), 64},
		"lns_tunnel":  {unsafe.Sizeof(kernelLnsTunnel{}), 8},
		"lns_range":   {unsafe.Sizeof(kernelLnsRange{}), 8},
		"lns_source":  {unsafe.Sizeof(kernelLnsSource{}), 4},
		"lns_gates":   {unsafe.Sizeof(kernelLnsGates{}), 32},
	} {
		if sizes[0] != sizes[1] {
			t.Errorf("%s: %d bytes in Go, %d in C", name, sizes[0], sizes[1])
		}
	}
}

// TestNames: the kernel cuts names at 15 characters, and tools show what is left.
func TestNames(t *testing.T) {
	spec := kernelSpec(t)
	seen := map[string]bool{}
	check := func(name string) {
		if len(name) > 15 || seen[name] {
			t.Errorf("%q is longer than 15 characters or there twice", name)
		}
		seen[name] = true
	}
	for name := range spec.Maps {
		check(name)
	}
	for name := range spec.Programs {
		check(name)
	}
	if len(spec.Programs) != 1 {
		t.Errorf("%d programs, want 1", len(spec.Programs))
	}
}

// TestNamedFields: each map tells tools the types of its keys and values.
func TestNamedFields(t *testing.T) {
	for name, m := range kernelSpec(t).Maps {
		if name == ".rodata" || m.Type == ebpf.RingBuf { // which has neither
			continue
		}
		if m.Key == nil || m.Value == nil {
			t.Errorf("%s has no BTF for its key or value", name)
		}
	}
}

// TestKernelTypes compares what vmlinux.h says of the kernel's structures with
// the kernel that runs: same size, and each member at the same place.
func TestKernelTypes(t *testing.T) {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Skipf("the kernel shows no BTF: %v", err)
	}
	ours := kernelSpec(t).Types
	checked := 0
	for _, name := range []string{
		"xdp_md", "bpf_fib_lookup", "bpf_devmap_val", "ethhdr", "iphdr", "ipv6hdr", "udphdr", "tcphdr", "vlan_hdr",
	} {
		var mine, theirs *btf.Struct
		if ours.TypeByName(name, &mine) != nil || kernel.TypeByName(name, &theirs) != nil {
			continue // used in code only, or not in this kernel
		}
		checked++
		if mine.Size != theirs.Size {
			t.Errorf("struct %s: %d bytes, the kernel has %d", name, mine.Size, theirs.Size)
		}
		offsets := map[string]btf.Bits{}
		for _, m := range theirs.Members {
			offsets[m.Name] = m.Offset
		}
		for _, m := range mine.Members {
			if at, ok := offsets[m.Name]; ok && m.Name != "" && at != m.Offset {
				t.Errorf("struct %s: %s at bit %d, the kernel has it at %d", name, m.Name, m.Offset, at)
			}
		}
	}
	if checked < 2 {
		t.Errorf("only %d structures could be compared", checked)
	}
}
