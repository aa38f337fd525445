package trace

import "github.com/lnsd/lnsd/control/session"

// Bounds of what is kept of sessions whose user is not known yet.
const (
	waitingSessions = 512
	waitingLines    = 128
)

// waiting keeps the first lines of sessions while rules for users exist: whose they
// are shows only when the subscriber says a name.
type waiting struct {
	lines map[session.Ref][]session.TraceLine
	order []session.Ref // oldest first
}

func newWaiting() waiting { return waiting{lines: make(map[session.Ref][]session.TraceLine)} }

func (w *waiting) clear() {
	clear(w.lines)
	w.order = w.order[:0]
}

// keep notes a line; the oldest session makes room for a new one.
func (w *waiting) keep(l session.TraceLine) {
	lines, known := w.lines[l.Ref]
	if len(lines) >= waitingLines {
		return
	}
	if !known {
		if len(w.order) == waitingSessions {
			delete(w.lines, w.order[0])
			w.order = append(w.order[:0], w.order[1:]...)
		}
		w.order = append(w.order, l.Ref)
	}
	w.lines[l.Ref] = append(lines, l)
}

// resolve returns what was kept of the session of l, if that knows the user; it is not
// kept any longer.
func (w *waiting) resolve(l *session.TraceLine) []session.TraceLine {
	if l.User == "" || len(w.lines) == 0 {
		return nil
	}
	lines, ok := w.lines[l.Ref]
	if !ok {
		return nil
	}
	delete(w.lines, l.Ref)
	for i, r := range w.order {
		if r == l.Ref {
			w.order = append(w.order[:i], w.order[i+1:]...)
			break
		}
	}
	for i := range lines {
		lines[i].User = l.User
	}
	return lines
}
