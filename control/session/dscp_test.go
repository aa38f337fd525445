package session

import "testing"

func TestOuterTOS(t *testing.T) {
	v4, v6 := []byte{0x45, 0xBB}, []byte{0x6B, 0xBA} // both EF, with ECN bits
	for _, c := range []struct {
		d    DSCP
		ip   []byte
		want byte
	}{
		{DSCP{}, v4, 0}, {DSCP{}, v6, 0}, {DSCP{Value: 46}, v6, 0xB8}, {DSCP{Value: 63}, v4, 0xFC},
		{DSCP{Copy: true}, v4, 0xB8}, {DSCP{Copy: true}, v6, 0xB8}, {DSCP{Copy: true, Value: 9}, []byte{0x45, 3}, 0},
	} {
		if got := c.d.TOS(c.ip); got != c.want {
			t.Errorf("%+v around % x: %#x, want %#x", c.d, c.ip, got, c.want)
		}
	}
}
