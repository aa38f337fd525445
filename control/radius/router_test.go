package radius

import (
	"context"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"

	"github.com/lnsd/lnsd/control/session"
)

// named keeps the user names that a server was asked about and accounted to.
type named struct {
	mu         sync.Mutex
	auth, acct []string
}

func (n *named) script(request []byte, from netip.AddrPort) [][]byte {
	p, err := radius.Parse(request, []byte(testSecret))
	if err != nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.Code == radius.CodeAccountingRequest {
		text := rfc2865.UserName_GetString(p)
		if text == "" {
			text = "status " + rfc2866.AcctStatusType_Get(p).String()
		}
		n.acct = append(n.acct, text)
	} else {
		n.auth = append(n.auth, rfc2865.UserName_GetString(p))
	}
	return honest(request, from)
}

func (n *named) take() (auth, acct []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	auth, acct = n.auth, n.acct
	n.auth, n.acct = nil, nil
	return auth, acct
}

func newTestRouter(t *testing.T, cfg RouterConfig) (*Router, *results) {
	t.Helper()
	res := newResults(t)
	r, err := NewRouter(cfg, res.done)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	return r, res
}

func group(name string, servers ...*fakeServer) Config {
	c := fast(servers...)
	c.Group = name
	return c
}

// Each name goes to its group, stripped or not, in access and in accounting alike.
func TestRealms(t *testing.T) {
	var main, other named
	servers := []Config{group("main", newFakeServer(t, main.script)), group("other", newFakeServer(t, other.script))}
	for i := range servers {
		servers[i].once()
	}
	cfg := RouterConfig{
		Groups: servers,
		Realms: []Realm{
			{Pattern: "blocked.example", Refuse: true},
			{Pattern: "*.Wholesale.example", Group: "other", Strip: true},
			{Pattern: "keep.example", Group: "other"},
			{Pattern: "CORP", Group: "other", Strip: true},
			{Pattern: "home.example", Group: "other"},
			{Pattern: "*", Group: "main", Strip: true},
		},
		DefaultRealm: "home.example",
	}
	r, res := newTestRouter(t, cfg)
	for i, c := range []struct {
		login, main, other string
		method             session.AuthMethod
		user               string // that the server gave
		acct               string // other than the login's
	}{
		{login: "alice@isp.wholesale.example", other: "alice"},
		{login: "a@b@ISP.WHOLESALE.EXAMPLE", other: "a@b"},
		{login: "alice@keep.example", other: "alice@keep.example"},
		{login: `corp\bob`, other: "bob"},
		{login: "carol", other: "carol"}, // by the default realm, with nothing to strip
		{login: "dave@elsewhere.example", main: "dave"},
		{login: "@elsewhere.example", main: "@elsewhere.example"},
		// The hash is over the whole name.
		{login: "erin@isp.wholesale.example", other: "erin@isp.wholesale.example", method: session.AuthMSCHAPv2},
		{login: `CORP\frank`, other: "frank", method: session.AuthMSCHAPv2},
		// A name that the server gave goes to the login's servers, as it is.
		{login: "g@isp.wholesale.example", other: "g", user: "grace@isp.wholesale.example", acct: "grace@isp.wholesale.example"},
	} {
		q := papRequest(uint32(i))
		q.User = c.login
		if c.method == session.AuthMSCHAPv2 {
			q.Method, q.Challenge, q.Response = c.method, make([]byte, 16), make([]byte, 49)
		}
		if !r.Authenticate(q) {
			t.Fatal("refused")
		}
		if a := res.wait(); a.Ref != q.Ref || (a.Verdict != session.Accept) != (c.method == session.AuthMSCHAPv2) {
			t.Errorf("%s: %+v", c.login, a)
		}
		if q.User != c.login {
			t.Errorf("%s: the request was changed", c.login)
		}
		rec := startRecord(uint32(i))
		rec.Login, rec.User, rec.Method = c.login, c.login, q.Method
		if c.user != "" {
			rec.User = c.user
		}
		if !r.Account(rec) {
			t.Fatal("record refused")
		}
		eventually(t, "record delivered", func() bool { return countIn(r, "radius_acct_delivered") == uint64(i+1) })
		gotMain, acctMain := main.take()
		gotOther, acctOther := other.take()
		if strings.Join(gotMain, " ") != c.main || strings.Join(gotOther, " ") != c.other {
			t.Errorf("%s: main asked about %q, other about %q", c.login, gotMain, gotOther)
		}
		wantMain, wantOther := c.main, c.other
		if c.acct != "" {
			wantOther = c.acct
		}
		if strings.Join(acctMain, " ") != wantMain || strings.Join(acctOther, " ") != wantOther {
			t.Errorf("%s: accounted to main as %q, to other as %q", c.login, acctMain, acctOther)
		}
	}
	q := papRequest(100)
	q.User = "mallory@blocked.example"
	r.Authenticate(q)
	if a := res.wait(); a.Verdict != session.Reject || a.Cause == "" {
		t.Errorf("a blocked realm got %+v", a)
	}
	if n := countIn(r, "radius_realm_refused"); n != 1 {
		t.Errorf("%d refused", n)
	}
	// On and Off go to everybody.
	r.On("boot", time.Now())
	eventually(t, "On delivered", func() bool { return countIn(r, "radius_acct_delivered") == 12 })
	if err := r.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if r.Authenticate(papRequest(101)) {
		t.Error("a request was taken after the end")
	}
	var groups []string
	for _, v := range r.Servers() {
		groups = append(groups, v.Group+"/"+v.Purpose)
	}
	if want := []string{"main/auth", "main/acct", "other/auth", "other/acct"}; !reflect.DeepEqual(groups, want) {
		t.Errorf("servers of %v", groups)
	}
}

func countIn(r *Router, name string) uint64 {
	for _, n := range r.Counts() {
		if n.Name == name {
			return n.Value
		}
	}
	return 1<<64 - 1
}

// One group's outage holds nobody up in another.
func TestGroupsShareNothing(t *testing.T) {
	var other named
	dead := group("main", newFakeServer(t, silent))
	dead.AuthQueue = 1
	r, res := newTestRouter(t, RouterConfig{
		Groups: []Config{dead, group("other", newFakeServer(t, other.script))},
		Realms: []Realm{{Pattern: "x", Group: "other"}},
	})
	for i := range 300 {
		r.Authenticate(papRequest(uint32(1000 + i)))
	}
	q := papRequest(1)
	q.User = "alice@x"
	r.Authenticate(q)
	eventually(t, "the other group's answer", func() bool {
		a := res.wait()
		return a.Serial == 1 && a.Verdict == session.Accept
	})
}

func TestRouterRefusesConfig(t *testing.T) {
	server := newFakeServer(t, honest)
	for name, cfg := range map[string]RouterConfig{
		"no server group":       {},
		"is there twice":        {Groups: []Config{group("a", server), group("a", server)}},
		"no server group \"b\"": {Groups: []Config{group("a", server)}, Realms: []Realm{{Pattern: "x", Group: "b"}}},
		"is no pattern":         {Groups: []Config{group("a", server)}, Realms: []Realm{{Pattern: "["}}},
		"none is named":         {Groups: []Config{group("a", server)}, Down: Down{Action: DownGarden}},
		"negative":              {Groups: []Config{group("a", server)}, Down: Down{Grace: -1}},
		"no server":             {Groups: []Config{{NASIdentifier: "x"}}},
	} {
		if _, err := NewRouter(cfg, func(*session.AuthResult) {}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
