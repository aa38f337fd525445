package maps

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"unsafe"
)

// Limits of access lists.
const (
	// MaxFilters is the most lists, MaxRules the most rules of one in each family.
	MaxFilters = 128
	MaxRules   = 64
)

// Filter is an access list with the rules for both families.
type Filter struct {
	// Name is at most 31 bytes long.
	Name          string
	Rules, Rules6 []Rule
}

// Rule is one rule of a Filter. Addresses match where they agree with the rule's in
// the bits of the masks; those of a prefix without bits match all.
type Rule struct {
	Permit bool
	// Protocol is IP's number; AnyProtocol matches all.
	Protocol                           uint16
	Source, SourceMask                 netip.Addr
	Destination, DestinationMask       netip.Addr
	SourcePorts, DestinationPorts      PortRange
	AnySet, AnyClear, AllSet, AllClear uint8
	Fragments                          bool
}

// AnyProtocol is the Protocol of rules that do not ask for one.
const AnyProtocol = 1 << 8

// PortRange is the ports from Low to High, or with Not all others. Given false is
// every port.
type PortRange struct {
	Given, Not bool
	Low, High  uint16
}

// Flags of a Policy that its filters set.
const (
	flagFilterUp   = kernelLnsFlagLNS_FILTER_UP
	flagFilterDown = kernelLnsFlagLNS_FILTER_DOWN
)

// FlagGarden is the flag of a session in a walled garden.
const FlagGarden = kernelLnsFlagLNS_GARDEN

// ErrNoFilter says that there is no access list of that name.
var ErrNoFilter = errors.New("no such access list")

const (
	lists      = 2*MaxFilters + 1
	ruleCounts = 2 * (MaxRules + 1)
)

// filters knows which names have which index, and which list is in force under it.
type filters struct {
	indices map[string]uint16
	names   [MaxFilters + 1]string
	// stale says that a packet under way may read a list that was given up.
	stale bool
}

// SetFilters puts access lists in force under their names, each as a whole between
// two packets, and leaves the others in force that sessions are still held to;
// their names are returned. The counters of a list that stays as it is go on, those
// of one that changes begin anew. On error the lists are as they were or, one by
// one, as they are to be.
func (m *Maps) SetFilters(set []Filter) (left []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	wanted := map[string]bool{}
	for i := range set {
		wanted[set[i].Name] = true
	}
	left, err = m.dropFilters(wanted)
	if err != nil {
		return left, err
	}
	for i := range set {
		if err := m.setFilter(&set[i]); err != nil {
			return left, fmt.Errorf("access list %s: %w", set[i].Name, err)
		}
	}
	return left, nil
}

// dropFilters forgets lists that are not wanted any more and that no session uses.
func (m *Maps) dropFilters(wanted map[string]bool) (left []string, err error) {
	used := m.filtersInUse()
	var gone []uint16
	for name, index := range m.filters.indices {
		switch {
		case wanted[name]:
		case used[index]:
			left = append(left, name)
		default:
			gone = append(gone, index)
		}
	}
	slices.Sort(left)
	for _, index := range gone {
		atomic.StoreUint64(&m.current.values[index], 0)
		delete(m.filters.indices, m.filters.names[index])
		m.filters.names[index], m.filters.stale = "", true
	}
	return left, nil
}

// filtersInUse tells the indices that sessions are held to.
func (m *Maps) filtersInUse() (used [MaxFilters + 1]bool) {
	for slot := range m.sessions.values {
		s := &m.sessions.values[slot]
		if s.State != kernelLnsStateLNS_OPEN || s.Flags&(flagFilterUp|flagFilterDown) == 0 {
			continue
		}
		if s.Flags&flagFilterUp != 0 && s.FilterUp <= MaxFilters {
			used[s.FilterUp] = true
		}
		if s.Flags&flagFilterDown != 0 && s.FilterDown <= MaxFilters {
			used[s.FilterDown] = true
		}
	}
	return used
}

