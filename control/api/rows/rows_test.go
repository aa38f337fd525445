package rows

import (
	"testing"

	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func TestSessionLineIsSafeToPrint(t *testing.T) {
	got := SessionLine(&lnsv1.SessionInfo{Sid: 3, TunnelId: 7, User: "a\x1bb", UserVerified: true, Lac: "192.0.2.1:1701"})
	want := `      3     7 a\x1bb                           0.0.0.0         N N N N             0            0            0       0          0 192.0.2.1`
	if got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
}
