package main

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/coreos/go-systemd/v22/activation"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/lnsd/lnsd/control/udp"
)

// socketName is what systemd keeps the L2TP sockets under.
const socketName = "l2tp"

// inheritedFiles are those that systemd has kept for us.
func inheritedFiles() []*os.File { return activation.Files(true) }

// keepSockets hands duplicates of the L2TP sockets to systemd, which holds them while
// the daemon is away. A closed port would be answered by ICMP, on which LACs may give
// up a tunnel; what arrives at an open one waits.
func keepSockets(log *zap.Logger, pair *udp.Pair) {
	for _, s := range pair.Sockets() {
		f, err := s.File()
		if err == nil {
			err = errors.Join(notifyWithFile("FDSTORE=1\nFDNAME="+socketName, f), f.Close())
		}
		if err != nil {
			log.Warn("systemd does not keep the socket over a restart", zap.Error(err))
		}
	}
}

// dropSockets takes them back: nobody is to answer from now on.
func dropSockets(log *zap.Logger) { notify(log, "FDSTOREREMOVE=1\nFDNAME="+socketName) }

// notifyWithFile sends systemd a message with a file; without systemd it does nothing.
func notifyWithFile(state string, f *os.File) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	files, err := f.SyscallConn()
	if err != nil {
		return err
	}
	socket, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	// Go's own WriteMsgUnix refuses a connected socket for datagrams.
	var sent error
	failed := files.Control(func(fd uintptr) {
		rights := unix.UnixRights(int(fd))
		sent = socket.Control(func(to uintptr) { err = unix.Sendmsg(int(to), []byte(state), rights, nil, 0) })
	})
	if err := errors.Join(failed, sent, err); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}