// setFilter puts one list in force.
func (m *Maps) setFilter(f *Filter) error {
	list, err := f.list()
	if err != nil {
		return err
	}
	index, known := m.filters.indices[f.Name]
	if !known {
		i := slices.Index(m.filters.names[1:], "")
		if i < 0 {
			return ErrFull
		}
		index = uint16(i + 1)
	}
	before := uint32(m.current.values[index])
	if before != 0 {
		var have kernelLnsList
		if err := m.objs.LnsLists.Lookup(before, &have); err != nil {
			return err
		}
		if have == *list {
			return nil
		}
	}
	version, err := m.spareList()
	if err != nil {
		return err
	}
	if err := m.objs.LnsLists.Put(version, list); err != nil {
		return err
	}
	if err := m.zeroHits(version); err != nil {
		return err
	}
	m.filters.indices[f.Name], m.filters.names[index] = index, f.Name
	atomic.StoreUint64(&m.current.values[index], uint64(version))
	m.filters.stale = m.filters.stale || before != 0
	return nil
}

// spareList is a list that no packet looks at.
func (m *Maps) spareList() (uint32, error) {
	var used [lists]bool
	for _, version := range m.current.values {
		if version < lists {
			used[version] = true
		}
	}
	for version := uint32(1); version < lists; version++ {
		if used[version] {
			continue
		}
		if m.filters.stale {
			if err := m.grace.wait(); err != nil {
				return 0, err
			}
			m.filters.stale = false
		}
		return version, nil
	}
	return 0, ErrFull
}

func (m *Maps) zeroHits(version uint32) error {
	cpus, err := m.hitsOf(version * ruleCounts)
	if err != nil {
		return err
	}
	clear(cpus)
	for i := range uint32(ruleCounts) {
		if err := m.objs.LnsRuleHits.Put(version*ruleCounts+i, cpus); err != nil {
			return err
		}
	}
	return nil
}

func (m *Maps) hitsOf(key uint32) ([]uint64, error) {
	var cpus []uint64
	err := m.objs.LnsRuleHits.Lookup(key, &cpus)
	return cpus, err
}

// FilterHits returns how many packets each rule of a list decided on, in each
// family, and at the end how many none did.
func (m *Maps) FilterHits(name string) (hits, hits6 []uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	index, ok := m.filters.indices[name]
	if !ok {
		return nil, nil, ErrNoFilter
	}
	version := uint32(m.current.values[index])
	var list kernelLnsList
	if err := m.objs.LnsLists.Lookup(version, &list); err != nil {
		return nil, nil, err
	}
	read := func(first, n uint32) (sums []uint64, err error) {
		for i := range min(n, MaxRules) + 1 {
			cpus, err := m.hitsOf(version*ruleCounts + first + i)
			if err != nil {
				return nil, err
			}
			var sum uint64
			for _, n := range cpus {
				sum += n
			}
			sums = append(sums, sum)
		}
		return sums, nil
	}
	if hits, err = read(0, list.Count4); err != nil {
		return nil, nil, err
	}
	hits6, err = read(MaxRules+1, list.Count6)
	return hits, hits6, err
}

// learnFilters takes over what an earlier process had put in force.
func (m *Maps) learnFilters() error {
	for index, version := range m.current.values {
		if index == 0 || version == 0 {
			continue
		}
		var list kernelLnsList
		if err := m.objs.LnsLists.Lookup(uint32(version), &list); err != nil {
			return fmt.Errorf("access lists: %w", err)
		}
		name := make([]byte, 0, len(list.Name))
		for _, c := range list.Name {
			if c == 0 {
				break
			}
			name = append(name, byte(c))
		}
		m.filters.indices[string(name)], m.filters.names[index] = uint16(index), string(name)
	}
	return nil
}

// filterIndices resolves the names that a session gives; "" is none.
func (m *Maps) filterIndices(up, down string) (indices [2]uint16, err error) {
	for i, name := range [...]string{up, down} {
		if name == "" {
			continue
		}
		index, ok := m.filters.indices[name]
		if !ok {
			return indices, fmt.Errorf("%w: %s", ErrNoFilter, name)
		}
		indices[i] = index
	}
	return indices, nil
}

// setFilters writes indices and flags.
func (p *kernelLnsSession) setFilters(indices [2]uint16) {
	p.FilterUp, p.FilterDown = indices[0], indices[1]
	p.Flags &^= flagFilterUp | flagFilterDown
	if indices[0] != 0 {
		p.Flags |= flagFilterUp
	}
	if indices[1] != 0 {
		p.Flags |= flagFilterDown
	}
}

