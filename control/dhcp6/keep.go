package dhcp6

import (
	"net/netip"
	"slices"
	"time"
)

// extend answers Renew and Rebind (RFC 8415 sections 18.3.4 and 18.3.5): leases that
// are the session's live on, what is not is told to be over.
func (s *Server) extend(now time.Time, m *message, b []byte) []byte {
	for i := range m.ias {
		a := &m.ias[i]
		leases := s.owned(m, a)
		if len(leases) == 0 {
			leases = s.recognise(m, a)
		}
		if len(leases) == 0 {
			b = s.unknown(b, m, a)
			continue
		}
		for _, l := range leases {
			l.until = now.Add(s.cfg.Valid).Unix()
		}
		gone := slices.DeleteFunc(slices.Clone(a.leases), func(p netip.Prefix) bool {
			return p.Addr().IsUnspecified() || slices.ContainsFunc(leases, func(l *lease) bool { return l.prefix == p })
		})
		b = s.appendIA(b, m, a, leases, gone)
	}
	return b
}

// unknown appends an identity association that has no leases here. Nobody else
// gives out addresses on this link, so its addresses are surely wrong (RFC 8415
// section 18.3.5); NoBinding makes the client ask anew.
func (s *Server) unknown(b []byte, m *message, a *ia) []byte {
	if m.kind == typeRebind && len(a.leases) > 0 {
		return s.appendIA(b, m, a, nil, a.leases)
	}
	b, at := openIA(b, a, 0, 0)
	return shut(appendStatus(b, statusNoBinding, "no binding"), at)
}

// recognise binds anew what a client says it has, when it is the session's and
// nobody else's: so leases outlive the server's memory.
func (s *Server) recognise(m *message, a *ia) []*lease {
	var out []*lease
	for _, p := range a.leases {
		l := s.find(a.option, p)
		if l == nil || l.declined || l.bound && string(m.client) == string(s.client) {
			continue
		}
		out = append(out, l)
	}
	if len(out) == 0 {
		return nil
	}
	s.adopt(m.client)
	for _, l := range out {
		l.bound, l.iaid = true, a.id
	}
	return out
}

// find returns the lease of a prefix; an address of the link that was made up
// before this server began becomes one.
func (s *Server) find(option uint16, p netip.Prefix) *lease {
	for _, l := range s.leases {
		if l.option == option && l.prefix == p {
			return l
		}
	}
	if option != optIANA || len(s.grant.Addresses) > 0 || len(s.leases) >= madeUp+len(s.grant.Delegated) {
		return nil
	}
	for _, n := range s.grant.Link {
		if n.Bits() == 64 && n.Contains(p.Addr()) {
			return s.addAddress(p.Addr())[0]
		}
	}
	return nil
}

// confirm tells whether the client's addresses are right for this link (RFC 8415
// section 18.3.3); without any there is nothing to tell.
func (s *Server) confirm(m *message) []byte {
	named := false
	for i := range m.ias {
		for _, p := range m.ias[i].leases {
			if m.ias[i].option == optIAPD {
				continue
			}
			named = true
			if !s.onLink(p.Addr()) {
				return appendStatus(s.reply(m, typeReply), statusNotOnLink, "not on link")
			}
		}
	}
	if !named {
		return nil
	}
	return s.others(m, appendStatus(s.reply(m, typeReply), statusSuccess, "on link"))
}

func (s *Server) onLink(a netip.Addr) bool {
	return slices.Contains(s.grant.Addresses, a) ||
		slices.ContainsFunc(s.grant.Link, func(p netip.Prefix) bool { return p.Contains(a) })
}

// giveBack answers Release and Decline (RFC 8415 sections 18.3.7 and 18.3.8). An
// address that was declined is not given out again in this session.
func (s *Server) giveBack(m *message) []byte {
	b := appendStatus(s.reply(m, typeReply), statusSuccess, "done")
	for i := range m.ias {
		a := &m.ias[i]
		owned := s.owned(m, a)
		for _, l := range owned {
			if !slices.Contains(a.leases, l.prefix) {
				continue
			}
			l.bound = false
			l.declined = l.declined || m.kind == typeDecline && l.option == optIANA
		}
		if len(owned) == 0 {
			var at int
			b, at = openIA(b, a, 0, 0)
			b = shut(appendStatus(b, statusNoBinding, "no binding"), at)
		}
	}
	return b
}
