package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"github.com/lnsd/lnsd/control/api/lnsv1"
)

const (
	// socketMode lets the owner and the group in.
	socketMode = 0o660
	// maxRequest bounds a request: the largest holds a startup-config.
	maxRequest = 4 << 20
	// maxStreams bounds the calls of one connection.
	maxStreams = 64
	// minKeepalive is how often a client may ask whether the connection lives.
	minKeepalive = 10 * time.Second
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
	identify identifier
	creds    credentials.TransportCredentials
	now      func() time.Time
	services []func(grpc.ServiceRegistrar, *options)
	asked    func(method, by string, err error)
	backend  Backend
}

// identifier finds out who makes a call.
type identifier interface {
	caller(ctx context.Context) (Caller, error)
}

// Clock is where the server takes the time from that ages are reckoned by.
func Clock(now func() time.Time) Option { return func(o *options) { o.now = now } }

// NewServer makes a server of what b knows; the options add the services of parts of
// their own. Unless Remote says otherwise it serves root, the user and the group that
// the process runs as, on a Unix socket.
func NewServer(b Backend, log *zap.Logger, opts ...Option) *Server {
	o := options{identify: self(), creds: peerCredentials{}, now: time.Now, backend: b}
	for _, opt := range opts {
		opt(&o)
	}
	s := &Server{grpc: grpc.NewServer(append(observing(o.asked),
		grpc.Creds(o.creds),
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(connectTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minKeepalive, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(unary(o.identify, log)),
		grpc.StreamInterceptor(stream(o.identify, log)),
	)...)}
	lnsv1.RegisterLNSServer(s.grpc, &service{backend: b, now: o.now})
	lnsv1.RegisterTopServer(s.grpc, &topService{backend: b})
	for _, register := range o.services {
		register(s.grpc, &o)
	}
	reflection.Register(s.grpc)
	return s
}

// Serve answers on ln until Close; it closes ln. That Close came first is no error.
func (s *Server) Serve(ln net.Listener) error {
	if err := s.grpc.Serve(ln); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

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

func unary(id identifier, log *zap.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (reply any, err error) {
		who, err := admit(ctx, id, log, info.FullMethod)
		if err != nil {
			return nil, err
		}
		defer survive(log, info.FullMethod, &err)
		reply, err = next(withCaller(ctx, who), req)
		switch need := needs[info.FullMethod]; {
		case need == RightView:
		case need == RightIntercept:
			// Whom it is about is for the audit log alone.
			log.Info("operator's command", zap.String("method", info.FullMethod), zap.Stringer("by", who), zap.Bool("done", err == nil))
		case confidential[info.FullMethod]:
			log.Info("operator's command", zap.String("method", info.FullMethod), zap.Stringer("by", who), zap.Error(err))
		default:
			log.Info("operator's command", zap.String("method", info.FullMethod), zap.Stringer("by", who),
				zap.Any("request", req), zap.Error(err))
		}
		return reply, err
	}
}

func stream(id identifier, log *zap.Logger) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
		who, err := admit(ss.Context(), id, log, info.FullMethod)
		if err != nil {
			return err
		}
		defer survive(log, info.FullMethod, &err)
		if needs[info.FullMethod] != RightView {
			log.Info("operator's command", zap.String("method", info.FullMethod), zap.Stringer("by", who))
		}
		return next(srv, &callStream{ss, withCaller(ss.Context(), who)})
	}
}

// callStream is a stream that knows its caller.
type callStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *callStream) Context() context.Context { return s.ctx }

// admit returns who calls, or the error that refuses it.
func admit(ctx context.Context, id identifier, log *zap.Logger, method string) (Caller, error) {
	who, err := id.caller(ctx)
	if err == nil {
		err = who.may(method)
	}
	if err != nil {
		log.Warn("operator refused", zap.String("method", method), zap.Stringer("by", who), zap.Error(err))
	}
	return who, err
}

// survive turns a panic into an error of the one call: an operator's question must
// never cost subscribers their sessions.
func survive(log *zap.Logger, method string, err *error) {
	if p := recover(); p != nil {
		log.Error("panic in an operator's call", zap.String("method", method), zap.Any("panic", p), zap.Stack("stack"))
		*err = status.Error(codes.Internal, "the daemon failed to answer; its log says why")
	}
}
