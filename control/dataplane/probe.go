package dataplane

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// ErrUnsupported says that the kernel lacks something that XDP forwarding needs;
// the error's text names it.
var ErrUnsupported = errors.New("the kernel lacks what XDP forwarding needs")

// feature is something that the program relies on.
type feature struct {
	name  string
	since string // the Linux version that brought it
	have  func() error
}

// needs lists what the program relies on, older features first.
func needs() []feature {
	mapType := func(t ebpf.MapType) func() error { return func() error { return features.HaveMapType(t) } }
	helper := func(h asm.BuiltinFunc) func() error {
		return func() error { return features.HaveProgramHelper(ebpf.XDP, h) }
	}
	return []feature{
		{"program type XDP", "4.8", func() error { return features.HaveProgramType(ebpf.XDP) }},
		{"map type LRU hash", "4.10", mapType(ebpf.LRUHash)},
		{"helper bpf_xdp_adjust_head", "4.10", helper(asm.FnXdpAdjustHead)},
		{"map type LPM trie", "4.11", mapType(ebpf.LPMTrie)},
		{"map type array of maps", "4.12", mapType(ebpf.ArrayOfMaps)},
		{"helper bpf_redirect_map", "4.14", helper(asm.FnRedirectMap)},
		{"helper bpf_fib_lookup", "4.18", helper(asm.FnFibLookup)},
		{"bounded loops", "5.3", features.HaveBoundedLoops},
		{"map type devmap hash", "5.4", mapType(ebpf.DevMapHash)},
		{"arrays that can be mapped into memory", "5.5", func() error { return features.HaveMapFlag(features.BPF_F_MMAPABLE) }},
		{"instruction set 3", "5.1", features.HaveV3ISA},
		{"helper bpf_ktime_get_coarse_ns", "5.11", helper(asm.FnKtimeGetCoarseNs)},
	}
}

// probe asks the kernel for everything that the program needs.
func probe(needs []feature) error {
	var missing []string
	for _, n := range needs {
		err := n.have()
		switch {
		case err == nil:
		case errors.Is(err, ebpf.ErrNotSupported):
			missing = append(missing, fmt.Sprintf("%s (Linux %s)", n.name, n.since))
		case errors.Is(err, unix.EPERM):
			return fmt.Errorf("dataplane: loading XDP programs is not permitted: CAP_BPF and CAP_NET_ADMIN are needed: %w", err)
		default:
			// The probe itself failed; loading the program will tell.
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("dataplane: %w: %s", ErrUnsupported, strings.Join(missing, ", "))
	}
	return nil
}
