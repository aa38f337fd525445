package tun

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// destinationAt is the offset of the destination address in an IPv4 header.
const destinationAt = 16

// steer has the device choose queues by destination address. On its own it would
// choose the queue that a connection's packets were last written to: the one that
// an Uplink uses. All packets for one address take one queue, so that they stay in
// order.
func steer(q *queue) (err error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "tun_steer", Type: ebpf.SocketFilter, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{
			asm.Mov.Reg(asm.R6, asm.R1), // what LoadAbs reads from
			asm.LoadAbs(destinationAt, asm.Word),
			asm.Mul.Imm32(asm.R0, hashFactor),
			asm.RSh.Imm32(asm.R0, 16), // the kernel takes it modulo the queues
			asm.Return(),
		},
	})
	if err != nil {
		return fmt.Errorf("program for the choice of queues: %w", err)
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	var ioctl error
	if err := q.conn.Control(func(fd uintptr) {
		ioctl = unix.IoctlSetPointerInt(int(fd), unix.TUNSETSTEERINGEBPF, p.FD())
	}); err != nil {
		return err
	}
	if ioctl != nil {
		return fmt.Errorf("choice of queues: %w", ioctl)
	}
	return nil
}
