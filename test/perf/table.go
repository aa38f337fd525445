package perf

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// grid is a table; its first row is the head.
type grid [][]string

func (g grid) write(w *strings.Builder) {
	width := make([]int, len(g[0]))
	for _, row := range g {
		for i, text := range row {
			width[i] = max(width[i], len([]rune(text)))
		}
	}
	for n, row := range g {
		for i, text := range row {
			fmt.Fprintf(w, "| %-*s ", width[i], text)
		}
		w.WriteString("|\n")
		if n == 0 {
			for _, n := range width {
				w.WriteString("|" + strings.Repeat("-", n+2))
			}
			w.WriteString("|\n")
		}
	}
	w.WriteString("\n")
}

// WriteTables writes all that was measured as Markdown.
func (r *Report) WriteTables(out io.Writer) error {
	w := &strings.Builder{}
	fmt.Fprintf(w, "Measured %s on %d × %s, Linux %s.\n\n", r.Host.Date, r.Host.CPUs, r.Host.CPU, r.Host.Kernel)
	if len(r.Rates) > 0 {
		r.writeRates(w)
		r.writeRatios(w)
		r.writeCosts(w)
		r.writeSpread(w)
	}
	if len(r.Programs) > 0 {
		r.writePrograms(w)
	}
	if len(r.Extras) > 0 {
		r.writeExtras(w)
	}
	if len(r.Setups) > 0 {
		r.writeSetups(w)
	}
	if len(r.Maps) > 0 {
		r.writeMaps(w)
	}
	_, err := io.WriteString(out, strings.TrimSuffix(w.String(), "\n"))
	return err
}

// measured lists the forwarders that there are figures of, but those that have a table
// of their own.
func (r *Report) measured() []string {
	return slices.DeleteFunc(slices.Clone(Forwarders), func(name string) bool {
		return name == Filter || name == LNSDSpread || name == FilterSpread || !slices.ContainsFunc(r.Rates, func(rate Rate) bool { return rate.Forwarder == name })
	})
}

func (r *Report) writeRates(w *strings.Builder) {
	names := r.measured()
	n, of := r.disturbed()
	fmt.Fprintf(w, "Packets per second, in millions: median (minimum–maximum). %d of %d rounds were disturbed by other work on the machine.\n\n", n, of)
	g := grid{append([]string{"direction", "bytes", "sessions"}, names...)}
	for _, c := range r.cells() {
		row := []string{c.direction.String(), fmt.Sprint(c.size), thousands(c.sessions)}
		for _, name := range names {
			s, _ := r.spread(name, c)
			row = append(row, s.String())
		}
		g = append(g, row)
	}
	g.write(w)
}

