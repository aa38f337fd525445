// Package apitest is a daemon for tests: a Backend that answers with what it was
// given, behind a real server on a real Unix socket.
package apitest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/session"
)

// batch is small, so that a handful of sessions makes several.
const batch = 2

// Backend answers with its fields. Err, when set, is the answer to everything;
// Calls are the commands that were given, as text.
type Backend struct {
	StatusValue api.Status
	SessionList []session.View
	TunnelList  []session.TunnelView
	PoolList    []session.PoolView
	LeaseList   []session.LeaseView
	CounterList []session.Count
	AuthList    []session.AuthServerView
	Config      string
	Grammars    *lnsv1.GrammarReply
	CommitList  []api.ConfigCommit
	Commit      api.CommitReport
	ProfileList []api.Profile
	// Wanted are the tunnels that begin here.
	Wanted        []session.OutgoingView
	Explained     []session.Value
	Batch         int // sessions in one go; 2 unless set
	Default       session.Rate
	ClientList    []api.RadiusClient
	Lists         []api.AccessList
	GardenList    []api.Garden
	Hooks         [2]api.PacketHook
	PluginList    []api.Plugin
	Intercepted   []api.Interception
	Spooled       api.AccountingState
	CaptureList   []api.ActiveCapture
	Captured      []byte // the file of every capture, which holds two packets
	ChangeErr     error
	Notes         []string
	Err           error
	ReloadErr     error
	BeforeSession func(context.Context) // called by Session, to wait or to panic
	BeforeBatch   func()                // called by Sessions
	BeforeDrop    func()                // called by DropTunnel, DropUser and Shutdown, to wait
	StatusOf      func() api.Status     // instead of StatusValue
	CommitsOf     func() []api.ConfigCommit

	mu    sync.Mutex
	calls []string
}

var (
	_ api.Backend             = (*Backend)(nil)
	_ api.ServicesBackend     = (*Backend)(nil)
	_ api.RestrictionsBackend = (*Backend)(nil)

	_ api.TerminalBackend      = (*Backend)(nil)
	_ api.CommitsBackend       = (*Backend)(nil)
	_ api.ProfilesBackend      = (*Backend)(nil)
	_ api.InterceptionsBackend = (*Backend)(nil)
	_ api.CapturesBackend      = (*Backend)(nil)
	_ api.AccountingBackend    = (*Backend)(nil)
)

// Calls returns the commands given so far.
func (b *Backend) Calls() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.calls)
}

func (b *Backend) call(format string, args ...any) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, fmt.Sprintf(format, args...))
	return b.Err
}

// AccessLists returns Lists.
func (b *Backend) AccessLists() []api.AccessList { return b.Lists }

// Interceptions returns Intercepted.
func (b *Backend) Interceptions() []api.Interception { return b.Intercepted }

// Accounting returns Spooled.
func (b *Backend) Accounting(context.Context) (api.AccountingState, error) { return b.Spooled, b.Err }

