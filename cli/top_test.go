package cli

import (
	"context"
	"errors"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func TestMetric(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", 0.5: "0.50", 7: "7.00", 9.996: "10.0", 42: "42.0", 999.4: "999", 999.6: "1.00k", 1000: "1.00k", 1234: "1.23k",
		99_949: "99.9k", 1e6: "1.00M", 12.3e9: "12.3G", 4e12: "4.00T", 4e15: "4000T",
	} {
		if got := metric(x); got != want {
			t.Errorf("%v: %s, want %s", x, got, want)
		}
	}
}

func TestSparkline(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   string
	}{
		{nil, ""}, {[]float64{0, 0}, "▁▁"}, {[]float64{0, 1, 2, 4}, "▁▃▅█"}, {[]float64{5}, "█"},
	} {
		if got := sparkline(c.values); got != c.want {
			t.Errorf("%v: %s, want %s", c.values, got, c.want)
		}
	}
}

func someReply() *lnsv1.TopReply {
	r := &lnsv1.TopReply{
		Sessions: 5, SessionsUp: 4, Throttled: 1, Gardened: 1,
		Total: &lnsv1.TopRate{UpBits: 1.5e6, DownBits: 42e6, UpPackets: 1000, DownPackets: 5000, Drops: 3},
	}
	for i, user := range []string{"alice@example", "evil\x1b[2Jname-that-is-longer-than-its-column", "bob"} {
		r.Busiest = append(r.Busiest, &lnsv1.TopSession{
			Sid: uint32(i + 1), User: user, Address: "10.0.0.7", LacName: "lac-5",
			Rate: &lnsv1.TopRate{UpBits: 1e6 / float64(i+1), DownBits: 40e6 / float64(i+1), UpPackets: 10},
		})
	}
	r.Busiest[0].LimitDown = 50_000_000
	r.Busiest[2].Garden = "unpaid"
	return r
}

func TestTopText(t *testing.T) {
	h := &topHistory{}
	for i := range historyLength + 5 {
		h.add(&lnsv1.TopRate{UpBits: float64(i), DownBits: 1})
	}
	const want = `Sessions 5, 4 up   throttled 1   in a garden 1
Down   42.0Mbit/s      5.00k/s  ████████████████████████████████████████
Up    1.50Mbit/s      1.00k/s  ▁▂▂▂▂▂▃▃▃▃▃▃▄▄▄▄▄▅▅▅▅▅▅▆▆▆▆▆▆▇▇▇▇▇▇▇█████
Drops                   3.00/s   by down

    SID User                     Address                 Down          Up    Pkt/s   Drop/s    Limit  LAC
      1 alice@example            10.0.0.7          40.0Mbit/s  1.00Mbit/s     10.0        0  50.0M/-  lac-5
      2 evil\x1b[2Jname-that-is… 10.0.0.7          20.0Mbit/s   500kbit/s     10.0        0        -  lac-5`
	got := topText(someReply(), "down", 2, h)
	if strings.Count(got, "\n") != strings.Count(want, "\n") {
		t.Fatalf("got:\n%s\nwant:\n%s", got, want)
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range wantLines {
		if strings.HasPrefix(wantLines[i], "Up ") {
			if !strings.HasSuffix(gotLines[i], "█") || len([]rune(gotLines[i])) != len([]rune(gotLines[i-1])) {
				t.Errorf("sparkline: %s", gotLines[i])
			}
			continue
		}
		if gotLines[i] != wantLines[i] {
			t.Errorf("line %d:\n%s\nwant:\n%s", i, gotLines[i], wantLines[i])
		}
	}
}

// Keys change the order and stop the screen; what was under way in another order is
// not shown.
func TestTopKeys(t *testing.T) {
	var asked []string
	stopped := 0
	v := newTopView("total", 0)
	v.follow = func(order string) context.CancelFunc {
		asked = append(asked, order)
		return func() { stopped++ }
	}
	v.Init()
	press := func(k rune) tea.Cmd {
		_, cmd := v.Update(tea.KeyPressMsg{Code: k, Text: string(k)})
		return cmd
	}
	v.Update(tea.WindowSizeMsg{Width: 100, Height: 10})
	v.Update(topReply{"total", someReply()})
	if text := v.View().Content; !strings.Contains(text, "alice") || strings.Contains(text, "bob") || strings.Count(text, "\n") >= 10 {
		t.Errorf("ten lines:\n%s", text)
	}
	press('u')
	v.Update(topReply{"total", someReply()})
	if text := v.text(); strings.Contains(text, "alice") {
		t.Errorf("after a change of order:\n%s", text)
	}
	v.Update(topReply{"up", someReply()})
	press(' ')
	later := someReply()
	later.Busiest[0].User = "carol"
	v.Update(topReply{"up", later})
	if text := v.text(); !strings.Contains(text, "alice") || !strings.Contains(text, "PAUSED") {
		t.Errorf("paused:\n%s", text)
	}
	press(' ')
	v.Update(topReply{"up", later})
	if text := v.text(); !strings.Contains(text, "carol") {
		t.Errorf("going on:\n%s", text)
	}
	if strings.Join(asked, " ") != "total up" || stopped != 1 {
		t.Errorf("asked for %q, stopped %d", asked, stopped)
	}
	if cmd := press('q'); cmd == nil {
		t.Error("q does not end it")
	}
	if _, cmd := v.Update(topFailed{errors.New("gone")}); cmd == nil || v.err == nil {
		t.Error("an error does not end it")
	}
}
