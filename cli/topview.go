package cli

import (
	"context"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/lnsd/lnsd/control/api/lnsv1"
)

const (
	// maxScreenRows bounds what is asked for to fill a screen.
	maxScreenRows = 200
	// topHeadRows are the lines that are not sessions.
	topHeadRows = 8
	// historyLength is how many looks the sparklines tell of.
	historyLength = 40
)

// topReply is what was seen of the sessions in an order, topFailed the end.
type (
	topReply struct {
		order string
		reply *lnsv1.TopReply
	}
	topFailed struct{ err error }
)

// topView is the screen: a value that keys and replies change.
type topView struct {
	order   string
	rows    int // wanted; 0 is what fits
	height  int
	paused  bool
	last    *lnsv1.TopReply
	history topHistory
	err     error

	// follow begins to send replies in an order.
	follow func(order string) context.CancelFunc
	stop   context.CancelFunc
}

func newTopView(order string, rows int) *topView {
	return &topView{order: order, rows: rows, height: 24}
}

// Init begins to follow.
func (v *topView) Init() tea.Cmd {
	v.restart()
	return nil
}

func (v *topView) restart() {
	if v.stop != nil {
		v.stop()
	}
	v.stop = v.follow(v.order)
}

// Update takes a key or a reply.
func (v *topView) Update(m tea.Msg) (tea.Model, tea.Cmd) {
	switch m := m.(type) {
	case tea.WindowSizeMsg:
		v.height = m.Height
	case topFailed:
		v.err = m.err
		return v, tea.Quit
	case topReply:
		if m.order != v.order { // was under way when the order changed
			return v, nil
		}
		v.history.add(m.reply.Total)
		if !v.paused {
			v.last = m.reply
		}
	case tea.KeyPressMsg:
		return v, v.key(m.String())
	}
	return v, nil
}

func (v *topView) key(k string) tea.Cmd {
	switch k {
	case "q", "ctrl+c", "esc":
		return tea.Quit
	case "space":
		v.paused = !v.paused
		return nil
	}
	for _, o := range topOrders {
		if o.key == k && o.order != v.order {
			v.order, v.last, v.paused = o.order, nil, false
			v.restart()
		}
	}
	return nil
}

// View draws the screen.
func (v *topView) View() tea.View {
	view := tea.NewView(v.text())
	view.AltScreen = true
	view.WindowTitle = "lnsctl top"
	return view
}

func (v *topView) text() string {
	if v.last == nil {
		return "Counting by " + v.order + " ..."
	}
	rows := max(v.height-topHeadRows, 1)
	if v.rows > 0 {
		rows = min(rows, v.rows)
	}
	return topText(v.last, v.order, rows, &v.history) + "\n\n" + v.keys()
}

func (v *topView) keys() string {
	parts := []string{"q quit", "space pause"}
	if v.paused {
		parts[1] = "PAUSED, space goes on"
	}
	for _, o := range topOrders {
		parts = append(parts, o.key+" "+o.help)
	}
	return strings.Join(parts, " · ")
}

// topHistory is the totals of the last looks.
type topHistory struct{ up, down []float64 }

func (h *topHistory) add(r *lnsv1.TopRate) {
	keep := func(xs []float64, x float64) []float64 {
		xs = append(xs, x)
		return xs[max(len(xs)-historyLength, 0):]
	}
	h.up, h.down = keep(h.up, r.GetUpBits()), keep(h.down, r.GetDownBits())
}

func (h *topHistory) ups() []float64 {
	if h == nil {
		return nil
	}
	return h.up
}

func (h *topHistory) downs() []float64 {
	if h == nil {
		return nil
	}
	return h.down
}

// sparkline draws values against the largest of them.
func sparkline(values []float64) string {
	const levels = "▁▂▃▄▅▆▇█"
	bars := []rune(levels)
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	for _, v := range values {
		i := 0
		if top > 0 {
			i = min(int(v/top*float64(len(bars))), len(bars)-1)
		}
		b.WriteRune(bars[i])
	}
	return b.String()
}
