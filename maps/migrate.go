package maps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
)

// previousLayout is the one that Open goes on from besides its own.
//
// From layout 2 to 3 sessions and their keys stayed as they were, so those maps are
// shared with the old program, which goes on forwarding until Attach puts the new one
// into its place. What is not the same size is made anew: lns_live, which the daemon
// fills, and lns_reasons, whose counts begin again. Maps that layout 2 did not have
// are made as at a first start.
const previousLayout kernelLnsLayout = 2

// outgrown are the maps of previousLayout that don't fit any more.
var outgrown = [...]string{kernelMapLnsCalls, kernelMapLnsHosts, kernelMapLnsNets6, kernelMapLnsReasons, kernelMapLnsLive}

// adopt readies what is pinned at path for this program and reports whether there
// is anything. A layout that it can't go on from is left as it is.
func adopt(path string) (bool, error) {
	layout, err := pinnedLayout(path)
	if err != nil {
		return false, err
	}
	switch layout {
	case kernelLnsLayoutLNS_LAYOUT, 0:
	case previousLayout:
		// The old program keeps hold of its own. lns_live goes last: a process
		// that dies before it begins again here, one that dies after it finds
		// maps without a layout, as their maker had left them.
		for _, name := range outgrown {
			if err := os.Remove(filepath.Join(path, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return false, fmt.Errorf("from layout %d to %d: %w", layout, kernelLnsLayoutLNS_LAYOUT, err)
			}
		}
	default:
		return false, fmt.Errorf("%w: they have layout %d, this program has %d and can go on from %d; remove them (lnsd --cleanup) to start anew",
			ErrIncompatible, layout, kernelLnsLayoutLNS_LAYOUT, previousLayout)
	}
	_, err = os.Stat(filepath.Join(path, kernelMapLnsSessions))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// pinnedLayout returns the layout number of the maps pinned at path, 0 where
// there are none, or where their maker died before they were complete. It is the
// first word of lns_live in every layout.
func pinnedLayout(path string) (kernelLnsLayout, error) {
	live, err := ebpf.LoadPinnedMap(filepath.Join(path, kernelMapLnsLive), nil)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer live.Close()
	facts, err := live.LookupBytes(uint32(0))
	if err != nil || len(facts) < 4 {
		return 0, fmt.Errorf("%w: %s: %w", ErrIncompatible, kernelMapLnsLive, err)
	}
	return kernelLnsLayout(binary.NativeEndian.Uint32(facts)), nil
}
