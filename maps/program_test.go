package maps

import "testing"

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
