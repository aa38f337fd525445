package e2e

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The pinned maps tell their contents to any tool, by name.
func TestMapsAreReadable(t *testing.T) {
	t.Parallel()
	bpftool, err := exec.LookPath("bpftool")
	if err != nil {
		t.Skip("bpftool is not installed (Debian package bpftool):", err)
	}
	r := newRig(t, options{config: "set max_sessions 100"})
	r.lacsim("--sessions", "1", "--hold", "forever")
	r.waitUp(1)
	var s []shownIDs
	r.ctlJSON(&s, "show", "session")

	// A session is found by its ids and by its address, and its policy is one to read.
	wantEntry(t, dump(t, bpftool, r.pins(), "lns_uplinks"), map[string]any{
		"value.tunnel_id": s[0].TID, "value.session_id": s[0].SessionID, "value.slot": 1, "value.packets": 0})
	wantEntry(t, dump(t, bpftool, r.pins(), "lns_downlinks"), map[string]any{
		"value.address": numbers(s[0].Address), "value.slot": 1, "value.packets": 0})
	wantEntry(t, dump(t, bpftool, r.pins(), "lns_sessions"), map[string]any{
		"key": 1, "value.state": "LNS_OPEN", "value.address": numbers(s[0].Address),
		"value.tunnel_id": s[0].TID, "value.session_id": s[0].SessionID,
		"value.peer_tunnel_id": s[0].PeerTunnelID, "value.peer_session_id": s[0].PeerSessionID,
		"value.peer": numbers(s[0].LAC.Addr()), "value.peer_port": s[0].LAC.Port(), "value.mtu": 1460})
	wantEntry(t, dump(t, bpftool, r.pins(), "lns_counters"), map[string]any{
		"key": 1, "value.up.packets": 0, "value.down.packets": 0})
	wantEntry(t, dump(t, bpftool, r.pins(), "lns_locals"), map[string]any{
		"key.addr": numbers(lnsPort.Addr()), "key.port": 1701})
}

// numbers is an address as bpftool prints an array of bytes.
func numbers(a netip.Addr) []int {
	var out []int
	for _, b := range a.AsSlice() {
		out = append(out, int(b))
	}
	return out
}

// dump reads a pinned map with its names.
func dump(t *testing.T, bpftool, pins, name string) []any {
	t.Helper()
	b, err := exec.Command(bpftool, "--json", "map", "dump", "pinned", filepath.Join(pins, name)).Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var raw []struct{ Formatted any }
	if err := json.Unmarshal(b, &raw); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, b)
	}
	entries := make([]any, 0, len(raw))
	for _, e := range raw {
		entries = append(entries, e.Formatted)
	}
	return entries
}

// wantEntry checks that one entry has all of the fields, which are named by their path.
func wantEntry(t *testing.T, entries []any, fields map[string]any) {
	t.Helper()
	for _, e := range entries {
		all := true
		for path, want := range fields {
			x := e
			for name := range strings.SplitSeq(path, ".") {
				m, _ := x.(map[string]any)
				x = m[name]
			}
			// Compared as JSON, where numbers have one type.
			got, _ := json.Marshal(x)
			wanted, _ := json.Marshal(want)
			all = all && bytes.Equal(got, wanted)
		}
		if all {
			return
		}
	}
	shown, _ := json.Marshal(entries[:min(2, len(entries))])
	t.Errorf("no entry with %v; the first of %d: %s", fields, len(entries), shown)
}
