package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/apitest"
	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/session"
)

// asStranger makes the test binary a client that another user runs.
const asStranger = "LNSD_TEST_STRANGER_SOCKET"

func TestMain(m *testing.M) {
	if path := os.Getenv(asStranger); path != "" {
		c, err := api.Dial(path)
		if err == nil {
			_, err = c.Status(context.Background(), &lnsv1.StatusRequest{})
		}
		fmt.Print(status.Code(err))
		return
	}
	goleak.VerifyTestMain(m)
}

func dial(t *testing.T, path string) (*api.Client, context.Context) {
	t.Helper()
	c, err := api.Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return c, ctx
}

func sids(t *testing.T, c *api.Client, ctx context.Context, r *lnsv1.SessionsRequest) string {
	t.Helper()
	stream, err := c.Sessions(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		reply, err := stream.Recv()
		if err != nil {
			if status.Code(err) != codes.Unknown || err.Error() != "EOF" {
				return err.Error()
			}
			return strings.Join(got, " ")
		}
		for _, s := range reply.Sessions {
			got = append(got, fmt.Sprint(s.Sid))
		}
	}
}

func TestSessionsAreFilteredByTheServer(t *testing.T) {
	b := &apitest.Backend{}
	for i, user := range []string{"alice@a", "bob@a", "alice@b", "bob@b", ""} {
		state := "up"
		if user == "" {
			state = "lcp"
		}
		b.SessionList = append(b.SessionList, session.View{
			Ref: session.Ref{TunnelID: uint16(1 + i%2)}, Slot: uint32(i + 1), User: user, State: state,
		})
	}
	c, ctx := dial(t, apitest.Start(t, b, time.Now()))
	for _, q := range []struct {
		request *lnsv1.SessionsRequest
		want    string
	}{
		{&lnsv1.SessionsRequest{}, "1 2 3 4 5"},
		{&lnsv1.SessionsRequest{UserGlob: "alice*"}, "1 3"},
		{&lnsv1.SessionsRequest{UserGlob: "*@b"}, "3 4"},
		{&lnsv1.SessionsRequest{UserGlob: "bob@a"}, "2"},
		{&lnsv1.SessionsRequest{UserGlob: "nobody"}, ""},
		{&lnsv1.SessionsRequest{State: "lcp"}, "5"},
		{&lnsv1.SessionsRequest{TunnelId: 2}, "2 4"},
		{&lnsv1.SessionsRequest{TunnelId: 2, UserGlob: "*@a"}, "2"},
		{&lnsv1.SessionsRequest{UserGlob: "["}, "rpc error: code = InvalidArgument desc = user: not a pattern of letters, * and ?"},
	} {
		if got := sids(t, c, ctx, q.request); got != q.want {
			t.Errorf("%v: %s, want %s", q.request, got, q.want)
		}
	}
}

func TestErrorsBecomeCodes(t *testing.T) {
	for want, err := range map[codes.Code]error{
		codes.NotFound:           fmt.Errorf("x: %w", api.ErrNotFound),
		codes.FailedPrecondition: fmt.Errorf("x: %w", api.ErrRefused),
		codes.Unavailable:        api.ErrStopping,
		codes.Canceled:           context.Canceled,
		codes.DeadlineExceeded:   context.DeadlineExceeded,
		codes.Internal:           errors.New("anything \xff else"),
	} {
		c, ctx := dial(t, apitest.Start(t, &apitest.Backend{Err: err}, time.Now()))
		calls := map[string]error{}
		_, calls["status"] = c.Status(ctx, &lnsv1.StatusRequest{})
		_, calls["tunnels"] = c.Tunnels(ctx, &lnsv1.TunnelsRequest{})
		_, calls["pools"] = c.Pools(ctx, &lnsv1.PoolsRequest{})
		_, calls["counters"] = c.Counters(ctx, &lnsv1.CountersRequest{})
		_, calls["radius"] = c.RadiusServers(ctx, &lnsv1.RadiusServersRequest{})
		_, calls["config"] = c.RunningConfig(ctx, &lnsv1.RunningConfigRequest{})
		_, calls["reload"] = c.Reload(ctx, &lnsv1.ReloadRequest{})
		_, calls["shutdown"] = c.Shutdown(ctx, &lnsv1.ShutdownRequest{})
		_, calls["drop user"] = c.DropUser(ctx, &lnsv1.DropUserRequest{User: "u"})
		stream, _ := c.Sessions(ctx, &lnsv1.SessionsRequest{})
		_, calls["sessions"] = stream.Recv()
		for name, got := range calls {
			if status.Code(got) != want {
				t.Errorf("%s: %v becomes %v, want %v", name, err, got, want)
			}
		}
	}
}

