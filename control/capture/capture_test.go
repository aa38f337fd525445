package capture

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/lnsd/lnsd/control/session"
)

var (
	local = netip.MustParseAddrPort("192.0.2.1:1701")
	peer  = netip.MustParseAddrPort("198.51.100.5:1701")
	alice = session.Ref{TunnelID: 7, SessionID: 9, Serial: 4}
)

// rig is a hub with a data plane that remembers which slots are on.
type rig struct {
	*Hub
	mu     sync.Mutex
	on     map[uint32]bool
	views  []session.View
	missed uint64
}

func newRig() *rig {
	r := &rig{on: map[uint32]bool{}}
	r.Hub = New(Ports{
		Switch: func(slot uint32, on bool) { r.mu.Lock(); defer r.mu.Unlock(); r.on[slot] = on },
		Missed: func() uint64 { return r.missed },
		Sessions: func(_ context.Context, yield func([]session.View) error) error {
			return yield(r.views)
		},
		Session: func(_ context.Context, slot uint32) (session.View, bool, error) {
			for _, v := range r.views {
				if v.Slot == slot {
					return v, true, nil
				}
			}
			return session.View{}, false, nil
		},
	})
	return r
}

func (r *rig) isOn(slot uint32) bool { r.mu.Lock(); defer r.mu.Unlock(); return r.on[slot] }

// file is a capture in the making; end ends it and returns what was captured.
func (r *rig) file(t *testing.T, o Options) (end func() []captured) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all bytes.Buffer
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		ended <- r.Capture(ctx, o, func(p Part) error {
			all.Write(p.Data)
			select {
			case began <- struct{}{}:
			default:
			}
			return nil
		})
	}()
	<-began
	return func() []captured {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		return parse(t, all.Bytes())
	}
}

type captured struct {
	layer   int
	data    []byte
	length  int
	comment string
	inbound bool
}

func parse(t *testing.T, file []byte) (out []captured) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, info, o, err := r.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, captured{info.InterfaceIndex, data, info.Length, strings.Join(o.Comments, "|"), o.Flags.Direction == pcapgo.NgEpbFlagDirectionInbound})
	}
}

func pap(user, password string) []byte {
	b := []byte{0xff, 0x03, 0xc0, 0x23, 1, 1, 0, byte(6 + len(user) + len(password)), byte(len(user))}
	b = append(append(b, user...), byte(len(password)))
	return append(b, password...)
}

func icrq() []byte {
	return []byte{0xc8, 0x02, 0, 28, 0, 7, 0, 0, 0, 2, 0, 2, 0x80, 8, 0, 0, 0, 0, 0, 10, 0x80, 8, 0, 0, 0, 14, 0, 99}
}

func (r *rig) call(user string, ref session.Ref, slot uint32, peerID uint16) {
	r.Passed(&session.Tapped{At: time.Now(), Layer: session.TapControl, Ref: session.Ref{TunnelID: ref.TunnelID}, PeerSessionID: peerID, Local: local, Peer: peer, Data: icrq()})
	m := session.Tapped{At: time.Now(), Layer: session.TapPPP, Ref: ref, PeerSessionID: peerID, Slot: slot, Local: local, Peer: peer, Data: pap(user, "secret")}
	r.Passed(&m)
	m.User, m.Sent, m.Data = user, true, []byte{0xc0, 0x23, 2, 1, 0, 5, 0}
	r.Passed(&m)
}

// A capture begun before the call has it from the first message on, without the
// password, and nobody else's.
func TestBeforeTheSession(t *testing.T) {
	r := newRig()
	end := r.file(t, Options{Target: Target{User: "alice"}})
	r.call("bob", session.Ref{TunnelID: 7, SessionID: 8}, 2, 98)
	r.call("alice", alice, 3, 99)
	if !r.isOn(3) || r.isOn(2) {
		t.Error("the wrong slots are on")
	}
	if l := r.List(); len(l) != 1 || l[0].User != "alice" || l[0].Sessions != 1 || l[0].Packets != 3 || l[0].Since.IsZero() {
		t.Errorf("shown %+v", l)
	}
	r.Captured(&session.PacketCopy{At: time.Now(), Slot: 3, TunnelID: 7, SessionID: 9, Up: true, Length: 20, Packet: make([]byte, 20), Reason: "throttle"})
	r.Captured(&session.PacketCopy{At: time.Now(), Slot: 3, TunnelID: 7, SessionID: 10, Length: 20, Packet: make([]byte, 20)})
	got := end()
	if r.isOn(3) || r.Wanted() {
		t.Error("the end left something on")
	}
	var order []int
	for _, p := range got {
		order = append(order, p.layer)
		if bytes.Contains(p.data, []byte("secret")) {
			t.Errorf("a password: %q", p.data)
		}
	}
	if !slices.Equal(order, []int{messages, frames, frames, packets}) {
		t.Fatalf("layers %v", order)
	}
	if !bytes.Contains(got[1].data, []byte("alice\x06******")) || !got[1].inbound || got[2].inbound {
		t.Errorf("PAP is %q, %q", got[1].data, got[2].data)
	}
	if want := "session 3, up, fast path, not forwarded: throttle"; got[3].comment != want {
		t.Errorf("comment %q, want %q", got[3].comment, want)
	}
	p := gopacket.NewPacket(got[0].data, layers.LayerTypeIPv4, gopacket.Default)
	if u, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP); !ok || u.SrcPort != 1701 || !bytes.Equal(u.Payload, icrq()) {
		t.Errorf("the control message is %v", p)
	}
}

