package radius

import (
	"fmt"
	"path"
	"strings"

	"github.com/lnsd/lnsd/control/session"
)

// Realm says what is done with the names of one realm, or of several.
type Realm struct {
	// Pattern is the realm, as path.Match takes it, in any case; the first rule that
	// matches decides. "" is for names without a realm.
	Pattern string
	// Group is the server group that is asked and accounted to; "" is the first.
	Group string
	// Strip sends the name without the realm.
	Strip bool
	// Refuse rejects without asking anybody.
	Refuse bool
}

// name is a user name taken apart: user@realm, or REALM\user as Windows writes it. The
// last "@" counts, since a user may be an address of its own.
type name struct {
	user, realm string
	// suffix: the realm came behind an "@".
	suffix bool
}

func splitName(s string) name {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return name{s[:i], s[i+1:], true}
	}
	if realm, user, ok := strings.Cut(s, `\`); ok {
		return name{user: user, realm: realm}
	}
	return name{user: s}
}

// realms are the rules, in their order.
type realms struct {
	rules []Realm
	// byDefault is the realm of names without one.
	byDefault string
}

func newRealms(rules []Realm, byDefault string, groups map[string]*Client) (realms, error) {
	r := realms{byDefault: strings.ToLower(byDefault)}
	for _, rule := range rules {
		if _, err := path.Match(rule.Pattern, ""); err != nil {
			return r, fmt.Errorf("radius: realm %q is no pattern", rule.Pattern)
		}
		if groups[rule.Group] == nil {
			return r, fmt.Errorf("radius: realm %q: no server group %q", rule.Pattern, rule.Group)
		}
		rule.Pattern = strings.ToLower(rule.Pattern)
		r.rules = append(r.rules, rule)
	}
	return r, nil
}

// find returns the rule for a name; without one, names go to the first group as they
// are.
func (r *realms) find(n name) Realm {
	realm := strings.ToLower(n.realm)
	if realm == "" {
		realm = r.byDefault
	}
	for _, rule := range r.rules {
		if ok, _ := path.Match(rule.Pattern, realm); ok && (rule.Pattern == "") == (realm == "") {
			return rule
		}
	}
	return Realm{}
}

// sent is the name that the server is told.
//
// An MS-CHAPv2 response is made over the name that the subscriber gave, without a
// "REALM\" before it but with an "@realm" behind it (RFC 2759 section 8.2): stripped
// of that the server could not check it.
func (r Realm) sent(s string, n name, method session.AuthMethod) string {
	if !r.Strip || n.realm == "" || n.user == "" || method == session.AuthMSCHAPv2 && n.suffix {
		return s
	}
	return n.user
}
