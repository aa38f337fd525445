package maps

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// TestProgramSize writes down what the program costs to check and to hold, so
// that growth is seen. The verifier's own limit is a million instructions; an
// older kernel walks more of them for the same program.
func TestProgramSize(t *testing.T) {
	w := newWorld(t)
	info, err := w.m.objs.LnsXdp.Info()
	w.must(err)
	instructions, err := info.Instructions()
	w.must(err)
	verified, _ := info.VerifiedInstructions()
	jited, err := info.JitedSize()
	w.must(err)
	t.Logf("%d instructions, %d bytes of machine code, %d instructions verified", len(instructions), jited, verified)
	if verified > 250_000 {
		t.Errorf("the verifier walked %d instructions", verified)
	}
}

// How a kernel bounds the stack. Linux 6.1 rounds each function's part up to 32 bytes.
const (
	stackMost  = 512
	stackRound = 32
)

// TestStack: by the rules of Linux 6.1, which are stricter than those of later ones,
// all chains of calls fit into the stack.
func TestStack(t *testing.T) {
	t.Parallel()
	newNetwork(t)
	spec := kernelSpec(t)
	if err := (Config{Sessions: 64, Routes: 16, IPv6: true, Outer6: true, PacketLimit: 1000}).apply(spec); err != nil {
		t.Fatal(err)
	}
	calls := callGraph(spec.Programs[kernelProgLnsXdp].Instructions)
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	match := regexp.MustCompile(`stack depth ([\d+]+)`).FindStringSubmatch(c.Programs[kernelProgLnsXdp].VerifierLog)
	if match == nil {
		t.Skip("this kernel's verifier does not tell the stack's depth")
	}
	info, err := c.Programs[kernelProgLnsXdp].Info()
	if err != nil {
		t.Fatal(err)
	}
	kept, err := info.Instructions() // less the functions that nobody can call
	if err != nil {
		t.Fatal(err)
	}
	depths, names := strings.Split(match[1], "+"), functions(kept)
	if len(depths) != len(names) {
		t.Fatalf("depths of %d functions, which are %v", len(depths), names)
	}
	depth := make(map[string]int)
	for i, name := range names {
		n, err := strconv.Atoi(depths[i])
		if err != nil {
			t.Fatal(err)
		}
		depth[name] = (max(n, 1) + stackRound - 1) / stackRound * stackRound
	}
	chain, sum := deepest(names[0], calls, depth)
	t.Logf("%d bytes: %s", sum, strings.Join(chain, " "))
	if sum > stackMost {
		t.Errorf("%d bytes of stack, of %d: %s", sum, stackMost, strings.Join(chain, " "))
	}
}

// functions are a program's, in their order.
func functions(program asm.Instructions) (names []string) {
	for i := range program {
		if f := btf.FuncMetadata(&program[i]); f != nil {
			names = append(names, f.Name)
		}
	}
	return names
}

// callGraph says whom each function of a program calls.
func callGraph(program asm.Instructions) map[string][]string {
	calls, at := make(map[string][]string), ""
	for i := range program {
		if f := btf.FuncMetadata(&program[i]); f != nil {
			at = f.Name
		}
		if program[i].IsFunctionCall() {
			calls[at] = append(calls[at], program[i].Reference())
		}
	}
	return calls
}

// deepest returns the chain of calls from name on that takes the most stack.
func deepest(name string, calls map[string][]string, depth map[string]int) (chain []string, sum int) {
	for _, callee := range calls[name] {
		if c, n := deepest(callee, calls, depth); n > sum {
			chain, sum = c, n
		}
	}
	return slices.Concat([]string{fmt.Sprintf("%s(%d)", name, depth[name])}, chain), sum + depth[name]
}
