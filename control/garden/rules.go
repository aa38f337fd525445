package garden

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// tableName is that of the one table that is ours.
const tableName = "lnsd"

func table() *nftables.Table {
	return &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet}
}

// Chains that packets come to by themselves. nat decides once for each connection.
const (
	chainNAT     = "prerouting"
	chainForward = "forward"
	chainInput   = "input"
)

// Chains of a garden. Those of the user are empty until its build-garden fills them;
// they are tried first.
func natChain(g string) string        { return "nat_" + g }
func upChain(g string) string         { return "up_" + g }
func downChain(g string) string       { return "down_" + g }
func inputChain(g string) string      { return "input_" + g }
func userNATChain(g string) string    { return "user_nat_" + g }
func userFilterChain(g string) string { return "user_filter_" + g }

func chainsOf(g string) []string {
	return []string{natChain(g), upChain(g), downChain(g), inputChain(g), userNATChain(g), userFilterChain(g)}
}

// Counters of a garden: connections that were redirected, packets that passed, and
// packets that did not.
func dnsCounter(g string) string      { return "dns_" + g }
func portalCounter(g string) string   { return "portal_" + g }
func upCounter(g string) string       { return "up_" + g }
func downCounter(g string) string     { return "down_" + g }
func upDropCounter(g string) string   { return "up_dropped_" + g }
func downDropCounter(g string) string { return "down_dropped_" + g }

func countersOf(g string) []string {
	return []string{dnsCounter(g), portalCounter(g), upCounter(g), downCounter(g), upDropCounter(g), downDropCounter(g)}
}

// Sets of a garden, by what is in them: single addresses and /64s are found at once,
// other prefixes by a search.
const (
	addresses4 = "addresses4_"
	prefixes4  = "prefixes4_"
	nets6      = "nets6_" // /64s, by their first address
	prefixes6  = "prefixes6_"
)

func setKinds() []string { return []string{addresses4, prefixes4, nets6, prefixes6} }

// makeSet describes a set of a garden.
func makeSet(kind, g string) *nftables.Set {
	s := &nftables.Set{Table: table(), Name: kind + g, KeyType: nftables.TypeIPAddr}
	if kind == nets6 || kind == prefixes6 {
		s.KeyType = nftables.TypeIP6Addr
	}
	s.Interval = kind == prefixes4 || kind == prefixes6
	return s
}

// ruler writes rules into a transaction.
type ruler struct {
	conn   *nftables.Conn
	device string
	portal uint16 // port, 0 for none
	own    []netip.Addr
	sets   map[string]*nftables.Set
}

func (r *ruler) add(chain string, e ...exprs) {
	var all exprs
	for _, part := range e {
		all = all.and(part...)
	}
	r.conn.AddRule(&nftables.Rule{Table: table(), Chain: &nftables.Chain{Name: chain, Table: table()}, Exprs: all})
}

// base makes the chains that the kernel comes to, without rules.
func (r *ruler) base() {
	for _, c := range []struct {
		name     string
		kind     nftables.ChainType
		hook     *nftables.ChainHook
		priority *nftables.ChainPriority
	}{
		{chainNAT, nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest},
		{chainForward, nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter},
		{chainInput, nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter},
	} {
		r.conn.AddChain(&nftables.Chain{Name: c.name, Table: table(), Type: c.kind, Hooknum: c.hook, Priority: c.priority})
		r.conn.FlushChain(&nftables.Chain{Name: c.name, Table: table()})
	}
	if r.portal != 0 {
		// Nobody but who is sent here sees the portal.
		r.add(chainInput, port(protoTCP, r.portal), notRedirected(), exprs{verdict(expr.VerdictDrop)})
	}
}

// garden makes the rules of one garden.
func (r *ruler) garden(g *Garden) {
	for _, name := range chainsOf(g.Name) {
		c := &nftables.Chain{Name: name, Table: table()}
		r.conn.AddChain(c)
		r.conn.FlushChain(c)
	}
	in, out := through(expr.MetaKeyIIFNAME, r.device), through(expr.MetaKeyOIFNAME, r.device)
	for _, from := range r.members(g.Name, sourceAt4, sourceAt6) {
		r.add(chainNAT, in, from, exprs{jump(natChain(g.Name))})
		r.add(chainForward, in, from, exprs{jump(upChain(g.Name))})
		r.add(chainInput, in, from, exprs{jump(inputChain(g.Name))})
	}
	for _, to := range r.members(g.Name, destAt4, destAt6) {
		r.add(chainForward, out, to, exprs{jump(downChain(g.Name))})
	}
	r.nat(g)
	r.filter(g)
}

// members matches packets whose address at an offset is in one of a garden's sets.
func (r *ruler) members(g string, at4, at6 uint32) []exprs {
	var all []exprs
	for _, kind := range setKinds() {
		set := r.sets[kind+g]
		match := version(nftables.TableFamilyIPv4).and(address(at4, bytes4, nil)...)
		switch kind {
		case nets6:
			match = version(nftables.TableFamilyIPv6).and(address(at6, bytes6, halfMask())...)
		case prefixes6:
			match = version(nftables.TableFamilyIPv6).and(address(at6, bytes6, nil)...)
		}
		all = append(all, match.and(lookup(set)))
	}
	return all
}

// halfMask keeps the first 64 bits of an IPv6 address.
func halfMask() []byte {
	mask := make([]byte, bytes6)
	for i := range bytes6 / 2 {
		mask[i] = 0xFF
	}
	return mask
}

func (r *ruler) nat(g *Garden) {
	chain := natChain(g.Name)
	r.add(chain, exprs{jump(userNATChain(g.Name))})
	for _, server := range g.DNS {
		for _, protocol := range []byte{protoUDP, protoTCP} {
			r.add(chain, version(familyOf(server.Is4())), port(protocol, 53), exprs{count(dnsCounter(g.Name))}, sendTo(server))
		}
	}
	if g.Portal == "" || r.portal == 0 {
		return
	}
	for _, a := range r.own {
		r.add(chain, version(familyOf(a.Is4())), port(protoTCP, 80), exprs{count(portalCounter(g.Name))},
			sendToPort(netip.AddrPortFrom(a, r.portal)))
	}
}

// filter lets pass what was redirected and what is allowed, the answers to both, and
// nothing else.
func (r *ruler) filter(g *Garden) {
	pass := func(counter string) exprs { return exprs{count(counter), verdict(expr.VerdictAccept)} }
	for _, chain := range []string{upChain(g.Name), inputChain(g.Name)} {
		r.add(chain, exprs{jump(userFilterChain(g.Name))})
		r.add(chain, conntrack(expr.CtKeySTATUS, ctStatusDNAT), pass(upCounter(g.Name)))
		for _, p := range g.Allow {
			r.add(chain, toPrefix(p), pass(upCounter(g.Name)))
		}
		r.add(chain, exprs{count(upDropCounter(g.Name)), verdict(expr.VerdictDrop)})
	}
	chain := downChain(g.Name)
	r.add(chain, exprs{jump(userFilterChain(g.Name))})
	r.add(chain, conntrack(expr.CtKeySTATUS, ctStatusDNAT), pass(downCounter(g.Name)))
	for _, p := range g.Allow {
		r.add(chain, fromPrefix(p), conntrack(expr.CtKeySTATE, ctStateOngoing), pass(downCounter(g.Name)))
	}
	r.add(chain, exprs{count(downDropCounter(g.Name)), verdict(expr.VerdictDrop)})
}