// millions keeps three digits.
func millions(v float64) string {
	switch v /= 1e6; {
	case v < 1:
		return fmt.Sprintf("%.3f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// thousands writes a number with commas.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// writeRatios divides medians. l2tpns was measured with one number of sessions only,
// which serves for all.
func (r *Report) writeRatios(w *strings.Builder) {
	ratios := []struct{ a, b string }{{LNSD, Reference}, {LNSD, Linux}, {LNSD, L2TPNS}, {Touch, L2TPNS}, {SlowPath, L2TPNS}}
	g := grid{{"direction", "bytes", "sessions"}}
	for _, ratio := range ratios {
		g[0] = append(g[0], ratio.a+" / "+ratio.b)
	}
	any := false
	for _, c := range r.cells() {
		row := []string{c.direction.String(), fmt.Sprint(c.size), thousands(c.sessions)}
		for _, ratio := range ratios {
			text := ""
			other := c
			if ratio.b == L2TPNS {
				other.sessions = usualSessions
			}
			a, ok := r.spread(ratio.a, c)
			b, ok2 := r.spread(ratio.b, other)
			if ok && ok2 && b.Median > 0 {
				text, any = fmt.Sprintf("%.2f", a.Median/b.Median), true
			}
			row = append(row, text)
		}
		g = append(g, row)
	}
	if any {
		w.WriteString("Ratios of the medians; l2tpns always with 1,000 sessions.\n\n")
		g.write(w)
	}
}

// writeCosts turns rates of the kernel's forwarders into time per packet.
func (r *Report) writeCosts(w *strings.Builder) {
	g := grid{{"direction", "bytes", "sessions", Plain + " ns", Touch + " ns more", Reference + " ns more", LNSD + " ns more", LNSD + " in all, to 1 session", L2TPNS + " ns, to " + LNSD + "'s more"}}
	for _, c := range r.cells() {
		plain, ok := r.spread(Plain, c)
		lnsd, ok2 := r.spread(LNSD, c)
		reference, ok3 := r.spread(Reference, c)
		if !ok || !ok2 || !ok3 {
			continue
		}
		one := c
		one.sessions = 1
		line := ""
		if touch, ok := r.spread(Touch, c); ok {
			line = fmt.Sprintf("%.0f", 1e9/touch.Median-1e9/plain.Median)
		}
		relation := ""
		if first, ok := r.spread(LNSD, one); ok {
			relation = fmt.Sprintf("%.2f", first.Median/lnsd.Median)
		}
		g = append(g, []string{
			c.direction.String(), fmt.Sprint(c.size), thousands(c.sessions),
			fmt.Sprintf("%.0f", 1e9/plain.Median),
			line,
			fmt.Sprintf("%.0f", 1e9/reference.Median-1e9/plain.Median),
			fmt.Sprintf("%.0f", 1e9/lnsd.Median-1e9/plain.Median), relation, r.netRatio(c, plain, lnsd),
		})
	}
	if len(g) > 1 {
		w.WriteString("Time per packet: of the plain redirect, which holds making, moving and dropping it, and what the others take beyond that. The packets of " + L2TPNS + " are made and received on another CPU, so that its time holds neither; the last column divides it by what lnsd takes beyond the redirect.\n\n")
		g.write(w)
	}
}

// writeSpread shows what spreading over CPUs costs and gains.
func (r *Report) writeSpread(w *strings.Builder) {
	g := grid{{"direction", "bytes", "sessions"}}
	pairs := [][2]string{{LNSD, LNSDSpread}, {Filter, FilterSpread}}
	for _, p := range pairs {
		g[0] = append(g[0], p[0], p[1], p[1]+" / "+p[0], "handed over")
	}
	for _, c := range r.cells() {
		row, any := []string{c.direction.String(), fmt.Sprint(c.size), thousands(c.sessions)}, false
		for _, p := range pairs {
			one, _ := r.spread(p[0], c)
			both, ok := r.spread(p[1], c)
			row, any = append(row, one.String(), both.String(), quotient(both, one), r.made(p[1], c).String()), any || ok
		}
		if any {
			g = append(g, row)
		}
	}
	if len(g) > 1 {
		w.WriteString("One tunnel over two CPUs, millions of packets per second of the CPU time of whichever is slower; what the first made and handed over, per second of its own. " + Filter + " is " + LNSD + " with an access list of 64 rules for each session.\n\n")
		g.write(w)
	}
}

// made sums up how many packets one CPU handed to another.
func (r *Report) made(forwarder string, c cell) Spread {
	var values []float64
	for _, rate := range r.Rates {
		if rate.Forwarder == forwarder && rate.Direction == c.direction.String() && rate.Size == c.size && rate.Sessions == c.sessions {
			values = append(values, rate.Made)
		}
	}
	if len(values) == 0 {
		return Spread{}
	}
	return spreadOf(values)
}

// String is the median with minimum and maximum, in millions; empty where nothing was
// measured.
func (s Spread) String() string {
	if s == (Spread{}) {
		return ""
	}
	return fmt.Sprintf("%s (%s–%s)", millions(s.Median), millions(s.Min), millions(s.Max))
}

// quotient is that of the medians, empty where one is missing.
func quotient(a, b Spread) string {
	if a.Median == 0 || b.Median == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", a.Median/b.Median)
}

// netRatio compares the time that l2tpns takes, which is measured on a CPU of its own,
// with what lnsd takes beyond the plain redirect.
func (r *Report) netRatio(c cell, plain, lnsd Spread) string {
	c.sessions = usualSessions
	theirs, ok := r.spread(L2TPNS, c)
	if more := 1/lnsd.Median - 1/plain.Median; ok && theirs.Median > 0 && more > 0 {
		return fmt.Sprintf("%.1f", 1/theirs.Median/more)
	}
	return ""
}

func (r *Report) writePrograms(w *strings.Builder) {
	w.WriteString("The programs by themselves (BPF_PROG_TEST_RUN, all in the cache, an empty program's time taken off) and their sizes.\n\n")
	g := grid{{"program", "path", "ns/packet", "instructions", "JITed bytes", "verified instructions"}}
	for _, p := range r.Programs {
		g = append(g, []string{p.Forwarder, p.Path, fmt.Sprintf("%.0f", p.NS), thousands(p.Translated), thousands(int(p.JITed)), thousands(int(p.Verified))})
	}
	g.write(w)
}

func (r *Report) writeExtras(w *strings.Builder) {
	fmt.Fprintf(w, "What parts of lnsd's program cost: the difference of two programs, or two sessions, that took turns %d times in the same place as above, with one session. Median and quartiles, ns per packet.\n\n", r.Extras[0].Turns)
	g := grid{{"part", "direction", "ns more"}}
	for _, e := range r.Extras {
		g = append(g, []string{e.Name, e.Direction, fmt.Sprintf("%.1f (%.1f–%.1f)", e.NS, e.Low, e.High)})
	}
	g.write(w)
}

func (r *Report) writeSetups(w *strings.Builder) {
	w.WriteString("Sessions set up and taken down, with the same load and, where RADIUS says who is a subscriber, the same RADIUS server.\n\n")
	g := grid{{"server", "users", "at a time", "sessions", "failed", "per second", "to " + L2TPNS, "median ms", "99 % ms", "down in s", "bytes/session"}}
	theirs := 0.0
	for _, s := range r.Setups {
		if s.Server == L2TPNS {
			theirs = s.Rate
		}
	}
	for _, s := range r.Setups {
		relation := ""
		if theirs > 0 {
			relation = fmt.Sprintf("%.2f", s.Rate/theirs)
		}
		g = append(g, []string{
			s.Server, s.Auth, fmt.Sprint(s.Parallel), thousands(s.Up), thousands(s.Failed), thousands(int(s.Rate)), relation,
			fmt.Sprintf("%.1f", s.P50*1e3), fmt.Sprintf("%.1f", s.P99*1e3), fmt.Sprintf("%.1f", s.Teardown), fmt.Sprintf("%.0f", s.Memory),
		})
	}
	g.write(w)
}

func (r *Report) writeMaps(w *strings.Builder) {
	const least = 8 // bytes a session of maps that are named
	w.WriteString("Memory of the maps, with IPv6, all sessions installed; what a single session's maps take besides is no part of one.\n\n")
	g := grid{{"sessions", "MiB", "MiB for one", "bytes/session", "largest maps, bytes/session"}}
	for _, m := range r.Maps {
		var names []string
		for name, bytes := range m.ByMap {
			if bytes >= least*uint64(m.Sessions) {
				names = append(names, name)
			}
		}
		slices.SortFunc(names, func(a, b string) int { return int(m.ByMap[b]/1024) - int(m.ByMap[a]/1024) })
		for i, name := range names {
			names[i] = fmt.Sprintf("%s %d", name, m.ByMap[name]/uint64(m.Sessions))
		}
		g = append(g, []string{
			thousands(m.Sessions), fmt.Sprint(m.Bytes >> 20), fmt.Sprint(m.Fixed >> 20), fmt.Sprint((m.Bytes - m.Fixed) / uint64(m.Sessions)), strings.Join(names, ", "),
		})
	}
	g.write(w)
}
