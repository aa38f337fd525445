package garden

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"github.com/vishvananda/netns"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is a network namespace of its own, which the test's goroutine lives in.
type lab struct {
	*testing.T
	cfg Config

	mu     sync.Mutex
	passed []string // what before and after were given
	failed []session.Programmed
}

func newLab(t *testing.T) *lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netns.Set(home); err != nil {
			t.Error(err)
			return
		}
		ns.Close()
		home.Close()
		runtime.UnlockOSThread()
	})
	l := &lab{T: t}
	l.cfg = Config{
		Device: "tun0",
		Own:    []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
		Gardens: []Garden{
			{Name: "unpaid", DNS: []netip.Addr{netip.MustParseAddr("192.0.2.53")}, Portal: "http://pay.example/?from=%u", Allow: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/28")}},
			{Name: "abuse"},
		},
		Dial: func() (*nftables.Conn, error) {
			return nftables.New(nftables.WithNetNSFd(int(ns)), nftables.WithSockOptions(func(c *netlink.Conn) error { return c.SetReadBuffer(buffer) }))
		},
	}
	return l
}

func (l *lab) open() *Gardens {
	l.Helper()
	g := New(l.cfg, func(done []session.Programmed) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failed = append(l.failed, done...)
	}, zap.NewNop())
	l.Cleanup(func() {
		if err := g.Close(false); err != nil {
			l.Error(err)
		}
	})
	return g
}

