package inside

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/cilium/ebpf"
)

// object is where the initramfs holds the compiled programs.
const object = "/lnsd/kernel_bpfel.o"

// configuration is a way that package maps loads the program in.
type configuration struct {
	name   string
	knobs  map[string]uint64
	flags  uint32
	attach ebpf.AttachType
}

// hasFrags is BPF_F_XDP_HAS_FRAGS of linux/bpf.h.
const hasFrags = 1 << 5

// configurations are all the ways that make code of the program part of it, or leave
// it out; IPv6, filters, rates and sequence numbers are in each.
var configurations = []configuration{
	{name: "usual"},
	{name: "outer6", knobs: map[string]uint64{"outer6": 1}},
	{name: "packet-limit", knobs: map[string]uint64{"packet_interval": 1e6, "outer6": 1}},
	{name: "hooks", knobs: map[string]uint64{"hook_up": 1, "hook_down": 1, "outer6": 1}},
	{name: "without-services", knobs: map[string]uint64{"without": 4}},
	{name: "hairpin-deny", knobs: map[string]uint64{"hairpin": 1, "outer6": 1}},
	{name: "hairpin-core", knobs: map[string]uint64{"hairpin": 2, "outer6": 1}},
	{name: "frags-sent", knobs: map[string]uint64{"buffers": 1, "outer6": 1}, flags: hasFrags},
	{name: "frags-left", knobs: map[string]uint64{"buffers": 2, "outer6": 1}, flags: hasFrags},
	{name: "spread-hand", knobs: map[string]uint64{"spread": 1, "outer6": 1}},
	{name: "spread-take", knobs: map[string]uint64{"spread": 2, "outer6": 1}, attach: ebpf.AttachXDPCPUMap},
}

// numbers are knobs that the program computes with, whatever their value.
var numbers = []string{"outer_ttl", "flow_mask", "flow_seed", "call_places", "homes6", "spread_count", "spread_cpus"}

// TestVerifier loads every program in every configuration, and says what the verifier
// made of it.
func TestVerifier(t *testing.T) {
	checkKnobs(t)
	for _, cfg := range configurations {
		t.Run(cfg.name, func(t *testing.T) {
			programs := cfg.load(t)
			for _, name := range slices.Sorted(maps.Keys(programs)) {
				t.Run(name, func(t *testing.T) { report(t, programs[name]) })
			}
		})
	}
}

// checkKnobs makes sure that no knob of the object escapes.
func checkKnobs(t *testing.T) {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpec(object)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range spec.Variables {
		turned := slices.ContainsFunc(configurations, func(c configuration) bool { return c.knobs[name] != 0 })
		if v.Constant() && !turned && !slices.Contains(numbers, name) {
			t.Errorf("the knob %s is turned in no configuration", name)
		}
	}
}

// load loads the object in a configuration.
func (c configuration) load(t *testing.T) map[string]*ebpf.Program {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpec(object)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range c.knobs {
		if err := setKnob(spec.Variables[name], value); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for _, p := range spec.Programs {
		p.Flags |= c.flags
		if c.attach != 0 {
			p.AttachType = c.attach
		}
	}
	loaded, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats},
	})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(loaded.Close)
	return loaded.Programs
}

// setKnob sets v, of whatever width, to value.
func setKnob(v *ebpf.VariableSpec, value uint64) error {
	switch v.Size() {
	case 1:
		return v.Set(uint8(value))
	case 2:
		return v.Set(uint16(value))
	case 4:
		return v.Set(uint32(value))
	case 8:
		return v.Set(value)
	}
	return fmt.Errorf("%d bytes: no integer", v.Size())
}

var verificationTime = regexp.MustCompile(`verification time (\d+) usec`)

// report makes the costs of a loaded program attributes of the test.
func report(t *testing.T, p *ebpf.Program) {
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	instructions, err := info.Instructions()
	if err != nil {
		t.Fatal(err)
	}
	verified, ok := info.VerifiedInstructions()
	if !ok {
		t.Fatal("the kernel does not tell how many instructions it has verified")
	}
	match := verificationTime.FindStringSubmatch(p.VerifierLog)
	if match == nil {
		t.Fatalf("no time in the verifier's log:\n%s", p.VerifierLog)
	}
	t.Attr("program", info.Name)
	t.Attr("instructions", strconv.Itoa(len(instructions)))
	t.Attr("verified", strconv.FormatUint(uint64(verified), 10))
	t.Attr("verifier_us", match[1])
}