// Capture yields Captured, and waits for ctx.
func (b *Backend) Capture(ctx context.Context, c api.Capture, yield func(data []byte, packets, dropped uint64) error) error {
	if err := b.call("capture %+v", c); err != nil {
		return err
	}
	if err := yield(b.Captured, 2, 3); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// ListCaptures returns CaptureList.
func (b *Backend) ListCaptures() []api.ActiveCapture { return b.CaptureList }

// Gardens returns GardenList.
func (b *Backend) Gardens() []api.Garden { return b.GardenList }

// Status returns StatusValue.
func (b *Backend) Status(context.Context) (api.Status, error) {
	if b.StatusOf != nil {
		return b.StatusOf(), b.Err
	}
	return b.StatusValue, b.Err
}

func (b *Backend) beforeDrop() {
	if b.BeforeDrop != nil {
		b.BeforeDrop()
	}
}

// Sessions yields SessionList.
func (b *Backend) Sessions(_ context.Context, yield func([]session.View) error) error {
	for chunk := range slices.Chunk(b.SessionList, max(b.Batch, batch)) {
		if b.BeforeBatch != nil {
			b.BeforeBatch()
		}
		if err := yield(chunk); err != nil {
			return err
		}
	}
	return b.Err
}

// Session finds in SessionList.
func (b *Backend) Session(ctx context.Context, slot uint32) (session.View, error) {
	if b.BeforeSession != nil {
		b.BeforeSession(ctx)
	}
	for _, v := range b.SessionList {
		if v.Slot == slot {
			return v, b.Err
		}
	}
	return session.View{}, fmt.Errorf("session %d: %w", slot, api.ErrNotFound)
}

// UserSessions finds in SessionList.
func (b *Backend) UserSessions(_ context.Context, user string) (vs []session.View, _ error) {
	for _, v := range b.SessionList {
		if v.User == user {
			vs = append(vs, v)
		}
	}
	return vs, b.Err
}

// Tunnels returns TunnelList.
func (b *Backend) Tunnels(context.Context) ([]session.TunnelView, error) { return b.TunnelList, b.Err }

// Tunnel finds in TunnelList.
func (b *Backend) Tunnel(_ context.Context, id uint16) (session.TunnelView, error) {
	for _, v := range b.TunnelList {
		if v.TunnelID == id {
			return v, b.Err
		}
	}
	return session.TunnelView{}, fmt.Errorf("tunnel %d: %w", id, api.ErrNotFound)
}

// Pools returns PoolList.
func (b *Backend) Pools(context.Context) ([]session.PoolView, error) { return b.PoolList, b.Err }

// Leases yields those of LeaseList that are of the pool.
func (b *Backend) Leases(_ context.Context, pool string, yield func([]session.LeaseView) error) error {
	var of []session.LeaseView
	for _, l := range b.LeaseList {
		if l.Pool == pool {
			of = append(of, l)
		}
	}
	return chunks(of, yield, b.Err)
}

// Counters returns CounterList.
func (b *Backend) Counters(context.Context) ([]session.Count, error) { return b.CounterList, b.Err }

// AuthServers returns AuthList.
func (b *Backend) AuthServers(context.Context) ([]session.AuthServerView, error) {
	return b.AuthList, b.Err
}

// RunningConfig returns Config.
func (b *Backend) RunningConfig(context.Context) (string, error) { return b.Config, b.Err }

// DropSession notes the call; the session must be in SessionList.
func (b *Backend) DropSession(ctx context.Context, slot uint32, cause session.TerminateCause) error {
	if _, err := b.Session(ctx, slot); err != nil {
		return err
	}
	return b.call("drop session %d cause %d", slot, cause)
}

// DropTunnel notes the call; the tunnel must be in TunnelList.
func (b *Backend) DropTunnel(ctx context.Context, id uint16) error {
	b.beforeDrop()
	if _, err := b.Tunnel(ctx, id); err != nil {
		return err
	}
	return b.call("drop tunnel %d", id)
}

// DropUser notes the call and counts in SessionList.
func (b *Backend) DropUser(ctx context.Context, user string, cause session.TerminateCause) (int, error) {
	b.beforeDrop()
	vs, err := b.UserSessions(ctx, user)
	if err != nil {
		return 0, err
	}
	return len(vs), b.call("drop user %s cause %d", user, cause)
}

// Reload notes the call and returns Notes and ReloadErr.
func (b *Backend) Reload(context.Context) ([]string, error) {
	if b.ReloadErr != nil {
		return nil, b.ReloadErr
	}
	return b.Notes, b.call("reload")
}

// ChangeServices notes what the last session that matches would have; it must be in
// SessionList.
func (b *Backend) ChangeServices(_ context.Context, x session.Selector, c *session.Change, o session.ChangeOptions) (int, error) {
	if err := errors.Join(c.Validate(), b.ChangeErr); err != nil {
		return 0, err
	}
	n, s := 0, &session.Services{}
	for _, v := range b.SessionList {
		if (x.Slot == 0 || x.Slot == v.Slot) && (x.User == "" || x.User == v.User) {
			n++
			s = c.Services(v.Services)
		}
	}
	switch {
	case n == 0:
		return 0, session.ErrNoSession
	case s == nil:
		s = &session.Services{}
	}
	return n, b.call("change session %d user %q several %v: up %d down %d filters %q %q garden %q intercept %v", x.Slot, x.User, o.Several,
		s.Up.Bits, s.Down.Bits, s.FilterUp, s.FilterDown, s.Garden, s.Intercept.IsValid())
}

// DefaultRate returns Default, RadiusClients ClientList.
func (b *Backend) DefaultRate() session.Rate { return b.Default }

// RadiusClients is described at DefaultRate.
func (b *Backend) RadiusClients() []api.RadiusClient { return b.ClientList }

// PacketHooks returns Hooks.
func (b *Backend) PacketHooks() [2]api.PacketHook { return b.Hooks }

// LoadPacketHook notes the call and returns the name, or "only".
func (b *Backend) LoadPacketHook(up bool, object []byte, function, by string) (string, error) {
	if len(object) == 0 {
		return "", errors.New("hook refused: EOF")
	}
	if function == "" {
		function = "only"
	}
	return function, b.call("load hook up %v %d bytes %s by %s", up, len(object), function, by)
}

// UnloadPacketHook notes the call.
func (b *Backend) UnloadPacketHook(up bool) error { return b.call("unload hook up %v", up) }

// Plugins returns PluginList.
func (b *Backend) Plugins() []api.Plugin { return b.PluginList }

// LoadPlugin notes the call, as the next two do.
func (b *Backend) LoadPlugin(name string) error { return b.call("load plugin %s", name) }

// RemovePlugin is described at LoadPlugin.
func (b *Backend) RemovePlugin(name string) error { return b.call("remove plugin %s", name) }

// SendToPlugin is described at LoadPlugin.
func (b *Backend) SendToPlugin(name string, words []string) (string, error) {
	return "it heard " + strings.Join(words, " "), b.call("send to plugin %s: %q", name, words)
}

// Shutdown notes the call.
func (b *Backend) Shutdown(context.Context) error {
	b.beforeDrop()
	return b.call("shutdown")
}

func chunks[T any](all []T, yield func([]T) error, err error) error {
	for chunk := range slices.Chunk(all, batch) {
		if err := yield(chunk); err != nil {
			return err
		}
	}
	return err
}

// Start serves b until the test ends and returns the socket's path. The server's
// clock stands at now.
func Start(t testing.TB, b *Backend, now time.Time, opts ...api.Option) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lnsd.sock")
	ln, err := api.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, ln, b, now, opts)
	return path
}

