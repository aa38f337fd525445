package shape

import "encoding/binary"

// Parts of the burst: a flow's room halves with each step of the credit, its share in
// each half-life, of which none is shorter than half a millisecond.
const (
	steps         = 16
	halfLives     = 8
	leastHalf     = 29
	newcomerShift = 8
	roomAll       = 1 << 30
	forgotten     = 8 // half-lives
)

// The table of flows: sets of places.
const (
	sets      = 16
	perSet    = 4
	stampMask = 1<<24 - 1
)

const (
	protocolTCP = 6
	protocolUDP = 17
)

// flows is what the flows of a session have had of the rate lately.
type flows struct {
	half   uint // a share halves in 1<<half ticks
	seed   uint64
	places [sets][perSet]place
}

// place is that of a flow.
type place struct {
	stamp, share uint32
	tag          uint8
	used         bool
}

// flowHash tells flows apart.
type flowHash uint64

func (h flowHash) tag() uint8 { return uint8(h >> 56) }

// shareOf turns ticks into a share.
func (f *flows) shareOf(ticks uint64) uint64 { return ticks >> (f.half - leastHalf) }

func saturated(share uint64) uint32 { return uint32(min(share, 1<<32-1)) }

// find returns the place of a flow, or the one that it gets: that of the flow which was
// silent for longest.
func (f *flows) find(h flowHash, stamp uint32) *place {
	set := &f.places[h%sets]
	best, oldest := 0, uint32(0)
	for i := range set {
		p := &set[i]
		if p.used && p.tag == h.tag() {
			return p
		}
		age := (stamp - p.stamp) & stampMask
		if !p.used {
			age = stampMask
		}
		if age >= oldest {
			best, oldest = i, age
		}
	}
	p := &set[best]
	p.used = false
	return p
}

// judge returns a flow's share at a time, and whether it has room for more.
func (f *flows) judge(p *place, stamp uint32, protocol uint8, room, newcomers uint64) (share uint64, fits bool) {
	if protocol == protocolTCP {
		room *= 2
	}
	passed := (stamp - p.stamp) & stampMask
	half := f.half - (stampShift + tickShift)
	halvings := passed >> half
	switch {
	case p.used && halvings < forgotten:
		share = uint64(p.share) >> halvings
		share -= share * uint64(passed&(1<<half-1)) >> (half + 1)
	case protocol == protocolUDP:
		if first := f.shareOf(newcomers); room > first {
			share = room - first
		}
	}
	return share, share <= room
}

// hash returns what tells the packet's flow apart, and its protocol.
func (f *flows) hash(b []byte) (flowHash, uint8) {
	var key [40]byte
	end, protocol, addresses := 20, 9, 12
	if len(b) > 0 && b[0]>>4 == 6 {
		end, protocol, addresses = 40, 6, 8
	}
	if len(b) < end {
		return 0, 0
	}
	n := copy(key[:], b[addresses:end])
	next := b[protocol]
	fragment := end == 20 && binary.BigEndian.Uint16(b[6:])&0x3FFF != 0
	if header := int(b[0]&15) * 4; end == 20 && header > 20 {
		end = header
	}
	if (next == protocolTCP || next == protocolUDP) && !fragment && len(b) >= end+4 {
		copy(key[n:], b[end:end+4])
	}
	hash := mix(f.seed, uint64(next))
	for i := 0; i < len(key); i += 8 {
		hash = mix(hash, binary.LittleEndian.Uint64(key[i:]))
	}
	return flowHash(hash), next
}

func mix(hash, word uint64) uint64 {
	hash = (hash ^ word) * 0x9E3779B97F4A7C15
	return hash ^ hash>>32
}
