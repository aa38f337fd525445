package api

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// process is who is at the other end of a Unix socket, as the kernel tells it.
type process struct {
	pid    int32
	uid    uint32
	groups []uint32 // the primary one and all others
}

// AuthType makes process a credentials.AuthInfo.
func (process) AuthType() string { return "unix" }

// owner says whom a server serves: root, the user that it runs as, and the members
// of the group that it runs as.
type owner struct{ uid, gid uint32 }

func self() owner { return owner{uint32(os.Geteuid()), uint32(os.Getegid())} }

// rights are what p may do. The mode of the socket file lets in the same; this holds
// also where the file was opened up, or passed on. Interception is for root and for the
// daemon's user only.
func (o owner) rights(p process) Right {
	switch {
	case p.uid == 0 || p.uid == o.uid:
		return RightView | RightOperate | RightAdmin | RightIntercept
	case slices.Contains(p.groups, o.gid):
		return roles["admin"]
	default:
		return 0
	}
}

// caller is who makes a request.
func (o owner) caller(ctx context.Context) (Caller, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Caller{Name: "nobody"}, status.Error(codes.Unauthenticated, "no peer")
	}
	who, ok := p.AuthInfo.(process)
	if !ok {
		return Caller{Name: "nobody"}, status.Error(codes.Unauthenticated, "no peer credentials")
	}
	c := Caller{Name: fmt.Sprintf("user %d, process %d", who.uid, who.pid), Rights: o.rights(who)}
	if c.Rights == 0 {
		return c, status.Errorf(codes.PermissionDenied, "user %d is neither root nor of the daemon's user or group", who.uid)
	}
	return c, nil
}

// peerCredentials is a transport that asks the kernel who has connected. Who may
// not call is let in as far as the refusal, so that the client can say why.
type peerCredentials struct{}

func (peerCredentials) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	who, err := readCaller(c)
	if err != nil {
		c.Close()
		return nil, nil, err
	}
	return c, who, nil
}

func (peerCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, fmt.Errorf("api: server's credentials used by a client")
}

func (peerCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "unix"}
}

func (p peerCredentials) Clone() credentials.TransportCredentials { return p }

func (peerCredentials) OverrideServerName(string) error { return nil }

func readCaller(c net.Conn) (who process, err error) {
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return who, fmt.Errorf("api: connection of type %T is not of a Unix socket", c)
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return who, err
	}
	inner := raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err != nil {
			return
		}
		who = process{pid: cred.Pid, uid: cred.Uid, groups: append([]uint32{cred.Gid}, peerGroups(fd)...)}
	})
	if inner != nil {
		return who, inner
	}
	return who, err
}

// maxGroups is the kernel's NGROUPS_MAX.
const maxGroups = 65536

// peerGroups reads SO_PEERGROUPS, for which x/sys has no call. Without an answer
// the primary group alone counts.
func peerGroups(fd uintptr) []uint32 {
	groups := make([]uint32, 64)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == 0:
			return groups[:size/4]
		case errno == unix.ERANGE && len(groups) < maxGroups:
			groups = make([]uint32, maxGroups)
		default:
			return nil
		}
	}
}
