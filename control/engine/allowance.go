package engine

// amplification is how many bytes a peer gets for each one of its own.
const amplification = 3

// allowance bounds what a peer is sent before its tunnel is established. Until then
// its address may be forged, and repeating the answer would make us a weapon against
// whoever has that address. A message that is withheld is like one lost on the way: a
// peer that is in earnest repeats its own, and is answered again.
type allowance struct{ heard, said int }

// hear counts a datagram of n bytes from the peer.
func (a *allowance) hear(n int) { a.heard += n }

// say reports whether a datagram of n bytes may be sent, and counts it if so. The
// first always may: it can be long only by the names in our own configuration.
func (a *allowance) say(n int) bool {
	if a.said > 0 && a.said+n > amplification*a.heard {
		return false
	}
	a.said += n
	return true
}
