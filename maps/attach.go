package maps

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf/link"
)

// Mode is how the program hangs on a device.
type Mode uint8

// The modes: in the driver, or behind it on socket buffers, which every device
// can do and which is several times slower.
const (
	Native Mode = iota + 1
	Generic
)

func (m Mode) String() string {
	switch m {
	case Native:
		return "native"
	case Generic:
		return "generic"
	}
	return "none"
}

// Attachment is a device that the program is attached to.
type Attachment struct {
	Ifindex int
	Mode    Mode
	// WhyGeneric is the driver's refusal of native mode; nil where it was not
	// asked, because the attachment was made by an earlier process.
	WhyGeneric error
}

// linkPrefix begins the names of pinned links; mode and interface index follow,
// since the kernel does not tell the mode of a link.
const linkPrefix = "xdp_"

func linkName(ifindex int, mode Mode) string {
	return fmt.Sprintf("%s%s_%d", linkPrefix, mode, ifindex)
}

// Attach hangs the program on a device, in native mode if its driver can, and
// lets packets be sent through it. Where an earlier process left it attached,
// the program is replaced in one step and no packet is lost.
//
// A veth device takes redirected frames only if its other end reads by NAPI:
// that has a program attached too, or generic receive offload switched on.
func (m *Maps) Attach(ifindex int) (Attachment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := Attachment{Ifindex: ifindex}
	if held, ok := m.links[ifindex]; ok {
		at.Mode = held.mode
		return at, nil
	}
	hold, err := m.takeOver(ifindex)
	if err == nil && hold.link == nil {
		hold, at.WhyGeneric, err = m.attachNew(ifindex)
	}
	if err != nil {
		return at, fmt.Errorf("attach to interface %d: %w", ifindex, err)
	}
	at.Mode = hold.mode
	value := kernelBpfDevmapVal{Ifindex: uint32(ifindex)}
	if err := m.objs.LnsDevices.Put(uint32(ifindex), &value); err != nil {
		return at, errors.Join(fmt.Errorf("attach to interface %d: %w", ifindex, err), m.drop(hold.link))
	}
	m.links[ifindex] = hold
	return at, nil
}

// takeOver puts this process's program into a link pinned by an earlier one. It
// returns no link where there is none, or only that of a device that is gone.
func (m *Maps) takeOver(ifindex int) (attached, error) {
	if m.cfg.PinPath == "" {
		return attached{}, nil
	}
	for _, mode := range []Mode{Native, Generic} {
		l, err := link.LoadPinnedLink(filepath.Join(m.cfg.PinPath, linkName(ifindex, mode)), nil)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return attached{}, err
		}
		info, err := l.Info()
		if err != nil {
			return attached{}, errors.Join(err, l.Close())
		}
		if xdp := info.XDP(); xdp == nil || xdp.Ifindex != uint32(ifindex) {
			if err := m.drop(l); err != nil {
				return attached{}, err
			}
			continue
		}
		buffers, err := m.update(l)
		if err != nil {
			return attached{}, errors.Join(err, l.Close())
		}
		return attached{l, mode, buffers}, nil
	}
	return attached{}, nil
}

// update puts this process's program into a link, and says whether it is that for
// frames in several buffers.
func (m *Maps) update(l link.Link) (buffers bool, err error) {
	err = l.Update(m.entry())
	if err == nil {
		return false, nil
	}
	p, load := m.forBuffers()
	if load != nil {
		return false, errors.Join(err, load)
	}
	return true, l.Update(p)
}

// attachNew makes a link, and pins it where the maps are pinned.
func (m *Maps) attachNew(ifindex int) (hold attached, why, err error) {
	opts := link.XDPOptions{Program: m.entry(), Interface: ifindex, Flags: link.XDPDriverMode}
	hold.mode = Native
	if !m.cfg.Generic {
		hold.link, why = link.AttachXDP(opts)
	}
	if why != nil {
		// Drivers take frames of several buffers from a program that can read them.
		if p, err := m.forBuffers(); err == nil {
			opts.Program = p
			if hold.link, err = link.AttachXDP(opts); err == nil {
				hold.buffers, why = true, nil
			}
		}
		opts.Program = m.entry()
	}
	if hold.link == nil {
		hold.mode, opts.Flags = Generic, link.XDPGenericMode
		if hold.link, err = link.AttachXDP(opts); err != nil {
			return attached{}, why, errors.Join(why, err)
		}
	}
	if m.cfg.PinPath == "" {
		return hold, why, nil
	}
	if err := hold.link.Pin(filepath.Join(m.cfg.PinPath, linkName(ifindex, hold.mode))); err != nil {
		return attached{}, why, errors.Join(err, hold.link.Close())
	}
	return hold, why, nil
}

// Detach takes the program off a device; one it is not attached to is no error.
func (m *Maps) Detach(ifindex int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := deleteQuietly(m.objs.LnsDevices, uint32(ifindex))
	if held, ok := m.links[ifindex]; ok {
		delete(m.links, ifindex)
		return errors.Join(err, m.drop(held.link))
	}
	if m.cfg.PinPath == "" {
		return err
	}
	for _, mode := range []Mode{Native, Generic} {
		err = errors.Join(err, dropPinned(filepath.Join(m.cfg.PinPath, linkName(ifindex, mode))))
	}
	return err
}

// drop ends a link for good.
func (m *Maps) drop(l link.Link) error {
	if m.cfg.PinPath == "" {
		return errors.Join(l.Detach(), l.Close())
	}
	return errors.Join(l.Detach(), l.Unpin(), l.Close())
}

// dropPinned ends the link pinned at path; none there is no error.
//
// Detaching comes first and by itself: when a pin goes, the kernel ends the link
// some time later, and a device with one still on it refuses the next.
func dropPinned(path string) error {
	l, err := link.LoadPinnedLink(path, nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(l.Detach(), l.Unpin(), l.Close())
}

// Attached returns the devices that the program is attached to, including those
// that an earlier process left pinned and that Attach was not called for.
func (m *Maps) Attached() ([]Attachment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Attachment
	for ifindex, held := range m.links {
		list = append(list, Attachment{Ifindex: ifindex, Mode: held.mode})
	}
	if m.cfg.PinPath == "" {
		return list, nil
	}
	entries, err := os.ReadDir(m.cfg.PinPath)
	if err != nil {
		return nil, fmt.Errorf("attached devices: %w", err)
	}
	for _, e := range entries {
		for _, mode := range []Mode{Native, Generic} {
			var ifindex int
			if _, err := fmt.Sscanf(e.Name(), linkPrefix+mode.String()+"_%d", &ifindex); err != nil {
				continue
			}
			if _, held := m.links[ifindex]; !held {
				list = append(list, Attachment{Ifindex: ifindex, Mode: mode})
			}
		}
	}
	return list, nil
}

// DropStrangers detaches the program of an earlier process from devices that this one
// has not attached to.
func (m *Maps) DropStrangers() error {
	if m.cfg.PinPath == "" {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	held := make(map[string]bool)
	for ifindex, a := range m.links {
		held[linkName(ifindex, a.mode)] = true
	}
	entries, err := os.ReadDir(m.cfg.PinPath)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), linkPrefix) && !held[e.Name()] {
			errs = append(errs, dropPinned(filepath.Join(m.cfg.PinPath, e.Name())))
		}
	}
	return errors.Join(errs...)
}
