package login

import (
	"io"
	"net/netip"
)

// Terminal is where somebody sits who has logged in.
type Terminal struct {
	io.Reader
	io.Writer
	// User is his name, By how he came: "ssh" or "telnet".
	User, By string
	From     netip.AddrPort
	// Command is what he wants carried out instead of a shell; then there need not be a
	// terminal at all.
	Command string
	// Size is the terminal's in columns and rows, zeros without one. Resized has
	// something in it when that has changed.
	Size    func() (width, height int)
	Resized <-chan struct{}
}
