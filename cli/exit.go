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

// explain turns the error of a run into what to say and the exit code.
func explain(err error, socket string) (string, int) {
	var call *callError
	var usage usageError
	switch {
	case errors.As(err, &call):
		return call.explain(socket)
	case errors.As(err, &usage):
		return usage.Error(), exitUsage
	}
	return err.Error(), exitFailed
}

func (e *callError) explain(socket string) (string, int) {
	st, ok := status.FromError(e.err)
	if !ok {
		// Not from the daemon: our own output failed, for instance.
		return e.err.Error(), exitFailed
	}
	switch st.Code() {
	case codes.Unavailable:
		return e.unreachable(st, socket)
	case codes.NotFound:
		return st.Message(), exitNotFound
	case codes.PermissionDenied, codes.Unauthenticated:
		return "not allowed: " + st.Message(), exitNotAllowed
	case codes.DeadlineExceeded:
		return "no answer in time from lnsd at " + socket, exitTimeout
	case codes.InvalidArgument:
		return st.Message(), exitUsage
	case codes.Unimplemented:
		return "this lnsd does not know the command: it is of another version", exitFailed
	}
	return st.Message(), exitFailed
}

func (e *callError) unreachable(st *status.Status, socket string) (string, int) {
	switch {
	case e.connect == nil:
		return st.Message(), exitUnreachable
	case errors.Is(e.connect, fs.ErrPermission):
		return fmt.Sprintf("not allowed to open %s: run as root or as a member of its group", socket), exitNotAllowed
	case errors.Is(e.connect, fs.ErrNotExist):
		return fmt.Sprintf("lnsd is not reachable: there is no socket %s", socket), exitUnreachable
	}
	return fmt.Sprintf("lnsd is not reachable at %s: %v", socket, e.connect), exitUnreachable
}

// notFound is what the daemon would say of a thing that is not there.
func notFound(noun, name string) error {
	return status.Errorf(codes.NotFound, "%s %s: not found", noun, name)
}
