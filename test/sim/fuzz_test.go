package sim

import (
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
)

// FuzzDatagrams gives the engine whatever a LAC that has lost its mind could
// send in an established tunnel: it must not panic, nor break an invariant, and
// in the end nothing may be left.
func FuzzDatagrams(f *testing.F) {
	f.Add([]byte{0, 4, 0xC0, 0x21, 5, 9}, byte(0))
	f.Add([]byte{0, 8, 0x80, 0x08, 0, 0, 0, 0, 0, 6}, byte(1))
	f.Fuzz(func(t *testing.T, script []byte, pace byte) {
		if len(script) <= 2048 {
			runScript(t, script, pace)
		}
	})
}

func runScript(t *testing.T, script []byte, pace byte) {
	w := New(t, 1, Options{Shards: 1, Network: quick, Pool: "10.0.0.0/28"})
	w.CheckEvery = 10
	tun := w.open("198.51.100.1:1701", "lac1")
	c := w.up(tun, "alice")
	ref := w.Forward.records[w.Forward.byAddr[c.Address]].Ref
	ns := tun.T.Stats().Ns
	// Each piece of the script: a byte that says what it is, its length,
	// itself.
	for len(script) >= 2 {
		kind, n := script[0], min(int(script[1]), len(script)-2)
		piece := script[2 : 2+n]
		script = script[2+n:]
		w.In.Packet(LNS, tun.lac.Addr, wrap(kind, piece, ref.TunnelID, ref.SessionID, &ns))
		w.Run(time.Duration(pace) * time.Millisecond)
	}
	w.Run(10 * time.Second)
	tun.lac.Dead = true
	w.Run(2 * settleTime)
	w.CheckEnd()
}

// wrap makes a datagram of a piece: raw, a PPP frame, or a control message with
// the numbers that are due.
func wrap(kind byte, piece []byte, tunnelID, sessionID uint16, ns *uint16) []byte {
	switch kind % 4 {
	case 0:
		b := l2tp.AppendDataHeader(nil, tunnelID, sessionID, kind&4 != 0, kind&8 != 0, uint16(kind), len(piece))
		return append(b, piece...)
	case 1, 2:
		if kind&16 != 0 {
			sessionID = 0
		}
		n := 12 + len(piece)
		b := []byte{0xC8, 0x02, byte(n >> 8), byte(n), byte(tunnelID >> 8), byte(tunnelID),
			byte(sessionID >> 8), byte(sessionID), byte(*ns >> 8), byte(*ns), 0, 2}
		*ns++
		return append(b, piece...)
	default:
		return piece
	}
}
