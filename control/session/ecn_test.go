package session

import "testing"

// TestCombineECN is figure 4 of RFC 6040.
func TestCombineECN(t *testing.T) {
	const drop = 0xFF
	// By outer Not-ECT, ECT(1), ECT(0), CE.
	for inner, row := range map[byte][4]byte{
		ecnNotECT: {ecnNotECT, ecnNotECT, ecnNotECT, drop},
		ecnECT0:   {ecnECT0, ecnECT1, ecnECT0, ecnCE},
		ecnECT1:   {ecnECT1, ecnECT1, ecnECT1, ecnCE},
		ecnCE:     {ecnCE, ecnCE, ecnCE, ecnCE},
	} {
		for outer, want := range row {
			got, ok := CombineECN(0xB8|byte(outer), 0x28|inner)
			if ok != (want != drop) || ok && got != 0x28|want {
				t.Errorf("outer %d, inner %d: %#x %v, want %#x", outer, inner, got, ok, want)
			}
		}
	}
}
