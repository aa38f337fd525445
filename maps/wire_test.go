package maps

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// wire sends a frame into one end and waits for the wanted one at the other.
func (w *world) wire(t *testing.T, from, to string, frame, want []byte) {
	t.Helper()
	out, in := w.packetSocket(t, from), w.packetSocket(t, to)
	defer unix.Close(out)
	defer unix.Close(in)
	if err := unix.Sendto(out, frame, 0, &unix.SockaddrLinklayer{Ifindex: w.ifindex(from)}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2048)
	var other [][]byte
	for {
		n, _, err := unix.Recvfrom(in, buf, 0)
		if err != nil {
			t.Fatalf("%s to %s: the frame does not come: %v; others did: % x", from, to, err, other)
		}
		if bytes.Equal(buf[:n], want) {
			return
		}
		other = append(other, bytes.Clone(buf[:n]))
	}
}

// packetSocket opens a raw socket on a device, with a time limit for reading.
func (w *world) packetSocket(t *testing.T, dev string) int {
	t.Helper()
	const all = 0x0300 // ETH_P_ALL in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: w.ifindex(dev)}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 60}); err != nil {
		t.Fatal(err)
	}
	// A redirected frame takes a page of the buffer, however small it is: the default
	// has room for fifty.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20); err != nil {
		t.Fatal(err)
	}
	return fd
}
