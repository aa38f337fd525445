package perf

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/maps"
	"github.com/lnsd/lnsd/test/netlab"
)

// fastPath is lnsd's XDP program with sessions installed as its daemon installs
// them.
type fastPath struct {
	rig  *rig
	maps *maps.Maps
	// filter is the access list that each session's packets must pass, "" for none.
	filter string
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
	return (&fastPath{rig: r}).load(size, sessions, parts)
}

// newFastPathFiltered is newFastPath with an access list of as many rules as there may
// be, all of which are looked at, for what comes from subscribers.
func newFastPathFiltered(r *rig, size int, sessions []Session) (*fastPath, error) {
	return (&fastPath{rig: r, filter: "long"}).load(size, sessions, 0)
}

func (f *fastPath) load(size int, sessions []Session, parts maps.Part) (*fastPath, error) {
	r := f.rig
	err := r.lab.LNS.Do(func() error {
		var err error
		if f.maps, err = maps.Open(maps.Config{Sessions: uint32(size), Routes: 16, Without: parts}); err != nil {
			return err
		}
		if f.filter != "" {
			if _, err := f.maps.SetFilters([]maps.Filter{{Name: f.filter, Rules: longList()}}); err != nil {
				return err
			}
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
		one := entry(i, &sessions[i])
		one.FilterUp = f.filter
		if err := f.maps.Install(one); err != nil {
			return err
		}
	}
	return nil
}

// longList denies hosts that no packet is for, and lets all others through.
func longList() []maps.Rule {
	all, one := netip.IPv4Unspecified(), netip.AddrFrom4([4]byte{255, 255, 255, 255})
	list := make([]maps.Rule, maps.MaxRules)
	for i := range list {
		list[i] = maps.Rule{
			Protocol: maps.AnyProtocol, Source: all, SourceMask: all,
			Destination: netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), DestinationMask: one,
		}
	}
	last := &list[len(list)-1]
	last.Permit, last.Destination, last.DestinationMask = true, all, all
	return list
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
func (f *fastPath) spreadTarget(name string, t *table) *target {
	var takers []int
	attach := func() (err error) {
		const thread = "cpumap/"
		before := threads(thread)
		if err := f.maps.Spread([]int{ServerCPU}); err != nil {
			return err
		}
		takers, err = favour(thread, before)
		return errors.Join(err, f.attach())
	}
	detach := func() error { return errors.Join(f.detach(), f.maps.Spread(nil)) }
	return &target{name: name, rig: f.rig, table: t, upOnly: true, busy: func() (time.Duration, error) { return cpuTime(takers) },
		attach: attach, detach: detach}
}

func (f *fastPath) target(name string, t *table) *target {
	return &target{name: name, rig: f.rig, table: t, upOnly: f.filter != "", attach: f.attach, detach: f.detach}
}
