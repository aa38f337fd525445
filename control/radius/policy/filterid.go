package policy

import "strings"

// filterID takes a Filter-Id, whose meaning is local (RFC 2865 section 5.11): the
// first pattern of the configuration that matches gives it. Without one that does,
//
//	NAME.in, NAME.out   an access list for what the subscriber sends, or receives, as
//	                    in l2tpns
//	RATE/RATE           rates down and up, as accel-ppp has them, in kbit/s
//	NAME                a rate profile of that name, or else an access list for both
//	                    directions
func filterID(d *decoder, s string) error {
	for i := range d.t.cfg.FilterIDs {
		f := &d.t.cfg.FilterIDs[i]
		m := f.Pattern.FindStringSubmatchIndex(s)
		if m == nil {
			continue
		}
		value := f.Pattern.ExpandString(nil, f.Value, s, m)
		return Rule{Target: f.Target, Unit: f.Unit}.apply(d, value)
	}
	if name, ok := strings.CutSuffix(s, ".in"); ok {
		d.live.FilterUp = &name
		return nil
	}
	if name, ok := strings.CutSuffix(s, ".out"); ok {
		d.live.FilterDown = &name
		return nil
	}
	if p, ok := d.t.profiles[s]; ok {
		d.setUp(p.Up)
		d.setDown(p.Down)
		return nil
	}
	if strings.Contains(s, "/") {
		return Rule{Target: RatesDownUp, Unit: Kbit}.apply(d, []byte(s))
	}
	return Rule{Target: Filter}.apply(d, []byte(s))
}
