package inside

import (
	"fmt"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Getenv("LNSD_GUEST") == "" {
		fmt.Println("skipped: run in virtual machines by make test-kernels")
		return
	}
	os.Exit(m.Run())
}
