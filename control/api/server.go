package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lnsd/lnsd/control/api/lnsv1"
)

const (
	// socketMode lets the owner and the group in.
	socketMode = 0o660
	// maxRequest bounds a request: the largest holds one user name.
	maxRequest = 64 << 10
	// maxStreams bounds the calls of one connection.
	maxStreams = 64
	// connectTimeout is for those who connect and then say nothing.
	connectTimeout = 10 * time.Second
)

// Listen opens the Unix socket at path, with its directory if need be. A socket
// that an earlier process left behind is replaced; one that is answered is not.
func Listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s exists and is not a socket", path)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return fmt.Errorf("%s is in use by another daemon", path)
	}
	return os.Remove(path)
}

// Server serves the operators' interface.
type Server struct {
	grpc *grpc.Server
}

// Option changes how a server is made.
type Option func(*options)

type options struct {
	owner    owner
	now      func() time.Time
	services []func(grpc.ServiceRegistrar, *options)
}

// Clock is where the server takes the time from that ages are reckoned by.
func Clock(now func() time.Time) Option { return func(o *options) { o.now = now } }

// NewServer makes a server of what b knows; options add the services of parts of
// their own. It serves root, the user and the group
// that the process runs as.
func NewServer(b Backend, log *zap.Logger, opts ...Option) *Server {
	o := options{owner: self(), now: time.Now}
	for _, opt := range opts {
		opt(&o)
	}
	s := &Server{grpc: grpc.NewServer(
		grpc.Creds(peerCredentials{}),
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(connectTimeout),
		grpc.UnaryInterceptor(unary(o.owner, log)),
		grpc.StreamInterceptor(stream(o.owner, log)),
	)}
	lnsv1.RegisterLNSServer(s.grpc, &service{backend: b, now: o.now, owner: o.owner})
	for _, register := range o.services {
		register(s.grpc, &o)
	}
	return s
}

// Serve answers on ln until Close; it closes ln.
func (s *Server) Serve(ln net.Listener) error { return s.grpc.Serve(ln) }

// Close lets calls that are under way end, as long as ctx lasts, and cuts off the
// rest.
func (s *Server) Close(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
	}
}

func unary(o owner, log *zap.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (reply any, err error) {
		who, err := o.check(ctx)
		if err != nil {
			refused(log, who, info.FullMethod)
			return nil, err
		}
		defer survive(log, info.FullMethod, &err)
		reply, err = next(ctx, req)
		if changes(info.FullMethod) {
			log.Info("operator's command", zap.String("method", info.FullMethod),
				zap.Uint32("uid", who.uid), zap.Int32("pid", who.pid), zap.Any("request", req), zap.Error(err))
		}
		return reply, err
	}
}

func stream(o owner, log *zap.Logger) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
		who, err := o.check(ss.Context())
		if err != nil {
			refused(log, who, info.FullMethod)
			return err
		}
		defer survive(log, info.FullMethod, &err)
		return next(srv, ss)
	}
}

// survive turns a panic into an error of the one call: an operator's question must
// never cost subscribers their sessions.
func survive(log *zap.Logger, method string, err *error) {
	if p := recover(); p != nil {
		log.Error("panic in an operator's call", zap.String("method", method), zap.Any("panic", p), zap.Stack("stack"))
		*err = status.Error(codes.Internal, "the daemon failed to answer; its log says why")
	}
}

func refused(log *zap.Logger, who caller, method string) {
	log.Warn("operator refused", zap.String("method", method), zap.Uint32("uid", who.uid), zap.Int32("pid", who.pid))
}

// changes reports whether a method does more than show.
func changes(method string) bool {
	name := method[strings.LastIndexByte(method, '/')+1:]
	return strings.HasPrefix(name, "Drop") || name == "Reload" || name == "Shutdown"
}
