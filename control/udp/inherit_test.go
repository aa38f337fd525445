package udp

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// What arrives while nobody reads from a socket is there for who inherits it, under the
// same port.
func TestInherit(t *testing.T) {
	first, err := Listen(Config{Bind: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := first.File()
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	where := first.LocalAddr()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	peer, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(where))
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if _, err := peer.Write([]byte("while away")); err != nil {
		t.Fatal(err)
	}
	// A second message would fail with ECONNREFUSED had the port been closed.
	time.Sleep(10 * time.Millisecond)
	if _, err := peer.Write([]byte("and more")); err != nil {
		t.Fatalf("the port is closed: %v", err)
	}

	pipe, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer w.Close()
	if _, err := Listen(Config{Bind: where}); err == nil {
		t.Fatal("the address is free: nothing is kept")
	}
	second, err := Listen(Config{Bind: where, Inherited: []*os.File{pipe, kept}})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if second.LocalAddr() != where {
		t.Errorf("bound to %v, want %v", second.LocalAddr(), where)
	}
	got := make(chan string, 2)
	go func() {
		_ = second.Run(t.Context(), func(_, _ netip.AddrPort, b []byte) { got <- string(b) })
	}()
	for _, want := range []string{"while away", "and more"} {
		select {
		case s := <-got:
			if s != want {
				t.Errorf("received %q, want %q", s, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%q is lost", want)
		}
	}
	// One that is bound to somewhere else is left alone.
	other, err := Listen(Config{Bind: netip.MustParseAddrPort("127.0.0.2:0"), Inherited: []*os.File{kept}})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if other.LocalAddr().Addr() != netip.MustParseAddr("127.0.0.2") {
		t.Errorf("bound to %v", other.LocalAddr())
	}
}