func (l *lab) nft(args ...string) string {
	l.Helper()
	out, err := exec.Command("nft", args...).CombinedOutput()
	if err != nil {
		l.Fatalf("nft %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// members are the elements of a set, as nft shows them, in order.
func (l *lab) members(set string) []string {
	l.Helper()
	_, list, _ := strings.Cut(l.nft("list", "set", "inet", "lnsd", set), "elements = {")
	list, _, _ = strings.Cut(list, "}")
	words := strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(", \t\n", r) })
	slices.Sort(words)
	return words
}

func op(slot uint32, garden string, prefixes ...string) session.ProgramOp {
	o := session.ProgramOp{Record: session.Record{Slot: slot, Ref: session.Ref{Serial: slot}}}
	if garden != "" {
		o.Record.Services = &session.Services{Garden: garden}
	}
	for _, text := range prefixes {
		p := netip.MustParsePrefix(text)
		switch {
		case p.Addr().Is6():
			o.Record.Prefixes6 = append(o.Record.Prefixes6, p)
		case p.IsSingleIP() && !o.Record.Address.IsValid():
			o.Record.Address = p.Addr()
		default:
			o.Record.Routes = append(o.Record.Routes, p)
		}
	}
	return o
}

func remove(slot uint32) session.ProgramOp {
	return session.ProgramOp{Remove: true, Record: session.Record{Slot: slot}}
}

// apply passes operations on and waits until they are through.
func (l *lab) apply(g *Gardens, ops ...session.ProgramOp) {
	l.Helper()
	note := func(name string) Apply {
		return func(ops []session.ProgramOp) {
			l.mu.Lock()
			defer l.mu.Unlock()
			for i := range ops {
				l.passed = append(l.passed, fmt.Sprintf("%s %d", name, ops[i].Record.Slot))
			}
		}
	}
	g.Apply(ops, note("slow"), note("fast"))
	g.order(func() {})
}

// took says what was passed on of each session, in order; sessions outside gardens do
// not wait for those inside, nor these for them.
func (l *lab) took(want ...string) {
	l.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	bySession := func(a, b string) int {
		return strings.Compare(strings.Fields(a)[1], strings.Fields(b)[1])
	}
	slices.SortStableFunc(l.passed, bySession)
	slices.SortStableFunc(want, bySession)
	if !slices.Equal(l.passed, want) {
		l.Errorf("passed on: %v, want %v", l.passed, want)
	}
	l.passed = nil
}

func (l *lab) expect(g *Gardens, set string, want ...string) {
	l.Helper()
	slices.Sort(want)
	if got := l.members(set); !slices.Equal(got, want) {
		l.Errorf("%s holds %v, want %v", set, got, want)
	}
}

func TestMembers(t *testing.T) {
	l := newLab(t)
	g := l.open()
	l.apply(g, op(1, "unpaid", "10.0.0.1/32", "172.16.1.0/24", "172.16.2.0/24", "2001:db8:1::/64", "2001:db8:f000::/56"),
		op(2, "", "10.0.0.2/32"), op(3, "abuse", "10.0.0.3/32"))
	l.took("slow 2", "fast 2", "slow 1", "slow 3", "fast 1", "fast 3")
	l.expect(g, "addresses4_unpaid", "10.0.0.1")
	l.expect(g, "prefixes4_unpaid", "172.16.1.0/24", "172.16.2.0/24")
	l.expect(g, "nets6_unpaid", "2001:db8:1::")
	l.expect(g, "prefixes6_unpaid", "2001:db8:f000::/56")
	l.expect(g, "addresses4_abuse", "10.0.0.3")

	l.apply(g, op(1, "", "10.0.0.1/32"), op(3, "unpaid", "10.0.0.3/32"), remove(2))
	l.expect(g, "addresses4_unpaid", "10.0.0.3")
	l.expect(g, "addresses4_abuse")
	for _, set := range []string{"prefixes4_unpaid", "nets6_unpaid", "prefixes6_unpaid"} {
		l.expect(g, set)
	}
	// An address goes from one session to the next in one go.
	l.apply(g, remove(3), op(4, "unpaid", "10.0.0.3/32"))
	l.expect(g, "addresses4_unpaid", "10.0.0.3")
	l.apply(g, remove(4))
	l.expect(g, "addresses4_unpaid")
	if len(l.failed) > 0 {
		t.Errorf("%+v", l.failed)
	}
	if s := &g.sets; len(s.bySlot)+len(s.refs)+len(s.owners) > 0 || s.lengths != [2][129]int{} {
		t.Errorf("something is left: %+v", s)
	}
}

func TestUnknownGarden(t *testing.T) {
	l := newLab(t)
	g := l.open()
	if err := g.Check("unpaid"); err != nil {
		t.Error(err)
	}
	if err := g.Check("nowhere"); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v, want ErrUnknown", err)
	}
	l.apply(g, op(1, "nowhere", "10.0.0.1/32"), op(2, "unpaid", "10.0.0.2/32"))
	if len(l.failed) != 1 || l.failed[0].Slot != 1 || !errors.Is(l.failed[0].Err, ErrUnknown) {
		t.Errorf("%+v", l.failed)
	}
	l.took("slow 2", "fast 2")
}

// Nftables that do not work keep everybody out of the gardens, and nobody else from
// anything.
func TestWithoutNftables(t *testing.T) {
	l := newLab(t)
	broken := errors.New("not today")
	works, dial := false, l.cfg.Dial
	var mu sync.Mutex
	l.cfg.Dial = func() (*nftables.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if !works {
			return nil, broken
		}
		return dial()
	}
	g := l.open()
	if err := g.Check("unpaid"); err == nil {
		t.Error("the garden is said to work")
	}
	l.apply(g, op(1, "unpaid", "10.0.0.1/32"), op(2, "", "10.0.0.2/32"))
	l.took("slow 2", "fast 2")
	if len(l.failed) != 1 || l.failed[0].Err == nil {
		t.Errorf("%+v", l.failed)
	}
	if v := g.List(); len(v) != 2 || !strings.Contains(v[0].Error, broken.Error()) {
		t.Errorf("%+v", v)
	}
	mu.Lock()
	works = true
	mu.Unlock()
	g.keep()
	if err := g.Check("unpaid"); err != nil {
		t.Errorf("it works again: %v", err)
	}
	l.apply(g, op(1, "unpaid", "10.0.0.1/32"))
	l.expect(g, "addresses4_unpaid", "10.0.0.1")
}