// Sessions that are up are found by what they are, and forgotten when they are over.
func TestSessionsThatAreUp(t *testing.T) {
	for _, target := range []Target{{User: "alice"}, {Calling: "030"}, {LAC: peer.Addr()}, {Slot: 3}} {
		r := newRig()
		r.views = []session.View{
			{Ref: alice, Slot: 3, User: "alice", Calling: "030", LAC: peer},
			{Ref: session.Ref{TunnelID: 8, SessionID: 1}, Slot: 4, User: "bob", LAC: local},
		}
		end := r.file(t, Options{Target: target, Snap: 10})
		if !r.isOn(3) { // from the first part on
			t.Errorf("%+v: slot 3 is not on", target)
		}
		r.Captured(&session.PacketCopy{At: time.Now(), Slot: 3, TunnelID: 7, SessionID: 9, Length: 20, Packet: make([]byte, 20)})
		r.Captured(&session.PacketCopy{At: time.Now(), Slot: 4, TunnelID: 8, SessionID: 1, Length: 20, Packet: make([]byte, 20)})
		r.Over(alice, 3)
		if r.isOn(3) || r.isOn(4) {
			t.Errorf("%+v: slot 3 on %v after its session, 4 %v", target, r.isOn(3), r.isOn(4))
		}
		// The next one in the slot is somebody else.
		r.Captured(&session.PacketCopy{At: time.Now(), Slot: 3, TunnelID: 7, SessionID: 10, Length: 20, Packet: make([]byte, 20)})
		got := end()
		if len(got) != 1 || len(got[0].data) != 10 || got[0].length != 20 {
			t.Errorf("%+v: %+v", target, got)
		}
	}
}

// A capture of a slot waits for a session where there is none, and ends with it.
func TestSlotToCome(t *testing.T) {
	r := newRig()
	var file bytes.Buffer
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		ended <- r.Capture(t.Context(), Options{Target: Target{Slot: 3}}, func(p Part) error {
			file.Write(p.Data)
			select {
			case began <- struct{}{}:
			default:
			}
			return nil
		})
	}()
	<-began
	if !r.isOn(3) {
		t.Error("the slot is not on")
	}
	r.call("bob", session.Ref{TunnelID: 7, SessionID: 8}, 2, 98)
	r.call("alice", alice, 3, 99)
	r.Captured(&session.PacketCopy{At: time.Now(), Slot: 3, TunnelID: 7, SessionID: 9, Length: 20, Packet: make([]byte, 20)})
	r.Over(alice, 3)
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the capture does not end with the session")
	}
	if r.isOn(3) || r.Wanted() {
		t.Error("the end left something on")
	}
	if got := parse(t, file.Bytes()); len(got) != 4 {
		t.Errorf("%d packets: %+v", len(got), got)
	}
}

// With secrets passwords, proofs and what could hold one are in the file as they were,
// also of packets on their way from the LAC to the slow path.
func TestSecrets(t *testing.T) {
	const header = "\xc8\x02\x00\x1b\x00\x07\x00\x00\x00\x02\x00\x02"
	control := []byte(header + "\x80\x08\x00\x00\x00\x00\x00\x0a\x80\x0c\x00\x00\x00\x21answer")
	outer := datagram(peer, local, append([]byte{0, 2, 0, 7, 0, 9}, pap("alice", "secret")...))
	for _, secrets := range []bool{false, true} {
		r := newRig()
		r.views = []session.View{{Ref: alice, Slot: 3, User: "alice", LAC: peer}}
		end := r.file(t, Options{Target: Target{User: "alice"}, Secrets: secrets})
		r.Passed(&session.Tapped{At: time.Now(), Layer: session.TapPPP, Ref: alice, Slot: 3, User: "alice", Local: local, Peer: peer, Data: pap("alice", "secret")})
		r.Passed(&session.Tapped{At: time.Now(), Layer: session.TapControl, Ref: alice, Slot: 3, User: "alice", Local: local, Peer: peer, Data: control})
		r.Captured(&session.PacketCopy{At: time.Now(), Slot: 3, TunnelID: 7, SessionID: 9, Up: true, Outer: true, Length: len(outer), Packet: outer, Reason: "ppp"})
		got := end()
		if len(got) != 3 {
			t.Fatalf("secrets %v: %d packets", secrets, len(got))
		}
		for i, word := range []string{"secret", "answer", "secret"} {
			if has := bytes.Contains(got[i].data, []byte(word)); has != secrets {
				t.Errorf("secrets %v: packet %d has %q: %v", secrets, i, word, has)
			}
		}
		if got[2].length != len(outer) {
			t.Errorf("the length of the whole is lost: %d", got[2].length)
		}
	}
}

