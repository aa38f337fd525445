package lac

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b bytes.Buffer
	r.writeSetup(&b)
	r.writeFailures(&b)
	if r.Traffic != nil {
		r.Traffic.write(&b)
	}
	r.writeTeardown(&b)
	r.writeControl(&b)
	fmt.Fprintf(&b, "Ran for %s with %s of processor time here\n", short(r.Duration), short(r.CPU))
	if r.Interrupted {
		fmt.Fprintln(&b, "Interrupted before the end.")
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (r *Report) writeSetup(b *bytes.Buffer) {
	fmt.Fprintf(b, "Tunnels   %s of %s up%s\n", group(r.Tunnels.Up), group(r.Tunnels.Wanted),
		notes(note{r.Tunnels.Failed, "failed"}, note{r.Tunnels.Lost, "lost"}))
	fmt.Fprintf(b, "Sessions  %s of %s up%s", group(r.Sessions.Up), group(r.Sessions.Wanted),
		notes(note{r.Sessions.Failed, "failed"}, note{r.Sessions.Lost, "lost"}, note{r.Sessions.Unstarted, "not finished"}))
	if r.Setup.Rate > 0 {
		fmt.Fprintf(b, " in %s: %s sessions/s", short(r.Setup.Duration), group(int(r.Setup.Rate+0.5)))
	}
	b.WriteString("\n")
	if r.Setup.Tunnel.Count > 0 {
		writeLatencies(b, "Set-up", []namedLatency{
			{"tunnel", r.Setup.Tunnel}, {"call", r.Setup.Call}, {"ppp", r.Setup.PPP}, {"session", r.Setup.Session},
		})
	}
}

func (r *Report) writeFailures(b *bytes.Buffer) {
	if len(r.Failures) == 0 {
		return
	}
	b.WriteString("Failures\n")
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, f := range r.Failures {
		text := f.Meaning
		if f.Code != 0 {
			text = fmt.Sprintf("%d/%d %s", f.Code, f.Error, f.Meaning)
		}
		if f.Message != "" {
			text = strings.TrimSpace(fmt.Sprintf("%s %q", text, f.Message))
		}
		fmt.Fprintln(t, strings.TrimRight(fmt.Sprintf("  %s\t%s\t%s\t%s", group(f.Count), f.Stage, f.Cause, text), "\t"))
	}
	_ = t.Flush() // to memory
}

func (t *TrafficReport) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "Traffic   %s packets sent in %s: %s/s, %s\n", group(t.Sent), short(t.Duration),
		group(uint64(t.SendRate+0.5)), bitRate(t.SentBytes, t.Duration))
	if t.oneWay {
		return
	}
	fmt.Fprintf(b, "  %s came back: %s/s, %s\n", group(t.Received),
		group(uint64(t.ReceiveRate+0.5)), bitRate(t.ReceivedBytes, t.Duration))
	fmt.Fprintf(b, "  %s lost (%.4g %%), %s duplicated, %s reordered, %s late, %s misdelivered\n",
		group(t.Lost), 100*t.LossFraction, group(t.Duplicated), group(t.Reordered), group(t.Late), group(t.Misdelivered))
	if t.verify {
		b.WriteString("  wrong: " + counts(t.Wrong) + "\n")
	}
	if len(t.ICMPErrors) > 0 {
		b.WriteString("  ICMP errors (type/code): " + counts(t.ICMPErrors) + "\n")
	}
	if t.Behind > 0 {
		fmt.Fprintf(b, "  %s packets were not sent: this machine could not keep up\n", group(t.Behind))
	}
	if t.Latency.Count > 0 {
		writeLatencies(b, "Echo", []namedLatency{{"round trip", t.Latency}})
	}
}

func (r *Report) writeTeardown(b *bytes.Buffer) {
	t := r.Teardown
	if t.Duration == 0 {
		return
	}
	fmt.Fprintf(b, "Teardown  by %s: %s sessions%s, %s tunnels%s in %s\n", t.Mode,
		group(t.Sessions), notes(note{t.UnansweredSessions, "unanswered"}),
		group(t.Tunnels), notes(note{t.UnansweredTunnels, "unanswered"}), short(t.Duration))
}

func (r *Report) writeControl(b *bytes.Buffer) {
	c := r.Control
	fmt.Fprintf(b, "Control   %s messages sent, %s received, %s retransmitted, %s duplicate\n",
		group(c.MessagesSent), group(c.MessagesReceived), group(c.Retransmits), group(c.Duplicates))
	if c.ReceiveDropped > 0 {
		fmt.Fprintf(b, "  %s datagrams were lost on this machine: it can't keep up, the figures are not the LNS's\n",
			group(c.ReceiveDropped))
	}
}

type namedLatency struct {
	name string
	Latency
}

func writeLatencies(b *bytes.Buffer, title string, list []namedLatency) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s\tp50\tp90\tp99\tmax\t\n", title)
	for _, l := range list {
		if l.Count > 0 {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t\n", l.name, short(l.P50), short(l.P90), short(l.P99), short(l.Max))
		}
	}
	_ = t.Flush() // to memory
}

// short writes a duration with three digits.
func short(s Seconds) string {
	d := time.Duration(s)
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Round(time.Microsecond).Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", d.Seconds()*1000)
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s"
}

// group writes a number with commas between thousands.
func group[T int | uint64](n T) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

type note struct {
	n    int
	word string
}

// notes lists what is not 0 in parentheses.
func notes(list ...note) string {
	var words []string
	for _, n := range list {
		if n.n > 0 {
			words = append(words, group(n.n)+" "+n.word)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// counts lists a map in the order of its keys.
func counts(m map[string]uint64) string {
	if len(m) == 0 {
		return "none"
	}
	var words []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		words = append(words, fmt.Sprintf("%s %s", group(m[k]), k))
	}
	return strings.Join(words, ", ")
}

func bitRate(bytes uint64, d Seconds) string {
	if d <= 0 {
		return "0 Mbit/s"
	}
	return fmt.Sprintf("%.4g Mbit/s", float64(bytes)*8/time.Duration(d).Seconds()/1e6)
}