// changeServices writes the flags and filters of a slot in use. The filters go first,
// for a flag must not lead to none; one that is given up keeps its index, since a
// packet under way may have seen the flag.
func (m *Maps) changeServices(slot uint32, p Policy) {
	s := &m.sessions.values[slot]
	m.clearLosses(slot, p.Flags&^s.Flags)
	if p.Flags&flagFilterUp == 0 {
		p.FilterUp = s.FilterUp
	}
	if p.Flags&flagFilterDown == 0 {
		p.FilterDown = s.FilterDown
	}
	both := (*uint32)(unsafe.Pointer(&s.FilterUp)) // bpfel: the first is the low half
	atomic.StoreUint32(both, uint32(p.FilterUp)|uint32(p.FilterDown)<<16)
	m.setFlags(slot, p.Flags)
}

func (f *Filter) list() (*kernelLnsList, error) {
	var l kernelLnsList
	switch {
	case f.Name == "" || len(f.Name) >= len(l.Name):
		return nil, fmt.Errorf("name of %d bytes", len(f.Name))
	case len(f.Rules) > MaxRules || len(f.Rules6) > MaxRules:
		return nil, fmt.Errorf("%w: more than %d rules", ErrFull, MaxRules)
	}
	for i := range len(f.Name) {
		l.Name[i] = int8(f.Name[i])
	}
	l.Count4, l.Count6 = uint32(len(f.Rules)), uint32(len(f.Rules6))
	for i := range f.Rules {
		r := &f.Rules[i]
		l.Rules4[i] = kernelLnsRule4{
			Source: four(r.Source), SourceMask: four(r.SourceMask),
			Destination: four(r.Destination), DestinationMask: four(r.DestinationMask), Rest: r.rest(),
		}
	}
	for i := range f.Rules6 {
		r := &f.Rules6[i]
		l.Rules6[i] = kernelLnsRule6{
			Source: sixteen(r.Source), SourceMask: sixteen(r.SourceMask),
			Destination: sixteen(r.Destination), DestinationMask: sixteen(r.DestinationMask), Rest: r.rest(),
		}
	}
	return &l, nil
}

func four(a netip.Addr) (b [4]uint8) {
	if a.Is4() {
		return a.As4()
	}
	return b
}

func sixteen(a netip.Addr) (b [16]uint8) {
	if a.Is6() {
		return a.As16()
	}
	return b
}

func (r *Rule) rest() kernelLnsRule {
	k := kernelLnsRule{
		SourceHigh: 65535, DestinationHigh: 65535,
		AnySet: r.AnySet, AnyClear: r.AnyClear, AllSet: r.AllSet, AllClear: r.AllClear,
	}
	if r.AnySet|r.AnyClear == 0 {
		k.AnySet, k.AnyClear = 0xFF, 0xFF
	}
	if r.Protocol < AnyProtocol {
		k.Protocol, k.ProtocolMask = uint8(r.Protocol), 0xFF
	}
	flag := func(on bool, f kernelLnsRuleFlag) {
		if on {
			k.Flags |= f
		}
	}
	flag(r.Permit, kernelLnsRuleFlagLNS_RULE_PERMIT)
	flag(r.Fragments, kernelLnsRuleFlagLNS_RULE_FRAGMENTS)
	flag(r.SourcePorts.Not, kernelLnsRuleFlagLNS_RULE_NOT_SOURCE)
	flag(r.DestinationPorts.Not, kernelLnsRuleFlagLNS_RULE_NOT_DESTINATION)
	flag(r.SourcePorts.Given || r.DestinationPorts.Given || r.AnySet|r.AnyClear|r.AllSet|r.AllClear != 0,
		kernelLnsRuleFlagLNS_RULE_DEEP)
	if r.SourcePorts.Given {
		k.SourceLow, k.SourceHigh = r.SourcePorts.Low, r.SourcePorts.High
	}
	if r.DestinationPorts.Given {
		k.DestinationLow, k.DestinationHigh = r.DestinationPorts.Low, r.DestinationPorts.High
	}
	return k
}
