package config

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// poolPrefix is where a prefix was given to which pool.
type poolPrefix struct {
	pool   string
	prefix netip.Prefix
	pos    Pos
}

// pool runs "pool NAME add PREFIX".
func (b *builder) pool(args []token) {
	name, err := named("pool name", maxString).parse(args[0].text)
	if err != nil {
		b.fail(b.at(args[0]), "", "NAME %v", err)
		return
	}
	p, err := parsePrefix(args[2].text)
	if err != nil {
		b.fail(b.at(args[2]), "", "PREFIX %v", err)
		return
	}
	b.addPrefix(name, p, b.at(args[2]))
}

// addPrefix gives a prefix to a pool. The same prefix twice in one pool is taken
// once, so that ip_pool and the running configuration may both name it.
func (b *builder) addPrefix(pool string, p netip.Prefix, pos Pos) {
	entry := poolPrefix{pool: pool, prefix: p}
	if b.given[entry] {
		return
	}
	b.given[entry] = true
	entry.pos = pos
	b.prefixes = append(b.prefixes, entry)
	i, ok := b.pools[pool]
	if !ok {
		i = len(b.c.Pools)
		b.pools[pool] = i
		b.c.Pools = append(b.c.Pools, Pool{Name: pool})
	}
	b.c.Pools[i].Prefixes = append(b.c.Pools[i].Prefixes, p)
}

// checkPools refuses prefixes that overlap: one address would go to two
// subscribers. Sorted, a prefix that holds others stands before them.
func (b *builder) checkPools() {
	sorted := slices.Clone(b.prefixes)
	slices.SortFunc(sorted, func(x, y poolPrefix) int {
		return cmp.Or(x.prefix.Addr().Compare(y.prefix.Addr()), cmp.Compare(x.prefix.Bits(), y.prefix.Bits()), b.order(x.pos, y.pos))
	})
	var outer poolPrefix
	for _, p := range sorted {
		if !outer.prefix.IsValid() || !outer.prefix.Overlaps(p.prefix) {
			outer = p
			continue
		}
		first, second := outer, p
		if b.order(second.pos, first.pos) < 0 {
			first, second = second, first
		}
		b.fail(second.pos, "", "%s overlaps %s of pool %s (%s)", second.prefix, first.prefix, first.pool, first.pos)
		if len(b.errs) >= maxFaults {
			return
		}
	}
}

// poolFile reads l2tpns' ip_pool: one address or prefix a line. A line of the form
// ADDRESS:PREFIX counts only where bind_address is ADDRESS, which lets several
// servers share one file.
func (b *builder) poolFile(file, text string) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		entry := strings.TrimSpace(line)
		if entry == "" || entry[0] == '#' || entry[0] == '!' {
			continue
		}
		b.poolLine(Pos{file, n, 1 + strings.Index(line, entry)}, entry)
		if len(b.errs) >= maxFaults {
			return
		}
	}
}

func (b *builder) poolLine(pos Pos, entry string) {
	if server, rest, ok := strings.Cut(entry, ":"); ok {
		a, err := netip.ParseAddr(server)
		if err != nil || !a.Is4() {
			b.fail(pos, "", "what stands before the colon must be an IPv4 address of a server")
			return
		}
		if a != b.c.L2TP.BindAddress {
			return
		}
		pos.Col += len(server) + 1
		entry = rest
	}
	p, err := parsePrefix(entry)
	if err != nil {
		b.fail(pos, "one address or prefix a line", "the entry %v", err)
		return
	}
	b.addPrefix(DefaultPool, p, pos)
}
