package session

import "testing"

// A session that is granted no limit does not get the configured rate; one of which
// nothing is said does.
func TestConfiguredRate(t *testing.T) {
	usual := Rate{Bits: 10e6}
	none := Rate{Unlimited: true}
	for name, c := range map[string]struct{ granted, want *Services }{
		"nothing granted":    {nil, &Services{Up: usual, Down: usual}},
		"no word on rates":   {&Services{Garden: "g"}, &Services{Up: usual, Down: usual, Garden: "g"}},
		"no limit":           {&Services{Up: none, Down: none}, &Services{Up: none, Down: none}},
		"no limit one way":   {&Services{Down: none}, &Services{Down: none}},
		"a rate of its own":  {&Services{Up: Rate{Bits: 64e3}}, &Services{Up: Rate{Bits: 64e3}}},
		"a rate and no rate": {&Services{Up: Rate{Bits: 64e3}, Down: none}, &Services{Up: Rate{Bits: 64e3}, Down: none}},
	} {
		s := &Session{cfg: &Config{Throttle: usual}}
		g := s.throttled(&grant{Profile: granted{Services: c.granted}})
		if !sameServices(g.Profile.Services, c.want) {
			t.Errorf("%s: %+v, want %+v", name, g.Profile.Services, c.want)
		}
	}
	if none.Limited() || none.Open() || !(Rate{}).Open() || usual.Open() || RateOf(0, 5) != none {
		t.Error("what is no limit is told apart from what is not said")
	}
}