// What is too much is left out and counted, in the file too.
func TestBounds(t *testing.T) {
	missed := uint64(5)
	c, err := newCapture(Options{Target: Target{Slot: 3}}, func() uint64 { return missed })
	if err != nil {
		t.Fatal(err)
	}
	missed = 7
	at := time.Unix(1000, 0)
	c.now = func() time.Time { return at } // all within one second
	for range mostRate + 10 {
		c.packet(&session.PacketCopy{At: at, Slot: 3, Length: 20, Packet: make([]byte, 20)})
	}
	p, err := c.part(nil)
	if err != nil || p.Packets+p.Dropped != mostRate+12 || len(p.Data) > mostBytes+1000 || p.Dropped < 12 {
		t.Errorf("%d packets, %d dropped, %d bytes, %v", p.Packets, p.Dropped, len(p.Data), err)
	}
	r, err := pcapgo.NewNgReader(bytes.NewReader(p.Data), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, _, err = r.ReadPacketData()
	}
	if i, _ := r.Interface(packets); i.Statistics.PacketsDropped != p.Dropped {
		t.Errorf("the file says %d dropped", i.Statistics.PacketsDropped)
	}
	for i := range mostWaiting + 10 {
		c.wait(&session.Tapped{Ref: session.Ref{TunnelID: 1, SessionID: uint16(i + 1)}})
	}
	if len(c.waiting) > mostWaiting {
		t.Errorf("%d sessions wait", len(c.waiting))
	}

	h := newRig()
	for range mostCaptures {
		defer h.file(t, Options{Target: Target{Slot: 1}})()
	}
	if err := h.Capture(t.Context(), Options{}, nil); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
}

func TestRedaction(t *testing.T) {
	for in, want := range map[string]string{
		"\xc2\x23\x01\x01\x00\x09\x02hhlns":           "\xc2\x23\x01\x01\x00\x09\x02**lns",
		"\xc2\x23\x02\x01\x00\x09\x02hhbob":           "\xc2\x23\x02\x01\x00\x09\x02**bob",
		"\xc2\x23\x03\x01\x00\x06S=":                  "\xc2\x23\x03\x01\x00\x06**",
		"\xc2\x27\x02\x01\x00\x08\x01bob":             "\xc2\x27\x02\x01\x00\x08\x01bob",
		"\xc2\x27\x02\x01\x00\x08\x06abc":             "\xc2\x27\x02\x01\x00\x08\x06***",
		"\xc0\x23\x01\x01\x00\x08\x09abc":             "\xc0\x23\x01\x01\x00\x08****",
		"\xc0\x23\x01":                                "\xc0\x23\x01",
		"\xc0\x21\x01\x01\x00\x08\x05\x06\x01\x02abc": "\xc0\x21\x01\x01\x00\x08\x05\x06\x01\x02abc",
	} {
		b := []byte(in)
		if redactFrame(b); string(b) != want {
			t.Errorf("%q became %q, want %q", in, b, want)
		}
	}
	const header = "\xc8\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	for in, want := range map[string]string{
		"\x80\x08\x00\x00\x00\x07ab":                         "\x80\x08\x00\x00\x00\x07ab",
		"\x80\x08\x00\x00\x00\x21ab":                         "\x80\x08\x00\x00\x00\x21**",
		"\xc0\x08\x00\x00\x00\x07ab":                         "\xc0\x08\x00\x00\x00\x07**",
		"\x80\x08\x00\x09\x00\x01ab":                         "\x80\x08\x00\x09\x00\x01**",
		"\x80\x07\x00\x00\x00\x0dx\x80\x07\x00\x00\x00\x07y": "\x80\x07\x00\x00\x00\x0d*\x80\x07\x00\x00\x00\x07y",
		"\x80\x30\x00\x00\x00\x0dsecret":                     "************",
	} {
		b := []byte(header + in)
		if redactControl(b); string(b[len(header):]) != want {
			t.Errorf("%q became %q, want %q", in, b[len(header):], want)
		}
	}
	// Between LAC and LNS: a frame that is none of IP is left out.
	outer := datagram(peer, local, append([]byte{0, 2, 0, 1, 0, 1}, pap("alice", "secret")...))
	if got := withoutFrames(outer); len(got) != 28 {
		t.Errorf("%q", got)
	}
	outer = datagram(peer, local, []byte{0, 2, 0, 1, 0, 1, 0xff, 0x03, 0, 0x21, 0x45, 0, 0, 20})
	if got := withoutFrames(outer); len(got) != len(outer) {
		t.Errorf("%q", got)
	}
}