// Whoever flushes the host's rules does not open the gardens.
func TestRulesComeBack(t *testing.T) {
	l := newLab(t)
	g := l.open()
	l.apply(g, op(1, "unpaid", "10.0.0.1/32", "172.16.1.0/24"))
	l.nft("flush", "ruleset")
	g.keep()
	l.expect(g, "addresses4_unpaid", "10.0.0.1")
	l.nft("flush", "ruleset")
	l.apply(g, op(2, "unpaid", "10.0.0.2/32"))
	l.expect(g, "addresses4_unpaid", "10.0.0.1", "10.0.0.2")
	l.nft("delete", "table", "inet", "lnsd")
	l.apply(g, op(1, "", "10.0.0.1/32"))
	l.expect(g, "addresses4_unpaid", "10.0.0.2")
	l.expect(g, "prefixes4_unpaid")
}

// Who was in a garden stays in while the daemon is started anew, until it is known
// who still is.
func TestTheNextProcessGoesOn(t *testing.T) {
	l := newLab(t)
	g := New(l.cfg, nil, zap.NewNop())
	l.apply(g, op(1, "unpaid", "10.0.0.1/32", "172.16.0.0/12", "2001:db8:1::/64", "2001:db8:f000::/56"), op(2, "unpaid", "10.0.0.2/32"))
	if err := g.Close(true); err != nil {
		t.Fatal(err)
	}
	g = l.open()
	l.expect(g, "addresses4_unpaid", "10.0.0.1", "10.0.0.2")
	l.expect(g, "prefixes4_unpaid", "172.16.0.0/12")
	l.apply(g, op(7, "unpaid", "10.0.0.1/32", "172.16.0.0/12"))
	g.Settle()
	l.expect(g, "addresses4_unpaid", "10.0.0.1")
	l.expect(g, "prefixes4_unpaid", "172.16.0.0/12")
	l.expect(g, "nets6_unpaid")
	l.expect(g, "prefixes6_unpaid")
}

func TestReload(t *testing.T) {
	l := newLab(t)
	g := l.open()
	l.apply(g, op(1, "unpaid", "10.0.0.1/32"))
	l.nft("add", "rule", "inet", "lnsd", "user_filter_unpaid", "ip", "protocol", "icmp", "accept")
	if err := g.Reload([]Garden{{Name: "other"}}, ""); err != nil {
		t.Fatal(err)
	}
	if err := g.Check("unpaid"); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v, want ErrUnknown", err)
	}
	if err := g.Check("other"); err != nil {
		t.Error(err)
	}
	// Who is in stays behind the rules, without what others have added.
	l.expect(g, "addresses4_unpaid", "10.0.0.1")
	if rules := l.nft("list", "chain", "inet", "lnsd", "user_filter_unpaid"); strings.Contains(rules, "icmp") {
		t.Error("a rule of the user's has outlived the reload")
	}
	l.apply(g, remove(1))
	if err := g.Reload(nil, ""); err != nil {
		t.Fatal(err)
	}
	if tables := l.nft("list", "tables"); strings.Contains(tables, "lnsd") {
		t.Errorf("a table is left without gardens: %s", tables)
	}
}

