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

// caller is who is at the other end of a Unix socket, as the kernel tells it.
type caller struct {
	pid    int32
	uid    uint32
	groups []uint32 // the primary one and all others
}

// AuthType makes caller a credentials.AuthInfo.
func (caller) AuthType() string { return "unix" }

// owner says whom a server serves: root, the user that it runs as, and the members
// of the group that it runs as.
type owner struct{ uid, gid uint32 }

func self() owner { return owner{uint32(os.Geteuid()), uint32(os.Getegid())} }

// allows reports whether c may call. The mode of the socket file says the same;
// this holds also where the file was opened up, or passed on.
func (o owner) allows(c caller) bool {
	return c.uid == 0 || c.uid == o.uid || slices.Contains(c.groups, o.gid)
}

// check returns the caller of a request, or the error that refuses it.
func (o owner) check(ctx context.Context) (caller, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return caller{}, status.Error(codes.Unauthenticated, "no peer")
	}
	c, ok := p.AuthInfo.(caller)
	if !ok {
		return caller{}, status.Error(codes.Unauthenticated, "no peer credentials")
	}
	if !o.allows(c) {
		return c, status.Errorf(codes.PermissionDenied, "user %d is neither root nor of the daemon's user or group", c.uid)
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

func readCaller(c net.Conn) (who caller, err error) {
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
		who = caller{pid: cred.Pid, uid: cred.Uid, groups: append([]uint32{cred.Gid}, peerGroups(fd)...)}
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
