package policy

import (
	"net/netip"
	"strings"
	"sync"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"github.com/lnsd/lnsd/control/session"
)

// maxShared bounds the lists of origins that are shared. There are as many as there are
// kinds of answers; a server that varies them more costs its sessions a list each.
const maxShared = 1024

// origins shares equal lists: a million sessions have a handful of kinds of answers.
type origins struct {
	mu     sync.Mutex
	shared map[string]*session.Origins
}

func (o *origins) share(list session.Origins) *session.Origins {
	if len(list) == 0 {
		return nil
	}
	key := list.Key()
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.shared[key]; s != nil {
		return s
	}
	if o.shared == nil {
		o.shared = map[string]*session.Origins{}
	}
	if len(o.shared) < maxShared {
		o.shared[key] = &list
	}
	return &list
}

// granted is what may differ before and after an attribute.
type granted struct {
	sessionTimeout, idleTimeout, interim any
	up, down                             any
	filterUp, filterDown, garden         any
	address                              netip.Addr
	pool, user                           string
	routes                               int
	dns, nbns                            [2]netip.Addr
}

func (d *decoder) granted() granted {
	c, p := &d.live, &d.fixed
	return granted{
		sessionTimeout: c.SessionTimeout, idleTimeout: c.IdleTimeout, interim: c.InterimInterval, up: c.Up, down: c.Down,
		filterUp: c.FilterUp, filterDown: c.FilterDown, garden: c.Garden,
		address: p.Address, pool: p.Pool, user: p.User, routes: len(d.routes), dns: p.DNS, nbns: p.NBNS,
	}
}

// note writes down what an attribute has granted.
func (d *decoder) note(a Attribute, was granted) {
	is, name := d.granted(), "RADIUS "+a.title()
	for _, f := range [...]struct {
		name    string
		changed bool
	}{
		{"session_timeout", was.sessionTimeout != is.sessionTimeout}, {"idle_timeout", was.idleTimeout != is.idleTimeout},
		{"radius_interim", was.interim != is.interim}, {"rate_up", was.up != is.up}, {"rate_down", was.down != is.down},
		{"filter_up", was.filterUp != is.filterUp}, {"filter_down", was.filterDown != is.filterDown}, {"garden", was.garden != is.garden},
		{"address", was.address != is.address}, {"pool", was.pool != is.pool}, {"user", was.user != is.user},
		{"routes", was.routes != is.routes}, {"primary_dns", was.dns[0] != is.dns[0]}, {"secondary_dns", was.dns[1] != is.dns[1]},
		{"primary_nbns", was.nbns[0] != is.nbns[0]}, {"secondary_nbns", was.nbns[1] != is.nbns[1]},
	} {
		if f.changed {
			d.origins = append(d.origins, session.Origin{Name: f.name, Source: name})
		}
	}
}

// title is the attribute's name in the RFCs where it has one, with its number.
func (a Attribute) title() string {
	names := map[radius.Type]string{
		rfc2865.UserName_Type: "User-Name", rfc2865.FramedIPAddress_Type: "Framed-IP-Address", rfc2865.FramedRoute_Type: "Framed-Route",
		rfc2865.FramedIPNetmask_Type: "Framed-IP-Netmask", rfc2865.FilterID_Type: "Filter-Id",
		rfc2865.SessionTimeout_Type: "Session-Timeout", rfc2865.IdleTimeout_Type: "Idle-Timeout",
		rfc2869.AcctInterimInterval_Type: "Acct-Interim-Interval", rfc2869.FramedPool_Type: "Framed-Pool",
	}
	name := names[radius.Type(a.Type)]
	switch {
	case a == ciscoAVPair || a.Pair != "":
		return strings.TrimSpace("Cisco-AVPair " + a.Pair)
	case a.Vendor != 0 || name == "":
		return "attribute " + a.String()
	}
	return name
}
