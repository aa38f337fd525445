package sim

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// A list of 60,000 sessions whose reader reads nothing for a while keeps nobody waiting:
// messages are answered meanwhile and sessions come up. The first rows are there before
// the shards have looked at the rest.
func TestListingHoldsNobodyUp(t *testing.T) {
	sessions := 60_000
	if raceDetector || testing.Short() {
		sessions = 5_000
	}
	w := New(t, 1, Options{NoJournal: true, Pool: "10.0.0.0/15", MaxSessions: 1 << 17})
	w.CheckEvery = 0
	tunnels := make([]*Tunnel, 8)
	for i := range tunnels {
		tunnels[i] = w.open(fmt.Sprintf("198.51.100.%d:1701", i+1), "lac")
	}
	for n := 0; n < sessions; n += 200 {
		for i := range 200 {
			user := fmt.Sprintf("user%d", n+i)
			tunnels[i%len(tunnels)].Dial(user, "pw-"+user)
		}
		w.Until(time.Minute, "sessions up", func() bool { return w.Acct.Starts == n+200 })
		w.Logs.TakeAll()
	}

	first, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	rows, most := 0, 0
	go func() {
		done <- w.Engine.Sessions(context.Background(), func(vs []session.View) error {
			if rows == 0 {
				close(first)
				<-goOn
			}
			rows, most = rows+len(vs), max(most, len(vs))
			return nil
		})
	}()
	w.while(first)
	// Nobody reads. In virtual time a shard that waited would never answer.
	for i := range 8 {
		tun := w.open(netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 1701).String(), "another")
		w.up(tun, fmt.Sprintf("late%d", i))
	}
	select {
	case err := <-done:
		t.Fatalf("the list ended while nobody read it: %v", err)
	default:
	}
	close(goOn)
	ended := make(chan struct{})
	go func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
		close(ended)
	}()
	w.while(ended)
	if rows < sessions || rows > sessions+8 {
		t.Errorf("%d rows of %d sessions", rows, sessions)
	}
	if most > 512 {
		t.Errorf("a shard looked at %d sessions in one go", most)
	}
}

// while steps the shards until another goroutine is done.
func (w *World) while(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		default:
			w.settle()
			time.Sleep(20 * time.Microsecond)
		}
	}
}
