package sim

import (
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

func TestTwoSubscribersComeAndGo(t *testing.T) {
	w := New(t, SeedFromEnv(t, 1), Options{Network: Network{Delay: 5 * time.Millisecond}})
	w.CheckEvery = 1
	tun := w.LAC("198.51.100.1:1701", "lac1", Secret).Open()
	w.Until(time.Second, "tunnel up", func() bool { return tun.Up })
	a, b := tun.Dial("alice", "pw-alice"), tun.Dial("bob", "pw-bob")
	w.Until(time.Second, "both up", func() bool { return a.Up && b.Up && w.Acct.Starts == 2 })
	if a.Address == b.Address || !a.Address.IsValid() {
		t.Fatalf("addresses %v and %v", a.Address, b.Address)
	}
	w.Forward.Pass(a.Address, 3, 5)
	a.Quit()
	w.Until(time.Second, "alice down", func() bool { return a.Down && len(w.Acct.Stops) == 1 })
	stop := w.Acct.Stops[0]
	if stop.Cause != session.CauseUserRequest || stop.User != "alice" || stop.Counters.UpPackets != 3 || stop.Counters.DownPackets != 5 {
		t.Errorf("stop %+v", stop)
	}
	tun.Close()
	w.Until(time.Second, "bob down", func() bool { return len(w.Acct.Stops) == 2 })
	if got := w.Acct.Stops[1].Cause; got != session.CauseLostService {
		t.Errorf("cause of bob's stop: %d", got)
	}
	w.Run(settleTime)
	w.CheckEnd()
}