// StartRemote is Start on TCP, with the files of an identity; it returns the address.
func StartRemote(t testing.TB, b *Backend, now time.Time, id api.Identity) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	remote, err := api.Remote(id)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, ln, b, now, []api.Option{remote})
	return ln.Addr().String()
}

func serve(t testing.TB, ln net.Listener, b *Backend, now time.Time, opts []api.Option) {
	opts = append(opts, api.PacketHooks(b), api.Plugins(b))
	opts = append(opts, api.Interceptions(b), api.Captures(b), api.Accounting(b))
	s := api.NewServer(b, zap.NewNop(), append(opts, api.Clock(func() time.Time { return now }), api.Services(b), api.Restrictions(b), api.Terminal(b), api.Commits(b), api.Profiles(b), api.Outgoing(b))...)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Close(ctx)
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

// Grammar returns Grammars.
func (b *Backend) Grammar(context.Context) (*lnsv1.GrammarReply, error) {
	if b.Grammars == nil {
		return &lnsv1.GrammarReply{}, b.Err
	}
	return b.Grammars, b.Err
}

// Configure notes the lines. One with "wrong" in it is refused, one with "partial"
// misses something.
func (b *Backend) Configure(_ context.Context, lines []*lnsv1.ConfigLine) (*lnsv1.ConfigureReply, error) {
	for _, l := range lines {
		if strings.Contains(l.Text, "wrong") {
			return nil, fmt.Errorf("%w: that is wrong", api.ErrRefused)
		}
	}
	if strings.Contains(lines[len(lines)-1].Text, "partial") {
		return &lnsv1.ConfigureReply{Missing: []string{"something is missing"}}, nil
	}
	for _, l := range lines {
		within := ""
		if l.Within != "" {
			within = " in " + l.Within
		}
		if err := b.call("configure %s%s", l.Text, within); err != nil {
			return nil, err
		}
	}
	return &lnsv1.ConfigureReply{Applied: true, Notes: b.Notes}, nil
}

// WriteMemory notes the call.
func (b *Backend) WriteMemory(context.Context) (*lnsv1.WriteMemoryReply, error) {
	return &lnsv1.WriteMemoryReply{File: "/etc/lnsd/startup-config", Lines: 1}, b.call("write memory")
}
