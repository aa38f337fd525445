package tun

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// Offsets of the destination address in an IPv4 header, and of the second half of
// the first 64 bits of the destination address in an IPv6 header.
const (
	destinationAt  = 16
	destination6At = 24 + 4
)

// steer has the device choose queues by destination address. On its own it would
// choose the queue that a connection's packets were last written to: the one that
// an Uplink uses. All packets for one address, or one /64 of IPv6, take one queue, so
// that they stay in order.
func steer(q *queue) (err error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "tun_steer", Type: ebpf.SocketFilter, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{
			asm.Mov.Reg(asm.R6, asm.R1), // what LoadAbs reads from
			asm.LoadAbs(0, asm.Byte),
			asm.RSh.Imm32(asm.R0, 4),
			asm.JEq.Imm(asm.R0, 6, "ipv6"),
			asm.LoadAbs(destinationAt, asm.Word),
			asm.Ja.Label("choose"),
			asm.LoadAbs(destination6At, asm.Word).WithSymbol("ipv6"),
			asm.Mul.Imm32(asm.R0, hashFactor).WithSymbol("choose"),
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
