package config

import (
	"slices"
	"strings"
)

// hider knows which words are secrets.
type hider struct {
	secrets map[string]bool // settings
	objects map[string]bool // commands with keys
}

func newHider() *hider {
	h := &hider{map[string]bool{}, map[string]bool{}}
	for _, s := range Settings() {
		h.secrets[s.Name] = s.Secret
	}
	for _, c := range Commands() {
		h.objects[c.Name] = c.isObject()
	}
	return h
}

// Hide returns the text of a startup-config with each secret in it replaced, in comments
// too. Lines that can't be read are hidden as a whole.
func Hide(text string) string {
	g := newHider()
	var w strings.Builder
	for line := range strings.Lines(text) {
		w.WriteString(g.hide(strings.TrimRight(line, "\r\n")) + "\n")
	}
	return w.String()
}

func (g *hider) hide(line string) string {
	trimmed := strings.TrimSpace(line)
	if i := len(line) - len(strings.TrimLeft(line, " \t")); strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, "!") {
		// A command that was put out of use may hold what it held.
		rest := strings.TrimLeft(trimmed, "#! \t")
		if shown := g.hide(rest); shown != rest {
			return line[:i] + trimmed[:len(trimmed)-len(rest)] + shown
		}
		return line
	}
	toks, err := words(line)
	if err != nil {
		return "# " + hidden
	}
	if len(toks) == 0 {
		return line
	}
	ws := make([]string, len(toks))
	for i, t := range toks {
		ws[i] = t.text
	}
	shown := slices.Clone(ws)
	switch {
	case ws[0] == "no":
		return line
	case ws[0] == "set" && len(ws) >= 3 && (g.secrets[ws[1]] || isSecretKey(ws[1])):
		shown = append(shown[:2], hidden)
	case g.objects[ws[0]]:
		for j := 2; j+1 < len(ws); j += 2 {
			if isSecretKey(ws[j]) {
				shown[j+1] = hidden
			}
		}
	}
	if slices.Equal(ws, shown) {
		return line
	}
	for i, s := range shown {
		if s != hidden {
			shown[i] = quoted(s)
		}
	}
	return strings.Join(shown, " ")
}

// isSecretKey tells that a key's value is nobody's business. It goes by the name: what is
// hidden for nothing harms less than what is shown by mistake.
func isSecretKey(name string) bool {
	return strings.HasSuffix(name, "secret") || strings.HasSuffix(name, "password")
}

// HidesSecrets tells that a text was made to be seen: its secrets are not in it.
func HidesSecrets(text string) bool {
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		if !strings.HasPrefix(trimmed, "#") && !strings.HasPrefix(trimmed, "!") && strings.Contains(trimmed, " "+hidden) {
			return true
		}
	}
	return false
}

// DiffLines compares two texts line by line: "- " before what only the first has, "+ "
// before what only the second has, and "  " before some lines around them. Secrets are
// compared, and hidden.
func DiffLines(from, to string) []string {
	const around = 2
	a, b := splitLines(from), splitLines(to)
	g := newHider()
	var all []string
	for _, e := range compare(a, b) {
		all = append(all, e[:2]+g.hide(e[2:]))
	}
	var out []string
	skipped := false
	for i, l := range all {
		near := false
		for j := max(0, i-around); j <= min(len(all)-1, i+around); j++ {
			near = near || all[j][0] != ' '
		}
		if !near {
			skipped = true
			continue
		}
		if skipped && len(out) > 0 {
			out = append(out, "  ...")
		}
		skipped = false
		out = append(out, l)
	}
	return out
}

func splitLines(s string) (out []string) {
	for l := range strings.Lines(s) {
		out = append(out, strings.TrimRight(l, "\r\n"))
	}
	return out
}

// compare is the shortest way from a to b, as lines with a mark before each. What both
// begin and end with is left aside: what is between is short, or the texts are small.
func compare(a, b []string) []string {
	var head, tail, mid []string
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		head = append(head, "  "+a[0])
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		tail = append(tail, "  "+a[len(a)-1])
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	slices.Reverse(tail)
	const most = 4 << 20 // cells: beyond it all of the one goes and all of the other comes
	if len(a)*len(b) > most {
		for _, l := range a {
			mid = append(mid, "- "+l)
		}
		for _, l := range b {
			mid = append(mid, "+ "+l)
		}
		return slices.Concat(head, mid, tail)
	}
	// common[i][j] is the length of what a[i:] and b[j:] have in common.
	common := make([][]int32, len(a)+1)
	for i := range common {
		common[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			mid = append(mid, "  "+a[i])
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[i+1][j] >= common[i][j+1]):
			mid = append(mid, "- "+a[i])
			i++
		default:
			mid = append(mid, "+ "+b[j])
			j++
		}
	}
	return slices.Concat(head, mid, tail)
}