func TestArgumentsAreChecked(t *testing.T) {
	c, ctx := dial(t, apitest.Start(t, &apitest.Backend{}, time.Now()))
	_, tooLarge := c.Tunnel(ctx, &lnsv1.TunnelRequest{TunnelId: 65536})
	_, zero := c.DropTunnel(ctx, &lnsv1.DropTunnelRequest{})
	_, cause := c.DropSession(ctx, &lnsv1.DropSessionRequest{Sid: 1, Cause: 99})
	_, user := c.DropUser(ctx, &lnsv1.DropUserRequest{})
	for _, err := range []error{tooLarge, zero, cause, user} {
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v", err)
		}
	}
	_, nobody := c.DropUser(ctx, &lnsv1.DropUserRequest{User: "nobody"})
	if status.Code(nobody) != codes.NotFound {
		t.Errorf("user without sessions: %v", nobody)
	}
}

// A fault in a call ends that call alone.
func TestPanicEndsTheCallOnly(t *testing.T) {
	b := &apitest.Backend{BeforeSession: func(context.Context) { panic("fault") }}
	c, ctx := dial(t, apitest.Start(t, b, time.Now()))
	_, err := c.Session(ctx, &lnsv1.SessionRequest{Sid: 1})
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "fault") {
		t.Errorf("%v", err)
	}
	if _, err := c.Status(ctx, &lnsv1.StatusRequest{}); err != nil {
		t.Errorf("the server is gone: %v", err)
	}
}

func TestNamesOfAnyBytesAreShown(t *testing.T) {
	b := &apitest.Backend{SessionList: []session.View{{Slot: 1, User: "a\xffb\x1b[0m", LACName: "\xc3\x28"}}}
	c, ctx := dial(t, apitest.Start(t, b, time.Now()))
	s, err := c.Session(ctx, &lnsv1.SessionRequest{Sid: 1})
	if err != nil {
		t.Fatal(err)
	}
	if s.User != `a\xffb`+"\x1b[0m" || s.LacName != `\xc3(` {
		t.Errorf("user %q, LAC %q", s.User, s.LacName)
	}
}

func TestCloseCutsOffHangingCalls(t *testing.T) {
	entered := make(chan struct{})
	b := &apitest.Backend{BeforeSession: func(ctx context.Context) { close(entered); <-ctx.Done() }}
	path := filepath.Join(t.TempDir(), "s")
	ln, err := api.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := api.NewServer(b, zap.NewNop())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	c, ctx := dial(t, path)
	failed := make(chan error, 1)
	go func() { _, err := c.Session(ctx, &lnsv1.SessionRequest{Sid: 1}); failed <- err }()
	<-entered
	stop, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	s.Close(stop)
	if err := <-failed; err == nil {
		t.Error("the hanging call succeeded")
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}

func TestCommandsAreLogged(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	path := filepath.Join(t.TempDir(), "s")
	ln, err := api.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := api.NewServer(&apitest.Backend{}, zap.New(core))
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	c, ctx := dial(t, path)
	c.Status(ctx, &lnsv1.StatusRequest{})
	c.Reload(ctx, &lnsv1.ReloadRequest{})
	s.Close(ctx)
	<-served
	entries := logs.All()
	by := fmt.Sprintf("user %d, process %d", os.Geteuid(), os.Getpid())
	if len(entries) != 1 || !strings.HasPrefix(fmt.Sprint(entries[0].ContextMap()["by"]), by) ||
		entries[0].ContextMap()["method"] != "/lns.v1.LNS/Reload" {
		t.Errorf("logged: %v", entries)
	}
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run", "lnsd.sock")
	ln, err := api.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := api.Listen(path); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second daemon: %v", err)
	}
	// What a killed daemon leaves behind is replaced.
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	ln.Close()
	if _, err := os.Stat(path); err != nil {
		t.Fatal("nothing left behind to test with")
	}
	if ln, err = api.Listen(path); err != nil {
		t.Fatalf("stale socket: %v", err)
	}
	ln.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := api.Listen(file); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a plain file: %v", err)
	}
}

