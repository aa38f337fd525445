package maps

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// Reason is how a packet ended in the XDP program.
type Reason = kernelLnsReason

// Verdict is what became of a packet.
type Verdict uint8

// The verdicts: sent on, passed to the kernel untouched, dropped.
const (
	Sent Verdict = iota
	Passed
	Dropped
)

func (v Verdict) String() string {
	switch v {
	case Sent:
		return "sent"
	case Passed:
		return "passed"
	case Dropped:
		return "dropped"
	}
	return "unknown"
}

// Tally is the count of one reason, over all CPUs, since the maps were made.
// Bytes are those of the frames as received.
type Tally struct {
	Reason  Reason
	Name    string // such as "punt_ttl"
	Verdict Verdict
	Packets uint64
	Bytes   uint64
}

// Reasons returns the tally of every reason, in the order of their values.
func (m *Maps) Reasons() ([]Tally, error) {
	tallies := make([]Tally, 0, len(m.names))
	var cpus []kernelLnsTally
	for reason := Reason(1); int(reason) < len(m.names); reason++ {
		if err := m.objs.LnsReasons.Lookup(reason, &cpus); err != nil {
			return nil, fmt.Errorf("reason %s: %w", m.names[reason], err)
		}
		t := Tally{Reason: reason, Name: m.names[reason], Verdict: verdictOf(m.names[reason])}
		for _, c := range cpus {
			t.Packets += c.Packets
			t.Bytes += c.Bytes
		}
		tallies = append(tallies, t)
	}
	return tallies, nil
}

// verdictOf reads the verdict off a reason's name, whose first word is its group.
func verdictOf(name string) Verdict {
	switch group, _, _ := strings.Cut(name, "_"); group {
	case "sent":
		return Sent
	case "drop":
		return Dropped
	default:
		return Passed
	}
}

// reasonNames returns the names of the reasons by value, from the object's BTF:
// LNS_PUNT_TTL is "punt_ttl". The first (0, go on) is never counted.
func reasonNames(spec *ebpf.CollectionSpec) ([]string, error) {
	var enum *btf.Enum
	if err := spec.Types.TypeByName("lns_reason", &enum); err != nil {
		return nil, fmt.Errorf("reasons: %w", err)
	}
	names := make([]string, kernelLnsReasonLNS_REASONS)
	for _, v := range enum.Values {
		if v.Value < uint64(len(names)) {
			names[v.Value] = strings.ToLower(strings.TrimPrefix(v.Name, "LNS_"))
		}
	}
	return names, nil
}
