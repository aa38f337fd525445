package api

import (
	"context"
	"fmt"

	"google.golang.org/grpc/peer"
)

// mayIntercept reports whether the caller may order interceptions and see them: root
// and the daemon's user may. Members of its group, who may do everything else, may not.
func (o owner) mayIntercept(ctx context.Context) bool {
	c, ok := callerOf(ctx)
	return ok && (c.uid == 0 || c.uid == o.uid)
}

// callerName is the caller for a log.
func callerName(ctx context.Context) string {
	c, ok := callerOf(ctx)
	if !ok {
		return "nobody"
	}
	return fmt.Sprintf("user %d, process %d", c.uid, c.pid)
}

func callerOf(ctx context.Context) (caller, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return caller{}, false
	}
	c, ok := p.AuthInfo.(caller)
	return c, ok
}
