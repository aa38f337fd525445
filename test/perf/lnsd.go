package perf

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"time"

	"github.com/lnsd/lnsd/maps"
	"github.com/lnsd/lnsd/test/netlab"
)

// fastPath is lnsd's XDP program with sessions installed as its daemon installs
// them.
type fastPath struct {
	rig  *rig
	maps *maps.Maps
}

// usualFlags is the framing that the reference has too: 40 bytes.
const usualFlags = maps.FlagLength | maps.FlagAddressControl | maps.FlagDontFragment

// usualMTU is what a subscriber's modem asks for on Ethernet, usualMSS what fits
// into it.
const (
	usualMTU = 1492
	usualMSS = usualMTU - 40
)

// trusted is beyond the end of any run: a daemon, which listens to the kernel's
// routing, would say the same again and again.
const trusted = time.Duration(math.MaxInt64)

// newFastPath loads the program with room for size sessions and installs some. All
// checks are on; there is no setting that would turn them off.
func newFastPath(r *rig, size int, sessions []Session) (f *fastPath, err error) {
	return newFastPathWithout(r, size, sessions, 0)
}

// newFastPathWithout is newFastPath that leaves parts of the program out.
func newFastPathWithout(r *rig, size int, sessions []Session, parts maps.Part) (f *fastPath, err error) {
	f = &fastPath{rig: r}
	err = r.lab.LNS.Do(func() error {
		if f.maps, err = maps.Open(maps.Config{Sessions: uint32(size), Routes: 16, Without: parts}); err != nil {
			return err
		}
		return f.fill(sessions)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lnsd's program: %w", err), f.close())
	}
	return f, nil
}

func (f *fastPath) fill(sessions []Session) error {
	if err := f.maps.AddLocal(netip.AddrPortFrom(netlab.LNSAddr, l2tpPort)); err != nil {
		return err
	}
	for _, p := range []*port{&f.rig.lac.far, &f.rig.core.far} {
		entry := maps.Port{Ifindex: p.ifindex, Device: p.ifindex}
		copy(entry.MAC[:], p.mac)
		if err := f.maps.AddPort(entry); err != nil {
			return err
		}
	}
	f.maps.TrustHops(trusted)
	for i := range sessions {
		if err := f.maps.Install(entry(i, &sessions[i])); err != nil {
			return err
		}
	}
	return nil
}

// entry is how session i of a list is installed.
func entry(i int, s *Session) maps.Session {
	return maps.Session{Slot: uint32(i + 1), Policy: maps.Policy{
		Flags: usualFlags, Local: netlab.LNSAddr.As4(), Peer: netlab.LACAddr.As4(),
		LocalPort: l2tpPort, PeerPort: l2tpPort, Mtu: usualMTU, ClampMss: usualMSS,
		TunnelId: s.TunnelID, SessionId: s.SessionID,
		PeerTunnelId: s.PeerTunnelID, PeerSessionId: s.PeerSessionID, Address: s.Address,
	}}
}

func (f *fastPath) attach() error {
	return f.rig.lab.LNS.Do(func() error {
		for _, p := range []*port{&f.rig.lac.far, &f.rig.core.far} {
			at, err := f.maps.Attach(p.ifindex)
			if err != nil {
				return err
			}
			if at.Mode != maps.Native {
				return fmt.Errorf("%s: XDP in %s mode: %w", p.name, at.Mode, at.WhyGeneric)
			}
		}
		return nil
	})
}

func (f *fastPath) detach() error {
	return errors.Join(f.maps.Detach(f.rig.lac.far.ifindex), f.maps.Detach(f.rig.core.far.ifindex))
}

func (f *fastPath) close() error {
	if f.maps == nil {
		return nil
	}
	return f.maps.Close()
}

// spreadTarget is lnsd's program with uplink data handed to the CPU that does not
// generate it. Generating and handing over are one CPU's work, forwarding and what comes
// behind it the other's, whose queue drops what is too much.
func (f *fastPath) spreadTarget(t *table) *target {
	attach := func() error {
		before := threads("cpumap/")
		err := errors.Join(f.maps.Spread([]int{1 - GeneratorCPU}), f.attach())
		if os.Getenv("P3NICE") != "" {
			err = errors.Join(err, favour("cpumap/", before))
		}
		return err
	}
	detach := func() error { return errors.Join(f.detach(), f.maps.Spread(nil)) }
	return &target{name: LNSDSpread, rig: f.rig, table: t, elsewhere: true, upOnly: true, attach: attach, detach: detach}
}

func (f *fastPath) target(t *table) *target {
	return &target{name: LNSD, rig: f.rig, table: t, attach: f.attach, detach: f.detach}
}
