package maps

// The layout of lns_blocks and lns_downlinks.
const (
	blockSize  = 256 // LNS_BLOCK
	firstPages = 256 // pages by the first byte of an address
)

// blocks lays out the addresses of the main routing table in lns_downlinks: a /24
// gets a block when the first of its addresses comes, as long as there are blocks.
type blocks struct {
	mapped[kernelLnsPage]
	owner []*uint32 // of each block: the entry that leads to it, nil for none
	pages int       // in use
	// free reports whether no place of a block is taken.
	free func(block int) bool
}

// open goes on with the tree that an earlier process has left, for as many places.
// What it can't have written is taken out.
func (b *blocks) open(places int) {
	b.owner = make([]*uint32, places/blockSize)
	b.pages = firstPages
	seen := make([]bool, len(b.values))
	for first := range firstPages {
		for second := range b.values[first].Entries {
			page := &b.values[first].Entries[second]
			switch {
			case *page == 0:
			case *page < firstPages || int(*page) >= len(b.values) || seen[*page]:
				*page = 0
			default:
				seen[*page] = true
				b.pages = max(b.pages, int(*page)+1)
			}
		}
	}
	for page := firstPages; page < len(b.values); page++ {
		for third := range b.values[page].Entries {
			block := &b.values[page].Entries[third]
			switch {
			case *block == 0:
			case !seen[page] || int(*block) > len(b.owner) || b.owner[*block-1] != nil:
				*block = 0
			default:
				b.owner[*block-1] = block
			}
		}
	}
}

// entry is where the block of addr's /24 is written, nil where there is no page.
func (b *blocks) entry(addr [4]byte) *uint32 {
	page := b.values[addr[0]].Entries[addr[1]]
	if page == 0 {
		return nil
	}
	return &b.values[page].Entries[addr[2]]
}

// lead tells where a host's path would be, false for nowhere.
func (b *blocks) lead(h kernelLnsHost) (uint32, bool) {
	if h.Vrf != 0 {
		return 0, false
	}
	entry := b.entry(h.Addr)
	if entry == nil || *entry == 0 {
		return 0, false
	}
	return (*entry-1)*blockSize + uint32(h.Addr[3]), true
}

// settle is lead that lays out a block where there is none.
func (b *blocks) settle(h kernelLnsHost) (uint32, bool) {
	if place, ok := b.lead(h); ok || h.Vrf != 0 {
		return place, ok
	}
	block, ok := b.spare()
	if !ok {
		return 0, false
	}
	entry := b.entry(h.Addr)
	if entry == nil {
		if b.pages == len(b.values) {
			return 0, false
		}
		b.values[h.Addr[0]].Entries[h.Addr[1]] = uint32(b.pages)
		b.pages++
		entry = b.entry(h.Addr)
	}
	b.owner[block] = entry
	*entry = uint32(block) + 1
	return b.lead(h)
}

// spare finds a block that no /24 has, or takes one away that nobody uses: a packet
// that is led there sees that it is not what it looks for.
func (b *blocks) spare() (int, bool) {
	idle := -1
	for i, owner := range b.owner {
		switch {
		case !b.free(i):
		case owner == nil:
			return i, true
		case idle < 0:
			idle = i
		}
	}
	if idle < 0 {
		return 0, false
	}
	*b.owner[idle] = 0
	return idle, true
}