// Somebody else is refused and told so, even where the file lets them in.
func TestStrangersAreRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	dir, err := os.MkdirTemp("/tmp", "lnsd-api-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path, program := filepath.Join(dir, "s"), filepath.Join(dir, "client")
	ln, err := api.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := api.NewServer(&apitest.Backend{}, zap.NewNop())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() { s.Close(context.Background()); <-served })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(program, b, 0o755), os.Chmod(dir, 0o755), os.Chmod(path, 0o666)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		who  syscall.Credential
		want string
	}{
		{syscall.Credential{Uid: 65534, Gid: 65534}, "PermissionDenied"},
		{syscall.Credential{Uid: 65534, Gid: 65534, Groups: []uint32{12345, uint32(os.Getegid())}}, "OK"},
		{syscall.Credential{Uid: 65534, Gid: uint32(os.Getegid())}, "OK"},
		{syscall.Credential{Uid: 0, Gid: 65534}, "OK"},
	} {
		cmd := exec.Command(program)
		cmd.Env = []string{asStranger + "=" + path}
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &c.who}
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != c.want {
			t.Errorf("%+v: %s, %v; want %s", c.who, out, err, c.want)
		}
	}
}

func TestClientSaysWhyItCannotConnect(t *testing.T) {
	c, ctx := dial(t, filepath.Join(t.TempDir(), "none"))
	_, err := c.Status(ctx, &lnsv1.StatusRequest{})
	if status.Code(err) != codes.Unavailable || !errors.Is(c.ConnectError(), os.ErrNotExist) {
		t.Errorf("%v; %v", err, c.ConnectError())
	}
}

// Rows that a filter holds back do not leave the daemon.
func TestRowsAreFilteredByTheDaemon(t *testing.T) {
	b := &apitest.Backend{}
	for i := range uint32(100) {
		b.SessionList = append(b.SessionList, session.View{Slot: i, State: "up", User: fmt.Sprintf("user%d", i), UserVerified: true})
	}
	c, err := api.Dial(apitest.Start(t, b, time.Unix(0, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, r := range []struct {
		filters []*lnsv1.LineFilter
		want    int
	}{
		{nil, 100},
		{[]*lnsv1.LineFilter{{Pattern: `user1\d`}}, 10},
		{[]*lnsv1.LineFilter{{Pattern: `user1\d`}, {Pattern: "user15", Exclude: true}}, 9},
		{[]*lnsv1.LineFilter{{Pattern: "(", Exclude: true}}, -1},
	} {
		stream, err := c.Sessions(context.Background(), &lnsv1.SessionsRequest{Filters: r.filters})
		n := 0
		for err == nil {
			var reply *lnsv1.SessionsReply
			if reply, err = stream.Recv(); err == nil {
				n += len(reply.Sessions)
			}
		}
		if !errors.Is(err, io.EOF) {
			n = -1
		}
		if n != r.want {
			t.Errorf("%v: %d sessions, want %d (%v)", r.filters, n, r.want, err)
		}
	}
}

// A daemon told to stop as it starts closes its server first.
func TestServeAfterClose(t *testing.T) {
	ln, err := api.Listen(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	s := api.NewServer(&apitest.Backend{}, zap.NewNop())
	s.Close(context.Background())
	if err := s.Serve(ln); err != nil {
		t.Errorf("serve: %v", err)
	}
	if _, err := ln.Accept(); err == nil {
		t.Error("the listener is open")
	}
}
