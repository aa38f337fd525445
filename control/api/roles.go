package api

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Right is what a caller may do; a set of bits.
type Right uint8

// The rights.
const (
	// RightView shows everything but secrets and interceptions.
	RightView Right = 1 << iota
	// RightOperate does what touches single subscribers and tunnels.
	RightOperate
	// RightAdmin changes the configuration, and ends the daemon.
	RightAdmin
	// RightIntercept orders interceptions, and sees them.
	RightIntercept
)

// Roles are the sets of rights that have names. Interception is apart: who may do
// everything else may not order it, nor see that there is one.
var roles = map[string]Right{
	"viewer":    RightView,
	"operator":  RightView | RightOperate,
	"admin":     RightView | RightOperate | RightAdmin,
	"intercept": RightView | RightIntercept,
}

// RoleNames are the roles that a client's certificate may give.
func RoleNames() []string { return []string{"viewer", "operator", "admin", "intercept"} }

// rightsOf adds up the rights of some roles; unknown ones give none.
func rightsOf(names []string) Right {
	var r Right
	for _, n := range names {
		r |= roles[n]
	}
	return r
}

func (r Right) String() string {
	var names []string
	for i, name := range [...]string{"view", "operate", "admin", "intercept"} {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// needs is the right that each method takes. What is missing here is for nobody: a
// test holds the table to the schema.
var needs = map[string]Right{
	"/lns.v1.LNS/Status":        RightView,
	"/lns.v1.LNS/Sessions":      RightView,
	"/lns.v1.LNS/Session":       RightView,
	"/lns.v1.LNS/Tunnels":       RightView,
	"/lns.v1.LNS/Tunnel":        RightView,
	"/lns.v1.LNS/Pools":         RightView,
	"/lns.v1.LNS/Leases":        RightView,
	"/lns.v1.LNS/Counters":      RightView,
	"/lns.v1.LNS/RadiusServers": RightView,
	"/lns.v1.LNS/RunningConfig": RightView,
	"/lns.v1.LNS/DropSession":   RightOperate,
	"/lns.v1.LNS/DropTunnel":    RightOperate,
	"/lns.v1.LNS/DropUser":      RightOperate,
	"/lns.v1.LNS/Reload":        RightAdmin,
	"/lns.v1.LNS/Shutdown":      RightAdmin,

	"/lns.v1.Events/Watch": RightView,
	"/lns.v1.Top/Sessions": RightView,

	"/lns.v1.Terminal/Grammar":     RightView,
	"/lns.v1.Terminal/Configure":   RightAdmin,
	"/lns.v1.Terminal/WriteMemory": RightAdmin,

	"/lns.v1.Plugins/Plugins":      RightView,
	"/lns.v1.Plugins/LoadPlugin":   RightAdmin,
	"/lns.v1.Plugins/RemovePlugin": RightAdmin,
	"/lns.v1.Plugins/SendToPlugin": RightOperate,

	"/lns.v1.PacketHooks/PacketHooks":      RightView,
	"/lns.v1.PacketHooks/LoadPacketHook":   RightAdmin,
	"/lns.v1.PacketHooks/UnloadPacketHook": RightAdmin,
	"/lns.v1.Interceptions/Interceptions":  RightIntercept,
	"/lns.v1.Accounting/Accounting":        RightView,
	"/lns.v1.Captures/Capture":             RightOperate,
	"/lns.v1.Captures/ListCaptures":        RightView,

	"/lns.v1.Restrictions/AccessLists": RightView,
	"/lns.v1.Restrictions/Gardens":     RightView,

	"/lns.v1.Profiles/ListProfiles":   RightView,
	"/lns.v1.Profiles/GetProfile":     RightView,
	"/lns.v1.Profiles/ChangeProfile":  RightAdmin,
	"/lns.v1.Profiles/Explain":        RightView,
	"/lns.v1.Outgoing/ListOutgoing":   RightView,
	"/lns.v1.Outgoing/GetOutgoing":    RightView,
	"/lns.v1.Outgoing/ChangeOutgoing": RightAdmin,
	"/lns.v1.Outgoing/RetryOutgoing":  RightOperate,
	"/lns.v1.Traces/SetTrace":         RightOperate,
	"/lns.v1.Traces/ListTraces":       RightView,
	"/lns.v1.Traces/ClearTraces":      RightOperate,
	"/lns.v1.Traces/FollowTrace":      RightOperate,

	"/lns.v1.History/Stories": RightView,

	"/lns.v1.Config/GetText":  RightAdmin,
	"/lns.v1.Config/Edit":     RightAdmin,
	"/lns.v1.Config/Diff":     RightAdmin,
	"/lns.v1.Config/Check":    RightAdmin,
	"/lns.v1.Config/Commit":   RightAdmin,
	"/lns.v1.Config/Confirm":  RightAdmin,
	"/lns.v1.Config/Rollback": RightAdmin,
	"/lns.v1.Config/History":  RightAdmin,
	"/lns.v1.Config/Discard":  RightAdmin,
	"/lns.v1.Config/Save":     RightAdmin,

	"/lns.v1.Services/ChangeServices": RightOperate,
	"/lns.v1.Services/Intercept":      RightIntercept,
	"/lns.v1.Services/RadiusClients":  RightView,
	"/lns.v1.Services/Throttled":      RightView,

	// Which services there are; part of gRPC.
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      RightView,
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": RightView,
}

// confidential are the methods whose requests may hold secrets, and are not logged.
var confidential = map[string]bool{
	"/lns.v1.Terminal/Configure":      true,
	"/lns.v1.Config/Edit":             true,
	"/lns.v1.Profiles/ChangeProfile":  true,
	"/lns.v1.Outgoing/ChangeOutgoing": true,
}

// Caller is who makes a call.
type Caller struct {
	// Name is "uid N" on the Unix socket, and the certificate's common name from afar.
	Name   string
	Rights Right
}

// may returns the error that keeps c from a method; nil when it may.
func (c Caller) may(method string) error {
	need, ok := needs[method]
	if !ok {
		return status.Errorf(codes.Unimplemented, "there is no %s", method)
	}
	if c.Rights&need == 0 {
		return status.Errorf(codes.PermissionDenied, "%s has no right to %s (has: %s)", c.Name, need, c.Rights)
	}
	return nil
}

type callerKey struct{}

// CallerOf is who made the call that ctx belongs to; nobody, without rights, outside
// of calls.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// mayIntercept reports whether the caller may order interceptions, and see them.
func mayIntercept(ctx context.Context) bool { return CallerOf(ctx).Rights&RightIntercept != 0 }

func withCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// String is for logs.
func (c Caller) String() string { return fmt.Sprintf("%s (%s)", c.Name, c.Rights) }
