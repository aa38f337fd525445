package inside

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// object is where the initramfs holds the compiled programs.
const object = "/lnsd/kernel_bpfel.o"

// knobValues are the values that each constant of the programs is loaded with:
// the ones between which the compiled code can differ. A knob that is a bool
// needs no entry.
var knobValues = map[string][]uint64{
	"outer_ttl": {1, 64, 255},
	"hairpin":   {0, 1, 2}, // allow, deny, core
}

// knob is a constant of the programs, set to a value.
type knob struct {
	name  string
	value uint64
}

// configuration is a value for every knob.
type configuration []knob

func (c configuration) String() string {
	var list []string
	for _, k := range c {
		list = append(list, fmt.Sprintf("%s=%d", k.name, k.value))
	}
	return strings.Join(list, ",")
}

// TestVerifier loads every program with every combination of knobs, and says
// what the verifier made of it. Programs and knobs are those of the object, so
// that no new one escapes.
func TestVerifier(t *testing.T) {
	spec, err := ebpf.LoadCollectionSpec(object)
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg := range configurations(t, spec) {
		t.Run(cfg.String(), func(t *testing.T) {
			programs := load(t, cfg)
			for _, name := range slices.Sorted(maps.Keys(programs)) {
				t.Run(name, func(t *testing.T) { report(t, programs[name]) })
			}
		})
	}
}

// configurations returns all combinations of the object's knobs.
func configurations(t *testing.T, spec *ebpf.CollectionSpec) []configuration {
	t.Helper()
	all := []configuration{nil}
	for _, name := range slices.Sorted(maps.Keys(spec.Variables)) {
		v := spec.Variables[name]
		if !v.Constant() {
			continue
		}
		values := knobValues[name]
		if b, ok := btf.UnderlyingType(v.Type.Type).(*btf.Int); ok && b.Encoding == btf.Bool {
			values = []uint64{0, 1}
		}
		if len(values) == 0 {
			t.Errorf("the knob %s has no values in knobValues", name)
			continue
		}
		var next []configuration
		for _, cfg := range all {
			for _, value := range values {
				next = append(next, append(slices.Clone(cfg), knob{name, value}))
			}
		}
		all = next
	}
	return all
}

// load loads the object with its knobs set.
func load(t *testing.T, cfg configuration) map[string]*ebpf.Program {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpec(object)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range cfg {
		if err := setKnob(spec.Variables[k.name], k.value); err != nil {
			t.Fatalf("%s: %v", k.name, err)
		}
	}
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats},
	})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(c.Close)
	return c.Programs
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
