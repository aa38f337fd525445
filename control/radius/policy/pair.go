package policy

import (
	"strings"

	"github.com/lnsd/lnsd/control/session"
)

// ciscoAVPair is Cisco-AVPair.
var ciscoAVPair = Attribute{Vendor: vendorCisco, Type: 1}

// pairs takes a Cisco-AVPair. All its pairs go into the profile, for the hooks; those
// that a row knows have their effect at once.
func (d *decoder) pairs(v []byte) error {
	list := parsePairs(text(v))
	if len(list) == 0 {
		return d.judge(ciscoAVPair, unused("no key=value"))
	}
	for _, p := range list {
		d.fixed.Pairs = append(d.fixed.Pairs, p)
		a := ciscoAVPair
		a.Pair = pairKey(p.Key)
		r, ok := d.t.rules[a]
		err := error(errUnknown)
		if ok {
			err = r.apply(d, []byte(p.Value))
		} else if a.Pair == "ip:vrf-id" || a.Pair == "ip:inacl" || a.Pair == "ip:outacl" {
			err = errPolicy
		}
		if err := d.judge(a, err); err != nil {
			return err
		}
	}
	return nil
}

// parsePairs reads l2tpns' grammar: pairs of key=value with commas between them. Cisco
// knows no commas, so that what follows one and has no "=" belongs to the value before
// it. Quotes around a value, and blanks around key and value, are taken away; Cisco's
// "*" for an optional pair stands for "=" too.
func parsePairs(text string) []session.Pair {
	var out []session.Pair
	for item := range strings.SplitSeq(text, ",") {
		i := strings.IndexAny(item, "=*")
		if i < 0 || strings.TrimSpace(item[:i]) == "" {
			if n := len(out); n > 0 {
				out[n-1].Value += "," + item
			}
			continue
		}
		out = append(out, session.Pair{Key: strings.TrimSpace(item[:i]), Value: item[i+1:]})
	}
	for i := range out {
		v := strings.TrimSpace(out[i].Value)
		if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
			v = v[1 : len(v)-1]
		}
		out[i].Value = v
	}
	return out
}

// pairKey is a key without "#N", which only keeps several apart, in lower case.
func pairKey(key string) string {
	if i := strings.LastIndexByte(key, '#'); i > 0 && strings.Trim(key[i+1:], "0123456789") == "" {
		key = key[:i]
	}
	return strings.ToLower(key)
}
