package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/lnsd/lnsd/test/netlab"
)

// subscriberGot is what the subscriber's device has counted as received, in bytes of IP.
func (r *rig) subscriberGot(device string) uint64 {
	r.t.Helper()
	out, err := r.lab.LAC.Output(context.Background(), "cat", "/proc/net/dev")
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		if name, counters, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && name == device {
			n, err := strconv.ParseUint(strings.Fields(counters)[0], 10, 64)
			if err != nil {
				r.t.Fatal(err)
			}
			return n
		}
	}
	r.t.Fatalf("no %s in %s", device, out)
	return 0
}

// What a CoA or an operator says of a rate is what passes from then on; and what is
// dropped for it is in no account: the subscriber is billed for what it got, to the byte.
func TestThrottleChanges(t *testing.T) {
	const size, seconds = 1372, 2
	r := newLab(t)
	r.writeConfig(options{config: "set throttle_speed 2000\n" + r.freeradius(anyUser) +
		fmt.Sprintf("dae_client billing address %s secret %q intercept no\n", netlab.LACAddr, daeSecret)})
	r.startLNSD()
	r.lacsim("--sessions", "1", "--hold", "forever", "--tun", "sub0")
	r.waitUp(1)
	r.routeSubscriber("sub0")
	user := r.granted("user1").User
	// A flood of 12 Mbit/s to the subscriber, of which the rate passes; 0 is no limit.
	passes := func(what string, bits float64) {
		t.Helper()
		retried(t, func() error {
			report, err := r.iperf3(false, seconds, "-u", "-b", "12M", "-l", strconv.Itoa(size))
			if err != nil {
				return err
			}
			// A busy machine spoils seconds, which are close enough all the same to
			// tell one rate from another.
			got, want := report.End.Received.Bits, bits*size/(size+28)
			if enough := bits == 0 && got > 6e6; !enough && (got < 0.75*want || got > 1.25*want) {
				return fmt.Errorf("%s: %.0f bit/s, want %.0f", what, got, want)
			}
			return nil
		})
	}
	passes("throttle_speed", 2e6)
	out := r.radclient(r.lab.LAC, "coa", daeSecret, "User-Name = "+user, "WISPr-Bandwidth-Max-Down = 5000000")
	if !strings.Contains(out, "Received CoA-ACK") {
		t.Fatalf("radclient printed:\n%s", out)
	}
	passes("after the CoA", 5e6)
	r.ctl("throttle", user, "out", "1M")
	passes("after lnsctl throttle", 1e6)
	r.ctl("no", "throttle", user)
	passes("after lnsctl no throttle", 0) // more than any rate there was
	r.ctl("throttle", user, "out", "3M")
	passes("throttled again", 3e6)

	var shown []struct {
		User        string `json:"user"`
		RateUp      uint64 `json:"rate_up"`
		RateDown    uint64 `json:"rate_down"`
		DownBytes   uint64 `json:"down_bytes"`
		DownDropped uint64 `json:"down_dropped"`
	}
	r.ctlJSON(&shown, "show", "throttle")
	got := r.subscriberGot("sub0")
	if len(shown) != 1 || shown[0].User != user || shown[0].RateUp != 0 || shown[0].RateDown != 3_000_000 ||
		shown[0].DownBytes != got || shown[0].DownDropped < 1000 {
		t.Errorf("show throttle: %+v; the subscriber got %d bytes", shown, got)
	}
	r.ctl("drop", "user", user)
	stop := r.bills(1)[user]
	if stop["Acct-Output-Octets"] != strconv.FormatUint(got, 10) {
		t.Errorf("billed for %s bytes, the subscriber got %d", stop["Acct-Output-Octets"], got)
	}
}
