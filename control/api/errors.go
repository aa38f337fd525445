package api

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// asStatus gives a Backend's error the code that the client acts on.
func asStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err // from the stream, or made here
	}
	return status.Error(codeOf(err), utf8Text(err.Error()))
}

func codeOf(err error) codes.Code {
	switch {
	case errors.Is(err, ErrNotFound):
		return codes.NotFound
	case errors.Is(err, ErrRefused):
		return codes.FailedPrecondition
	case errors.Is(err, ErrStopping):
		return codes.Unavailable
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	default:
		return codes.Internal
	}
}

// about is asStatus for a call that names one thing: what is not there is called
// by the name that the operator used.
func about(err error, format string, args ...any) error {
	if errors.Is(err, ErrNotFound) {
		return status.Error(codes.NotFound, utf8Text(fmt.Sprintf(format, args...))+": not found")
	}
	return asStatus(err)
}
