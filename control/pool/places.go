package pool

import "sync/atomic"

// Places says which ids of sessions are found fastest in the data plane: a tunnel's
// and a session's id together lead to a place, and one session can have it. It may be
// used from any goroutine. Whoever gets no place is found all the same.
type Places struct {
	n    uint32
	used []atomic.Uint64
}

// NewPlaces returns the places that a data plane for so many sessions has.
func NewPlaces(sessions uint32) *Places {
	n := sessions + sessions/8 + 1
	return &Places{n: n, used: make([]atomic.Uint64, (n+63)/64)}
}

// Place is where ids lead. Consecutive ids lead far from each other, so a tunnel's
// sessions are seldom in each other's way.
func (p *Places) Place(tunnelID, sessionID uint16) uint32 {
	mixed := (uint32(tunnelID)<<16 | uint32(sessionID)) * 0x9E3779B1
	return uint32(uint64(mixed) * uint64(p.n) >> 32)
}

// Claim takes the place of ids, or returns false when another has it.
func (p *Places) Claim(tunnelID, sessionID uint16) bool {
	place := p.Place(tunnelID, sessionID)
	bit := uint64(1) << (place % 64)
	return p.used[place/64].Or(bit)&bit == 0
}

// Release gives a place back that Claim has taken.
func (p *Places) Release(tunnelID, sessionID uint16) {
	place := p.Place(tunnelID, sessionID)
	p.used[place/64].And(^(uint64(1) << (place % 64)))
}
