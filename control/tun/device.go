package tun

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// queue is one queue of the TUN device.
//
// It is driven here rather than by a library so that packets are neither copied
// nor waited for one at a time: reading goes on until the queue is empty, the
// pieces of a packet are written from where they were received.
type queue struct {
	file *os.File // makes Close safe while others read and write
	conn syscall.RawConn
	// offload says that each packet has an offload header in front.
	offload bool
}

// openDevice creates the TUN device with so many queues. With offload, the kernel
// passes TCP in segments of up to 64 KiB, which are cut and joined here: many
// packets for one system call and one pass through the kernel.
func openDevice(name string, offload bool, count int) (queues []*queue, got string, err error) {
	defer func() {
		if err != nil {
			for _, q := range queues {
				err = errors.Join(err, q.close())
			}
		}
	}()
	flags := uint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if offload {
		flags |= unix.IFF_VNET_HDR
	}
	if count > 1 {
		flags |= unix.IFF_MULTI_QUEUE
	}
	got = name
	for range count {
		q, actual, err := openQueue(got, flags)
		if err != nil {
			return queues, "", err
		}
		queues, got = append(queues, q), actual
	}
	return queues, got, nil
}

// openQueue opens the device or, if it is there, another queue of it.
func openQueue(name string, flags uint16) (*queue, string, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", fmt.Errorf("open /dev/net/tun: %w", err)
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("interface name %q: %w", name, err), unix.Close(fd))
	}
	ifr.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return nil, "", errors.Join(fmt.Errorf("create TUN device %q: %w", name, err), unix.Close(fd))
	}
	offload := flags&unix.IFF_VNET_HDR != 0
	if offload {
		// TCP over IPv4 alone: UDP is cut by the kernel, which costs little for
		// what routers see of it.
		if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM|unix.TUN_F_TSO4); err != nil {
			return nil, "", errors.Join(fmt.Errorf("TUN device %q: offloads: %w", name, err), unix.Close(fd))
		}
	}
	file := os.NewFile(uintptr(fd), "/dev/net/tun")
	conn, err := file.SyscallConn()
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("TUN device %q: %w", name, err), file.Close())
	}
	return &queue{file: file, conn: conn, offload: offload}, ifr.Name(), nil
}

// close may be called twice.
func (q *queue) close() error {
	if err := q.file.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// readRounds is how many packets are read before the reader looks up.
const readRounds = 256

// reader reads a queue for one receiver.
type reader struct {
	q   *queue
	to  receiver
	buf []byte
	err unix.Errno

	// fill is the method value r.read, made once: a closure per call would be an
	// allocation.
	fill func(fd uintptr) bool
}

// receiver takes what is read. frame is one packet, behind an offload header if
// the queue has them, valid during the call; idle means that no more are waiting.
type receiver interface {
	frame(b []byte)
	idle()
}

func newReader(q *queue, to receiver) *reader {
	r := &reader{q: q, to: to, buf: make([]byte, offloadLen+maxPacket)}
	r.fill = r.read
	return r
}

// run reads until ctx ends or the queue is closed, and then returns nil. failed is
// called for each read that the device refused.
func (r *reader) run(ctx context.Context, failed func()) error {
	if err := r.q.file.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		_ = r.q.file.SetReadDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-woken // lest it come to the next run
		}
	}()
	for ctx.Err() == nil {
		err := r.q.conn.Read(r.fill)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case errors.Is(err, os.ErrClosed), r.err == unix.EBADFD:
			return nil
		case err != nil, r.err != 0:
			// The next packet may be better. A device that fails for ever
			// must not take a whole CPU.
			failed()
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// read takes what is there; false means to wait for more.
func (r *reader) read(fd uintptr) bool {
	for range readRounds {
		// The queue doesn't block, so the scheduler need not know of the call.
		n, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&r.buf[0])), uintptr(len(r.buf)))
		switch r.err = errno; errno {
		case 0:
			r.to.frame(r.buf[:n])
		case unix.EINTR:
		case unix.EAGAIN:
			r.err = 0
			r.to.idle()
			return false
		default:
			r.to.idle()
			return true
		}
	}
	return true
}

// writer writes frames to a queue. It belongs to one goroutine.
type writer struct {
	q      *queue
	iovs   []unix.Iovec
	batch  *joiner
	failed int
	try    func(fd uintptr) // the method value w.writeAll, made once
}

func newWriter(q *queue) *writer {
	w := &writer{q: q, iovs: make([]unix.Iovec, 1+maxJoined)}
	w.try = w.writeAll
	return w
}

// write writes what has been joined and returns how many packets were refused.
func (w *writer) write(j *joiner) (failed int) {
	w.batch, w.failed = j, 0
	if w.q.conn.Control(w.try) != nil {
		w.failed = j.packets()
	}
	w.batch = nil
	return w.failed
}

func (w *writer) writeAll(fd uintptr) {
	for i := range w.batch.frames {
		f := &w.batch.frames[i]
		if !w.writeFrame(fd, f) {
			w.failed += f.packets
		}
	}
}

// writeFrame writes one frame. The queue doesn't block, so the scheduler need not
// know of the call.
func (w *writer) writeFrame(fd uintptr, f *frame) bool {
	call, from, n := uintptr(unix.SYS_WRITEV), unsafe.Pointer(nil), 0
	if first := w.batch.pieces[f.first]; first.next == none && (f.inFront || !w.q.offload) {
		// The usual case is a little cheaper than a list of one.
		call, from, n = unix.SYS_WRITE, unsafe.Pointer(&first.b[0]), len(first.b)
	} else {
		iovs := w.gather(f)
		from, n = unsafe.Pointer(&iovs[0]), len(iovs)
	}
	for {
		_, _, errno := unix.RawSyscall(call, fd, uintptr(from), uintptr(n))
		if errno != unix.EINTR {
			return errno == 0
		}
	}
}

// gather lists the pieces of a frame.
func (w *writer) gather(f *frame) []unix.Iovec {
	iovs := w.iovs[:0]
	if w.q.offload && !f.inFront {
		iovs = append(iovs, unix.Iovec{Base: &f.header[0], Len: offloadLen})
	}
	for at := f.first; at != none; at = w.batch.pieces[at].next {
		b := w.batch.pieces[at].b
		iovs = append(iovs, unix.Iovec{Base: &b[0], Len: uint64(len(b))})
	}
	return iovs
}
