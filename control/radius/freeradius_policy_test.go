package radius

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/radius/policy"
	"github.com/lnsd/lnsd/control/session"
)

// packagedPolicy is what packaging/freeradius/startup-config says; the end-to-end
// tests load that file itself.
func packagedPolicy() policy.Config {
	return policy.Config{
		Presets: policy.Presets(),
		Profiles: []policy.RateProfile{
			{Name: "silver", Up: session.Rate{Bits: 1e6}, Down: session.Rate{Bits: 8e6}},
			{Name: "gold", Up: session.Rate{Bits: 20e6, Burst: 250000}, Down: session.Rate{Bits: 100e6, Burst: 1250000}},
		},
		FilterIDs: []policy.FilterID{{Pattern: regexp.MustCompile("^(?:flat-([0-9]+))$"), Target: policy.Rate, Value: "$1", Unit: policy.Mbit}},
		Rules:     []policy.Rule{{Attribute: policy.Attribute{Vendor: 14122, Type: 11}, Target: policy.RatesDownUp, Unit: policy.Kbit}},
	}
}

// policyUsers are the names in packaging/freeradius/policy, in their order.
func policyUsers(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(packaged, "policy"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z0-9-]+)\t`).FindAllStringSubmatch(string(b), -1) {
		names = append(names, m[1])
	}
	return names
}

// The packaged examples of policy, sent by a FreeRADIUS, mean what they say: golden.
func TestFreeRADIUSPolicy(t *testing.T) {
	f := startFreeRADIUS(t, nil)
	cfg := f.config()
	cfg.Policy = packagedPolicy()
	c, r := newTestClient(t, cfg)
	var got strings.Builder
	users := policyUsers(t)
	for _, user := range users {
		c.Authenticate(chapRequest(user, "policy"))
		a := r.wait()
		delete(r.by, 0)
		fmt.Fprintf(&got, "%s:%s\n", user, describe(a))
	}
	if len(users) < 18 {
		t.Errorf("only %d users in the policy file", len(users))
	}
	const file = "testdata/golden/policy-users.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
	if n := count(c, "radius_auth_attributes_ignored"); n != 0 {
		t.Errorf("%d attributes without effect", n)
	}
}

// describe writes what was granted, one thing after the other.
func describe(a *session.AuthResult) string {
	if a.Verdict != session.Accept {
		return fmt.Sprintf(" verdict %d, %s", a.Verdict, a.Cause)
	}
	var s strings.Builder
	if v := a.Profile.Services; v != nil {
		fmt.Fprintf(&s, " up %+v down %+v filters %q %q garden %q", v.Up, v.Down, v.FilterUp, v.FilterDown, v.Garden)
	}
	if v := a.Profile.IPv6; v != nil {
		fmt.Fprintf(&s, " ipv6 %+v", *v)
	}
	if v := a.Profile.CUI; v != nil {
		fmt.Fprintf(&s, " cui %q", v)
	}
	if v := a.Profile.Pairs; v != nil {
		fmt.Fprintf(&s, " pairs %q", v)
	}
	return s.String()
}

// router makes a router of one group for each FreeRADIUS.
func groupOf(name string, change func(*Config), servers ...*freeradius) Config {
	cfg := servers[0].config()
	cfg.Group, cfg.Servers = name, nil
	for i, f := range servers {
		s := f.config().Servers[0]
		s.Priority = i + 1
		cfg.Servers = append(cfg.Servers, s)
	}
	cfg.InitialRetransmit, cfg.FailoverAfter, cfg.DeadTime, cfg.StatusInterval = 300*time.Millisecond, 500*time.Millisecond, time.Second, 500*time.Millisecond
	if change != nil {
		change(&cfg)
	}
	return cfg
}

func papFor(user, password string) *session.AuthRequest {
	return &session.AuthRequest{User: user, Method: session.AuthPAP, Password: []byte(password), Call: testCall()}
}

// ask asks once and returns the answer.
func ask(t *testing.T, r *Router, res *results, q *session.AuthRequest) *session.AuthResult {
	t.Helper()
	if !r.Authenticate(q) {
		t.Fatal("refused")
	}
	a := res.wait()
	res.mu.Lock()
	delete(res.by, a.Serial)
	res.mu.Unlock()
	return a
}

// A realm's subscribers are known to that realm's server alone, by their names without
// it, and accounted for there.
func TestFreeRADIUSRealms(t *testing.T) {
	main := startFreeRADIUS(t, nil)
	wholesale := startFreeRADIUS(t, func(name, text string) string {
		if name == "users" {
			return "zoe\tCleartext-Password := \"zebra\"\n\tFramed-IP-Address = 10.77.0.1\n"
		}
		return text
	})
	r, res := newTestRouter(t, RouterConfig{
		Groups: []Config{groupOf("main", nil, main), groupOf("wholesale", nil, wholesale)},
		Realms: []Realm{{Pattern: "*.wholesale.example", Group: "wholesale", Strip: true}},
	})
	for login, want := range map[string]session.Verdict{
		"zoe@isp.wholesale.example": session.Accept, "zoe": session.Reject, "zoe@other.example": session.Reject,
	} {
		if a := ask(t, r, res, papFor(login, "zebra")); a.Verdict != want {
			t.Errorf("%s: %+v", login, a)
		}
	}
	if a := ask(t, r, res, papFor("alice", "correct horse")); a.Verdict != session.Accept {
		t.Errorf("alice: %+v", a)
	}
	rec := startRecord(1)
	rec.User, rec.Login = "zoe@isp.wholesale.example", "zoe@isp.wholesale.example"
	rec.CUI, rec.Local, rec.Call.Line = []byte("contract-42"), true, testLine()
	r.Account(rec)
	eventually(t, "record delivered", func() bool { return countIn(r, "radius_acct_delivered") == 1 })
	compare(t, wholesale.detail(t)[0], map[string]string{
		"User-Name": `"zoe"`, "Chargeable-User-Identity": "0x636f6e74726163742d3432", "Acct-Authentic": "Local",
		"ADSL-Agent-Circuit-Id": "0x6f6c74312065746820312f313a313030", "Actual-Data-Rate-Upstream": "20000000",
		"Actual-Interleaving-Delay-Upstream": "", "Maximum-Interleaving-Delay-Downstream": "8", "Access-Loop-Encapsulation": "0x020100",
	})
}

// Two servers of one priority share by weight.
func TestFreeRADIUSWeights(t *testing.T) {
	r, res := newTestRouter(t, RouterConfig{Groups: []Config{groupOf("main", func(c *Config) {
		c.Servers[0].Priority, c.Servers[1].Priority = 1, 1
		c.Servers[0].Weight = 3
		c.FailoverAfter, c.InitialRetransmit = 0, 0 // the defaults: none of this is about silence
	}, startFreeRADIUS(t, nil), startFreeRADIUS(t, nil))}})
	for range 40 {
		if a := ask(t, r, res, papFor("alice", "correct horse")); a.Verdict != session.Accept {
			t.Fatalf("%+v", a)
		}
	}
	var sent []uint64
	for _, v := range r.Servers() {
		if v.Purpose == "auth" {
			sent = append(sent, v.Sent)
		}
	}
	if !slices.Equal(sent, []uint64{30, 10}) {
		t.Errorf("servers were sent %v of 40 requests", sent)
	}
}

// A server that stops answering is left for the next one, asked by Status-Server while
// nobody's login is tried on it, and used again once it answers.
func TestFreeRADIUSStatusServer(t *testing.T) {
	first, second := startFreeRADIUS(t, nil), startFreeRADIUS(t, nil)
	r, res := newTestRouter(t, RouterConfig{Groups: []Config{groupOf("main", func(c *Config) {
		c.Servers[0].StatusServer = true
	}, first, second)}})
	login := func() {
		t.Helper()
		if a := ask(t, r, res, papFor("alice", "correct horse")); a.Verdict != session.Accept {
			t.Fatalf("%+v", a)
		}
	}
	view := func() session.AuthServerView { return r.Servers()[0] }
	login()
	if err := first.process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	login()
	if v := view(); v.State != "dead" {
		t.Fatalf("the silent server is %+v", v)
	}
	sent := view().Sent
	eventually(t, "the silent server is asked", func() bool { return view().StatusSent >= 2 })
	login()
	if v := view(); v.Sent != sent || v.StatusAnswers != 0 || v.State != "dead" {
		t.Errorf("before it answers the server is %+v, with %d requests before", v, sent)
	}
	if err := first.process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server is up", func() bool { return view().State == "up" })
	before := view()
	login()
	if v := view(); v.StatusAnswers == 0 || v.Sent != before.Sent+1 {
		t.Errorf("after it answered the server is %+v", v)
	}
}

// With every server gone, those who were let in before are, with what they had.
func TestFreeRADIUSDown(t *testing.T) {
	f := startFreeRADIUS(t, nil)
	r, res := newTestRouter(t, RouterConfig{
		Groups: []Config{groupOf("main", func(c *Config) { c.AuthTimeout = 2 * time.Second }, f)},
		Down:   Down{Action: DownLastGood, Garden: "lost", Session: time.Hour},
	})
	good := ask(t, r, res, papFor("alice", "correct horse"))
	if good.Verdict != session.Accept || good.Profile.Local {
		t.Fatalf("%+v", good)
	}
	if err := f.process.Kill(); err != nil {
		t.Fatal(err)
	}
	a := ask(t, r, res, papFor("alice", "correct horse"))
	if a.Verdict != session.Accept || !a.Profile.Local || a.Profile.Address != netip.MustParseAddr("10.0.0.7") ||
		len(a.Profile.Class) != 2 || a.Profile.SessionTimeout != time.Hour || a.Profile.Services != nil {
		t.Errorf("the subscriber got %+v", a)
	}
	for _, q := range []*session.AuthRequest{papFor("alice", "wrong"), chapRequest("carol", "secret")} {
		if a := ask(t, r, res, q); a.Verdict != session.Accept || a.Profile.Services == nil || a.Profile.Services.Garden != "lost" || a.Profile.Address.IsValid() {
			t.Errorf("%s got %+v", q.User, a)
		}
	}
	if a := ask(t, r, res, mschapRequest(t)); a.Verdict != session.Unavailable {
		t.Errorf("MS-CHAPv2 got %+v", a)
	}
	for name, want := range map[string]uint64{"radius_down_last_good": 1, "radius_down_gardened": 2, "radius_down_denied": 1, "radius_last_good_entries": 1} {
		if n := countIn(r, name); n != want {
			t.Errorf("%s is %d, want %d", name, n, want)
		}
	}
}
