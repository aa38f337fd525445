package lac

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// ProgressWriter shows the progress of a run: on a terminal as a bar that is drawn
// over and over, otherwise as a plain line now and then.
type ProgressWriter struct {
	w        io.Writer
	terminal bool
	width    int

	last  time.Duration // when the last plain line was written
	phase Phase
	began bool
	// previous is what rates are the difference to.
	previous Progress
	drawn    int // columns of the bar on the screen
}

// plainInterval is how often a plain line is written.
const plainInterval = 2 * time.Second

// barCells is the length of the bar, in columns.
const barCells = 24

// NewProgressWriter writes to w, which is a terminal of width columns or not one.
func NewProgressWriter(w io.Writer, terminal bool, width int) *ProgressWriter {
	return &ProgressWriter{w: w, terminal: terminal, width: width}
}

// Show is a Config.Progress.
func (p *ProgressWriter) Show(now Progress) {
	changed := !p.began || now.Phase != p.phase
	if !p.terminal && !changed && now.Elapsed-p.last < plainInterval {
		return
	}
	line := p.line(now)
	p.began, p.phase, p.last, p.previous = true, now.Phase, now.Elapsed, now
	if now.Phase == PhaseDone {
		p.Clear()
		return
	}
	if !p.terminal {
		fmt.Fprintln(p.w, line)
		return
	}
	text := []rune(bar(now) + " " + line)
	if p.width > 1 && len(text) > p.width-1 {
		text = text[:p.width-1]
	}
	fmt.Fprintf(p.w, "\r%s%s", string(text), strings.Repeat(" ", max(p.drawn-len(text), 0)))
	p.drawn = len(text)
}

// Clear removes the bar, so that something else can be written.
func (p *ProgressWriter) Clear() {
	if p.drawn > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.drawn))
		p.drawn = 0
	}
}

func (p *ProgressWriter) line(now Progress) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%6.1fs %-8s %s tunnels, %s of %s sessions up", now.Elapsed.Seconds(), now.Phase,
		group(now.Tunnels), group(now.Sessions), group(now.Wanted))
	seconds := (now.Elapsed - p.previous.Elapsed).Seconds()
	switch now.Phase {
	case PhaseSetup:
		fmt.Fprintf(&b, ", %s pending", group(now.Pending))
		if more := now.Sessions - p.previous.Sessions; more > 0 && seconds > 0 {
			fmt.Fprintf(&b, ", %s/s", group(int(float64(more)/seconds)))
		}
	case PhaseTraffic:
		fmt.Fprintf(&b, ", %s sent, %s back", group(now.Sent), group(now.Received))
		if seconds > 0 && p.previous.Phase == PhaseTraffic {
			fmt.Fprintf(&b, ", %s/s", group(uint64(float64(now.Received-p.previous.Received)/seconds)))
		}
	}
	if now.Failed > 0 {
		fmt.Fprintf(&b, ", %s failed", group(now.Failed))
	}
	if now.Lost > 0 {
		fmt.Fprintf(&b, ", %s lost", group(now.Lost))
	}
	return b.String()
}

// bar draws the share of the sessions that are up, and that failed.
func bar(p Progress) string {
	if p.Wanted == 0 {
		return "[" + strings.Repeat(" ", barCells) + "]"
	}
	up := p.Sessions * barCells / p.Wanted
	bad := min((p.Failed+p.Lost)*barCells/p.Wanted, barCells-up)
	return "[" + strings.Repeat("█", up) + strings.Repeat("x", bad) + strings.Repeat("·", barCells-up-bad) + "]"
}
