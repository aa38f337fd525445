package maps

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
)

// VLAN is one tag in front of a port's frames.
type VLAN struct {
	Protocol uint16 // ethertype of the tag: 0x8100 or 0x88A8
	ID       uint16 // 1..4094
}

// Port is an interface that packets come and go through: a device with the
// program attached, or a VLAN interface on one.
type Port struct {
	// Ifindex is the interface as the routing table knows it.
	Ifindex int
	// Device is what the frames come in on: Ifindex itself, or the device
	// under a VLAN interface. The program must be attached to it.
	Device int
	// VLANs are the tags on that device, outermost first; at most two. The
	// device must leave them in the frame (ethtool -K DEVICE rxvlan off).
	VLANs []VLAN
	// MAC is the interface's hardware address; frames for others are left alone.
	MAC [6]byte
	// VRF is the routing table of the interface, 0 for main.
	VRF uint32
}

// entries returns a port's keys and values.
func (p Port) entries() (kernelLnsWhere, kernelLnsPort, kernelLnsExit, error) {
	where := kernelLnsWhere{Device: uint32(p.Device)}
	port := kernelLnsPort{Ifindex: uint32(p.Ifindex), Vrf: p.VRF, Mac: p.MAC}
	exit := kernelLnsExit{Device: uint32(p.Device)}
	if len(p.VLANs) > len(where.Vlan) {
		return where, port, exit, fmt.Errorf("port %d: %d VLAN tags, at most %d", p.Ifindex, len(p.VLANs), len(where.Vlan))
	}
	for i, v := range p.VLANs {
		if v.Protocol == 0 || v.ID == 0 || v.ID > 4094 {
			return where, port, exit, fmt.Errorf("port %d: invalid VLAN %d (protocol %#x)", p.Ifindex, v.ID, v.Protocol)
		}
		where.Vlan[i] = v.ID
		exit.Tags[i] = kernelLnsTag{Protocol: v.Protocol, Vlan: v.ID}
	}
	return where, port, exit, nil
}

// AddPort lets packets of a port be forwarded, or changes what is known of it.
func (m *Maps) AddPort(p Port) error {
	where, port, exit, err := p.entries()
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.objs.LnsEgress.Put(port.Ifindex, &exit); err != nil {
		return fmt.Errorf("port %d: %w", p.Ifindex, classify(err))
	}
	if err := m.objs.LnsIngress.Put(&where, &port); err != nil {
		return errors.Join(fmt.Errorf("port %d: %w", p.Ifindex, classify(err)), m.objs.LnsEgress.Delete(port.Ifindex))
	}
	m.ForgetHops() // which know where the port was
	return m.addDoor(where, port)
}

// RemovePort leaves a port's packets to the kernel again; a port that is not
// there is no error.
func (m *Maps) RemovePort(p Port) error {
	where, port, _, err := p.entries()
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.ForgetHops()
	return errors.Join(
		m.removeDoor(where),
		deleteQuietly(m.objs.LnsIngress, &where),
		deleteQuietly(m.objs.LnsEgress, port.Ifindex),
	)
}

// AddLocal says that UDP to ap is ours: L2TP of a socket that the daemon holds.
// The address must be a real one: with a socket on the unspecified address, add
// each address of the host.
func (m *Maps) AddLocal(ap netip.AddrPort) error {
	if isLocal6(ap) {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.addLocal6(ap)
	}
	key, err := localKey(ap)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	whole := key
	whole.Port = 0
	for _, k := range []*kernelLnsLocal{&whole, &key} {
		if err := m.objs.LnsLocals.Put(k, uint32(1)); err != nil {
			return fmt.Errorf("local address %v: %w", ap, classify(err))
		}
	}
	return m.hintLocals(nil)
}

// RemoveLocal undoes AddLocal; an address that is not there is no error.
func (m *Maps) RemoveLocal(ap netip.AddrPort) error {
	if isLocal6(ap) {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.removeLocal6(ap)
	}
	key, err := localKey(ap)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := errors.Join(m.hintLocals(&key), deleteQuietly(m.objs.LnsLocals, &key)); err != nil {
		return err
	}
	// The address stays ours while another of its ports is.
	var other kernelLnsLocal
	var value uint32
	all := m.objs.LnsLocals.Iterate()
	for all.Next(&other, &value) {
		if other.Addr == key.Addr && other.Port != 0 {
			return nil
		}
	}
	key.Port = 0
	return errors.Join(all.Err(), m.hintLocals(&key), deleteQuietly(m.objs.LnsLocals, &key))
}

func localKey(ap netip.AddrPort) (kernelLnsLocal, error) {
	addr := ap.Addr().Unmap()
	if !addr.Is4() || addr.IsUnspecified() || ap.Port() == 0 {
		return kernelLnsLocal{}, fmt.Errorf("local address %v: not an address with a port", ap)
	}
	return kernelLnsLocal{Addr: addr.As4(), Port: ap.Port()}, nil
}

// deleteQuietly deletes key; one that is missing is no error.
func deleteQuietly(from *ebpf.Map, key any) error {
	if err := from.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("%s: %w", from, err)
	}
	return nil
}
