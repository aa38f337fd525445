package cli

import (
	"errors"
	"fmt"
	"io/fs"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitNotFound    = 4
	exitNotAllowed  = 5
	exitTimeout     = 6
)

const exitHelp = `Exit codes: 0 done, 1 failed, 2 wrong usage, 3 daemon not reachable,
4 not found, 5 not allowed, 6 no answer in time.`

// usageError is a command line that makes no sense.
type usageError struct{ error }

// callError is a call to the daemon that failed; connect is why no connection came
// about, if that was it.
type callError struct{ err, connect error }

func (e *callError) Error() string { return e.err.Error() }

func (e *callError) Unwrap() error { return e.err }

// errStreamEnded is a stream that the daemon ended although it has no end.
var errStreamEnded = status.Error(codes.Unavailable, "the daemon ended the stream")

var errOneServer = errors.New("a shell takes one --server")

// isUnreachable reports whether trying again could help.
func isUnreachable(err error) bool { return status.Code(unwrapCall(err)) == codes.Unavailable }

func unwrapCall(err error) error {
	var call *callError
	if errors.As(err, &call) {
		return call.err
	}
	return err
}

// explain turns the error of a run into what to say and the exit code.
func explain(err error, where string) (string, int) {
	var call *callError
	var usage usageError
	switch {
	case errors.As(err, &call):
		return call.explain(where)
	case errors.As(err, &usage):
		return usage.Error(), exitUsage
	}
	return err.Error(), exitFailed
}

func (e *callError) explain(where string) (string, int) {
	st, ok := status.FromError(e.err)
	if !ok {
		// Not from the daemon: our own output failed, for instance.
		return e.err.Error(), exitFailed
	}
	switch st.Code() {
	case codes.Unavailable:
		return e.unreachable(st, where)
	case codes.NotFound:
		return st.Message(), exitNotFound
	case codes.PermissionDenied, codes.Unauthenticated:
		return "not allowed: " + st.Message(), exitNotAllowed
	case codes.DeadlineExceeded:
		return "no answer in time from lnsd at " + where, exitTimeout
	case codes.InvalidArgument:
		return st.Message(), exitUsage
	case codes.Unimplemented:
		return "this lnsd does not know the command: it is of another version", exitFailed
	}
	return st.Message(), exitFailed
}

func (e *callError) unreachable(st *status.Status, where string) (string, int) {
	switch {
	case e.connect == nil:
		return st.Message(), exitUnreachable
	case errors.Is(e.connect, fs.ErrPermission):
		return fmt.Sprintf("not allowed to open %s: run as root or as a member of its group", where), exitNotAllowed
	case errors.Is(e.connect, fs.ErrNotExist):
		return fmt.Sprintf("lnsd is not reachable: there is no socket %s", where), exitUnreachable
	}
	return fmt.Sprintf("lnsd is not reachable at %s: %v", where, e.connect), exitUnreachable
}

// notFound is what the daemon would say of a thing that is not there.
func notFound(noun, name string) error {
	return status.Errorf(codes.NotFound, "%s %s: not found", noun, name)
}
