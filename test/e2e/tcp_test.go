package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

// TCP runs through a session in both directions, in segments that the tunnel carries
// whole although neither end knows of the tunnel: the MSS is clamped.
func TestTCP(t *testing.T) {
	for _, mode := range []string{"auto", "none"} {
		t.Run(mode, func(t *testing.T) {
			r := newRig(t, options{config: "set xdp_mode " + mode})
			r.lacsim("--sessions", "1", "--hold", "forever", "--tun", "sub0")
			r.waitUp(1)
			r.routeSubscriber("sub0")
			before := r.counters()
			for _, up := range []bool{true, false} {
				if err := r.transfer(20<<20, up); err != nil {
					t.Errorf("from the subscriber %v: %v", up, err)
				}
			}
			moved := since(r.counters(), before)
			if moved["slow_icmp_sent"] > 0 || moved["slow_down_fragmented"] > 0 || moved["xdp_punt_too_big"] > 0 {
				t.Errorf("segments did not fit the tunnel: %v", moved)
			}
			if mode == "auto" && (moved["xdp_sent_up"] == 0 || moved["xdp_sent_down"] == 0) {
				t.Error("nothing went through XDP")
			}
		})
	}
}

// routeSubscriber sends the LAC namespace's traffic for the core through lacsim's TUN
// interface, with an MTU that hides the tunnel from TCP.
func (r *rig) routeSubscriber(device string) {
	r.t.Helper()
	for _, args := range [][]string{
		{"link", "set", device, "up", "mtu", "1500"},
		{"route", "add", netlab.CoreAddr.String() + "/32", "dev", device},
	} {
		if _, err := r.lab.LAC.Output(context.Background(), "ip", args...); err != nil {
			r.t.Fatal(err)
		}
	}
}

// transfer sends size random bytes over TCP between subscriber and core and compares
// what arrives.
func (r *rig) transfer(size int, fromSubscriber bool) error {
	var listener net.Listener
	err := r.lab.Core.Do(func() (err error) {
		listener, err = net.Listen("tcp4", netip.AddrPortFrom(netlab.CoreAddr, 0).String())
		return err
	})
	if err != nil {
		return err
	}
	defer listener.Close()
	var client net.Conn
	err = r.lab.LAC.Do(func() (err error) {
		client, err = net.DialTimeout("tcp4", listener.Addr().String(), 10*time.Second)
		return err
	})
	if err != nil {
		return err
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		return err
	}
	defer server.Close()

	from, to := client, server
	if !fromSubscriber {
		from, to = server, client
	}
	deadline := time.Now().Add(time.Minute)
	if err := errors.Join(from.SetDeadline(deadline), to.SetDeadline(deadline)); err != nil {
		return err
	}
	seed := [32]byte{1}
	sent, received := sha256.New(), sha256.New()
	failed := make(chan error, 1)
	go func() {
		_, err := io.CopyN(io.MultiWriter(from, sent), rand.NewChaCha8(seed), int64(size))
		failed <- errors.Join(err, from.(*net.TCPConn).CloseWrite())
	}()
	n, err := io.Copy(received, to)
	if err := errors.Join(err, <-failed); err != nil {
		return err
	}
	if n != int64(size) || !bytes.Equal(sent.Sum(nil), received.Sum(nil)) {
		return fmt.Errorf("%d bytes of %d arrived, or not the same ones", n, size)
	}
	return nil
}
