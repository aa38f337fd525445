package maps

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// checkHook refuses what the verifier might let pass: another prototype, which calls
// would disagree with, and helpers that move the packet or don't come back, since the
// caller goes on with what it knows of the packet.
func checkHook(p *ebpf.ProgramSpec) error {
	if len(p.Instructions) == 0 || !rightPrototype(btf.FuncMetadata(&p.Instructions[0])) {
		return fmt.Errorf("%s is not int (struct xdp_md *, __u32, __u32, __u32), or was compiled without -g", p.Name)
	}
	refused := []asm.BuiltinFunc{asm.FnXdpAdjustHead, asm.FnXdpAdjustMeta, asm.FnXdpAdjustTail, asm.FnTailCall}
	for i := range p.Instructions {
		ins := &p.Instructions[i]
		if fn := asm.BuiltinFunc(ins.Constant); ins.IsBuiltinCall() && slices.Contains(refused, fn) {
			return fmt.Errorf("it calls %v, which moves the packet or leaves for good", fn)
		}
	}
	return nil
}

func rightPrototype(f *btf.Func) bool {
	if f == nil {
		return false
	}
	proto, ok := f.Type.(*btf.FuncProto)
	if !ok || len(proto.Params) != 4 || !isWord(proto.Return) {
		return false
	}
	ctx, ok := btf.UnderlyingType(proto.Params[0].Type).(*btf.Pointer)
	if !ok {
		return false
	}
	s, ok := btf.UnderlyingType(ctx.Target).(*btf.Struct)
	return ok && s.Name == "xdp_md" && !slices.ContainsFunc(proto.Params[1:], func(p btf.FuncParam) bool { return !isWord(p.Type) })
}

// isWord reports whether t is an integer of 32 bits.
func isWord(t btf.Type) bool {
	i, ok := btf.UnderlyingType(t).(*btf.Int)
	return ok && i.Size == 4
}

// linkHook puts a hook's function in the place of the empty one of its direction.
func linkHook(p *ebpf.ProgramSpec, d Direction, h *loadedHook) error {
	place := "lns_hook_" + d.String()
	from := slices.IndexFunc(p.Instructions, func(i asm.Instruction) bool { return i.Symbol() == place })
	if from < 0 {
		return errors.New("the program has no place for hooks")
	}
	until := len(p.Instructions)
	for i := from + 1; i < until; i++ {
		if p.Instructions[i].Symbol() != "" {
			until = i
		}
	}
	code, err := h.code(d, place)
	if err != nil {
		return err
	}
	p.Instructions = slices.Replace(p.Instructions, from, until, code...)
	return nil
}

// code is the hook's function under the name of the place, and what it calls under names
// that are nobody else's.
func (h *loadedHook) code(d Direction, place string) (asm.Instructions, error) {
	rename := func(name string) string {
		if name == h.function {
			return place
		}
		return place + "." + name
	}
	code := h.spec.Copy().Programs[h.function].Instructions
	for i := range code {
		ins := &code[i]
		if s := ins.Symbol(); s != "" {
			*ins = ins.WithSymbol(rename(s))
		}
		ref := ins.Reference()
		switch {
		case ref == "":
		case ins.IsLoadFromMap():
			one := h.maps[ref]
			if one == nil {
				return nil, fmt.Errorf("map %s of hook %s: not found", ref, d)
			}
			if err := ins.AssociateMap(one); err != nil {
				return nil, fmt.Errorf("map %s of hook %s: %w", ref, d, err)
			}
		case ins.IsFunctionReference():
			*ins = ins.WithReference(rename(ref))
		}
	}
	return code, nil
}
