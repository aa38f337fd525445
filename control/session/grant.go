package session

import (
	"net/netip"
	"time"
)

// grant is what a session keeps of the answer to its AuthRequest.
type grant struct {
	Profile granted
	words   *words // for the peer, until it has heard them
}

// words are the texts of an AuthResult.
type words struct{ message, success string }

// granted is what a session keeps of its Profile, field by field: the claim has its
// address, and what hardly anybody is granted takes little room.
type granted struct {
	SessionTimeout, IdleTimeout, InterimInterval time.Duration
	IPv6                                         *Profile6
	Services                                     *Services
	Class                                        [][]byte
	CUI                                          []byte
	User                                         string
	Routes                                       []netip.Prefix
	Pairs                                        []Pair
	Local                                        bool
	Origins                                      *Origins
	servers                                      *servers // nil for none
}

// servers are name servers.
type servers struct{ DNS, NBNS [2]netip.Addr }

func newGrant(r *AuthResult) *grant {
	p := &r.Profile
	g := &grant{Profile: granted{
		SessionTimeout: p.SessionTimeout, IdleTimeout: p.IdleTimeout, InterimInterval: p.InterimInterval,
		IPv6: p.IPv6, Services: p.Services, Class: p.Class, CUI: p.CUI, User: p.User,
		Routes: p.Routes, Pairs: p.Pairs, Local: p.Local, Origins: p.Origins,
	}}
	if n := (servers{p.DNS, p.NBNS}); n != (servers{}) {
		g.Profile.servers = &n
	}
	if r.Message != "" || r.MSCHAPSuccess != "" {
		g.words = &words{r.Message, r.MSCHAPSuccess}
	}
	return g
}

func (p *granted) names() servers {
	if p.servers == nil {
		return servers{}
	}
	return *p.servers
}

// takeMessage returns the text for the peer, once.
func (g *grant) takeMessage(m AuthMethod) string {
	w := g.words
	g.words = nil
	switch {
	case w == nil:
		return ""
	case m == AuthMSCHAPv2:
		return w.success
	}
	return w.message
}

// profile is what newGrant was made from, but for what a session does not keep.
func (g *grant) profile() Profile {
	p, n := &g.Profile, g.Profile.names()
	return Profile{
		SessionTimeout: p.SessionTimeout, IdleTimeout: p.IdleTimeout, InterimInterval: p.InterimInterval,
		IPv6: p.IPv6, Services: p.Services, Class: p.Class, CUI: p.CUI, User: p.User,
		Routes: p.Routes, Pairs: p.Pairs, Local: p.Local, Origins: p.Origins, DNS: n.DNS, NBNS: n.NBNS,
	}
}
