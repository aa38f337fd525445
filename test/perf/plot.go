package perf

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Sizes of the plot, in pixels: two panels side by side with room for the scale on
// the left of each and for the legend below.
const (
	panelWidth, panelHeight = 380, 300
	marginLeft, marginTop   = 60, 50
	gap                     = 80
	legendHeight            = 90
)

var colours = map[string]string{
	Plain: "#888888", Touch: "#bbbb00", Reference: "#1f77b4", LNSD: "#d62728", Linux: "#2ca02c", L2TPNS: "#9467bd", SlowPath: "#ff7f0e",
}

// WritePlot draws packets per second of the smallest packets over the number of
// sessions, a panel for each direction, as SVG. A bar from minimum to maximum goes
// through each median.
func (r *Report) WritePlot(out io.Writer) error {
	cells := r.cells()
	if len(cells) == 0 {
		return fmt.Errorf("nothing to plot")
	}
	size := cells[0].size
	var sessions []int
	top := 0.0
	for _, c := range cells {
		size = min(size, c.size)
	}
	for _, c := range cells {
		if c.size != size {
			continue
		}
		sessions = append(sessions, c.sessions)
		for _, name := range r.measured() {
			if s, ok := r.spread(name, c); ok {
				top = max(top, s.Max)
			}
		}
	}
	slices.Sort(sessions)
	p := &plot{report: r, size: size, sessions: slices.Compact(sessions), step: niceStep(top / 5)}
	p.top = p.step * math.Ceil(top/p.step)
	_, err := io.WriteString(out, p.draw())
	return err
}

type plot struct {
	report    *Report
	size      int
	sessions  []int
	top, step float64 // of the scale, packets per second
	w         strings.Builder
}

// niceStep is the least of 1, 2, 5 times a power of ten that is not below v.
func niceStep(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*unit >= v {
			return m * unit
		}
	}
	return 10 * unit
}

func (p *plot) draw() string {
	width := 2*(marginLeft+panelWidth) + gap
	height := marginTop + panelHeight + legendHeight
	fmt.Fprintf(&p.w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprintf(&p.w, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	for i, d := range []Direction{Up, Down} {
		p.panel(d, float64(marginLeft+i*(marginLeft+panelWidth+gap)))
	}
	p.legend(float64(marginTop + panelHeight + 60))
	p.w.WriteString("</svg>\n")
	return p.w.String()
}

func (p *plot) text(x, y float64, anchor, s string) {
	fmt.Fprintf(&p.w, `<text x="%.0f" y="%.0f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, s)
}

func (p *plot) line(x1, y1, x2, y2 float64, style string) {
	fmt.Fprintf(&p.w, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`+"\n", x1, y1, x2, y2, style)
}

// y is the height of a rate.
func (p *plot) y(pps float64) float64 {
	return marginTop + panelHeight*(1-pps/p.top)
}

// x is the place of the i-th number of sessions in a panel that begins at left.
func (p *plot) x(left float64, i int) float64 {
	return left + panelWidth*(float64(i)+0.5)/float64(len(p.sessions))
}

func (p *plot) panel(d Direction, left float64) {
	title := map[Direction]string{Up: "from the subscriber", Down: "to the subscriber"}[d]
	p.text(left+panelWidth/2, marginTop-20, "middle", fmt.Sprintf("%s, %d-byte packets", title, p.size))
	for v := 0.0; v <= p.top*1.001; v += p.step {
		p.line(left, p.y(v), left+panelWidth, p.y(v), `stroke="#dddddd"`)
		p.text(left-8, p.y(v)+4, "end", fmt.Sprintf("%g", math.Round(v/1e4)/100))
	}
	p.text(left-45, marginTop-20, "start", "Mpps")
	for i, n := range p.sessions {
		p.text(p.x(left, i), marginTop+panelHeight+18, "middle", thousands(n))
	}
	p.text(left+panelWidth/2, marginTop+panelHeight+36, "middle", "sessions")
	for _, name := range p.report.measured() {
		p.curve(name, d, left)
	}
}

// curve draws one forwarder. One that was measured at a single place is a point.
func (p *plot) curve(name string, d Direction, left float64) {
	var points []string
	stroke := fmt.Sprintf(`stroke="%s"`, colours[name])
	for i, n := range p.sessions {
		s, ok := p.report.spread(name, cell{direction: d, size: p.size, sessions: n})
		if !ok {
			continue
		}
		x := p.x(left, i)
		points = append(points, fmt.Sprintf("%.1f,%.1f", x, p.y(s.Median)))
		p.line(x, p.y(s.Min), x, p.y(s.Max), stroke+` stroke-width="2"`)
		fmt.Fprintf(&p.w, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"><title>%s, %s sessions: %s Mpps</title></circle>`+"\n",
			x, p.y(s.Median), colours[name], name, thousands(n), millions(s.Median))
	}
	fmt.Fprintf(&p.w, `<polyline points="%s" fill="none" %s stroke-width="1.5"/>`+"\n", strings.Join(points, " "), stroke)
}

func (p *plot) legend(y float64) {
	x := float64(marginLeft)
	for _, name := range p.report.measured() {
		fmt.Fprintf(&p.w, `<circle cx="%.0f" cy="%.0f" r="5" fill="%s"/>`+"\n", x, y, colours[name])
		p.text(x+10, y+4, "start", name)
		x += 110
	}
}
