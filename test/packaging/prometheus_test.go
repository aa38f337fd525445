package packaging

import (
	"os/exec"
	"testing"
)

// The alerts are valid, fire when they are meant to and not otherwise.
func TestAlertRules(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", "lnsd.rules.yml"}, {"test", "rules", "lnsd.rules.test.yml"}} {
		cmd := exec.Command("promtool", args...)
		cmd.Dir = dir + "/prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v\n%s", args, err, out)
		}
	}
}
