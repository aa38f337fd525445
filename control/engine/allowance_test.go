package engine

import "testing"

func TestAllowance(t *testing.T) {
	var a allowance
	a.hear(60)
	if !a.say(200) {
		t.Error("the first answer, longer than allowed, was withheld")
	}
	if a.say(1) {
		t.Error("a second answer was sent beyond the allowance")
	}
	a.hear(60) // 360 may be sent now
	if a.say(161) || !a.say(160) || a.say(1) {
		t.Error("the peer's repetition did not buy exactly what it should")
	}
}