func TestBuild(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	l.cfg.Build = write("rules", "add rule inet lnsd user_filter_abuse icmp type echo-request accept\n", 0o644)
	g := l.open()
	if rules := l.nft("list", "chain", "inet", "lnsd", "user_filter_abuse"); !strings.Contains(rules, "echo-request") {
		t.Errorf("the file was not read:\n%s", rules)
	}
	// The worker, not this goroutine, would run what Reload is given.
	g.Close(false)
	l.cfg.Build = write("script", "#!/bin/sh\nset -e\nfor g in $LNSD_GARDENS; do nft add rule inet $LNSD_TABLE user_nat_$g tcp dport 25 redirect to :2525; done\n", 0o755)
	g = New(l.cfg, nil, zap.NewNop())
	if rules := l.nft("list", "chain", "inet", "lnsd", "user_nat_abuse"); !strings.Contains(rules, "2525") {
		t.Errorf("the script was not run:\n%s", rules)
	}
	g.Close(false)
	l.cfg.Build = "../../packaging/build-garden"
	g = New(l.cfg, nil, zap.NewNop())
	if v := g.List(); v[0].Error != "" {
		t.Errorf("the packaged example: %s", v[0].Error)
	}
	if rules := l.nft("list", "chain", "inet", "lnsd", "user_nat_unpaid"); !strings.Contains(rules, "dnat ip to 192.0.2.1") {
		t.Errorf("the packaged example was not read:\n%s", rules)
	}
	g.Close(false)
	l.cfg.Build = write("broken", "add nonsense\n", 0o644)
	g = New(l.cfg, nil, zap.NewNop())
	defer g.Close(false)
	if v := g.List(); !strings.Contains(v[0].Error, "nonsense") {
		t.Errorf("%+v", v)
	}
	if err := g.Check("unpaid"); err != nil {
		t.Errorf("what is not complete is still closed: %v", err)
	}
}

// Many go in and out in few transactions.
func TestManyMembers(t *testing.T) {
	l := newLab(t)
	g := l.open()
	var in, out []session.ProgramOp
	const n = 30000
	for i := range n {
		address := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		in = append(in, op(uint32(i+1), "unpaid", address.String()+"/32"))
		out = append(out, remove(uint32(i+1)))
	}
	start := time.Now()
	l.apply(g, in...)
	entered := time.Since(start)
	if v := g.List(); v[0].Sessions != n || len(l.failed) > 0 {
		t.Errorf("%d sessions, %d failures", v[0].Sessions, len(l.failed))
	}
	if got := len(l.members("addresses4_unpaid")); got != n {
		t.Errorf("the kernel has %d, want %d", got, n)
	}
	start = time.Now()
	l.apply(g, out...)
	t.Logf("%d in: %v, out: %v", n, entered, time.Since(start))
	l.expect(g, "addresses4_unpaid")
}

// The portal tells each client the way of its garden.
func TestPortal(t *testing.T) {
	where := map[string]string{"127.0.0.1": "http://pay.example/?from=%u"}
	p := openPortal(0, func(a netip.Addr) string { return where[a.String()] }, zap.NewNop())
	defer p.close()
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp4", fmt.Sprintf("127.0.0.1:%d", p.port()))
		}},
	}
	ask := func(method, page string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequest(method, page, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		return r, string(body)
	}
	r, body := ask("GET", "http://news.example/a?b=\"c\"&d")
	want := "http://pay.example/?from=http%3A%2F%2Fnews.example%2Fa%3Fb%3D%22c%22%26d"
	if r.StatusCode != 302 || r.Header.Get("Location") != want || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", r)
	}
	if !strings.Contains(body, want) {
		t.Errorf("no way in the page: %s", body)
	}
	if r, _ := ask("POST", "http://news.example/"); r.StatusCode != 511 || r.Header.Get("Location") != "" {
		t.Errorf("POST: %v", r)
	}
	clear(where)
	if r, _ := ask("GET", "http://news.example/x"); r.StatusCode != 302 || r.Header.Get("Location") != "http://news.example/x" {
		t.Errorf("out of the garden: %v", r)
	}
}

func TestPortalIsBounded(t *testing.T) {
	p := openPortal(0, func(netip.Addr) string { return "" }, zap.NewNop())
	defer p.close()
	var open []net.Conn
	for range portalPerClient + 5 {
		c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", p.port()))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
	}
	for _, c := range open[portalPerClient:] {
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v, want it closed", err)
		}
	}
	if n := p.listener.refused.Load(); n != 5 {
		t.Errorf("%d refused, want 5", n)
	}
}
