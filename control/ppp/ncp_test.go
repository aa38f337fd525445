package ppp

import (
	"net/netip"
	"strings"
	"testing"
)

// ipcpOpen is the acknowledged first half of IPCP: the link waits for the peer's
// Configure-Request.
func ipcpOpen(t *testing.T, v IPv4) *solo {
	t.Helper()
	s := authenticating(t, lnsConfig(PAP))
	s.send(ProtoPAP, papRequest, 1, pap("joe", "x")...)
	s.verdict(AuthVerdict{OK: true, IPv4: v})
	return s
}

func TestIPCPAnswersOptions(t *testing.T) {
	full := offered()
	full.NBNS = [2]netip.Addr{netip.MustParseAddr("10.0.0.8"), netip.MustParseAddr("10.0.0.9")}
	for _, c := range []struct {
		name, options, want string
		offer               IPv4
	}{
		{"asks for all", "03 06 00000000 81 06 00000000 82 06 00000000 83 06 00000000 84 06 00000000",
			"Configure-Nak id=5 address=100.64.0.7 dns1=9.9.9.9 nbns1=10.0.0.8 dns2=149.112.112.112 nbns2=10.0.0.9", full},
		{"wrong values", "03 06 01020304 81 06 08080808", "Configure-Nak id=5 address=100.64.0.7 dns1=9.9.9.9", full},
		{"right values", "03 06 64400007 83 06 95707070", "Configure-Ack id=5 address=100.64.0.7 dns2=149.112.112.112", full},
		{"servers that we do not have", "03 06 64400007 82 06 00000000 84 06 00000000",
			"Configure-Reject id=5 nbns1=0.0.0.0 nbns2=0.0.0.0", offered()},
		{"header compression", "03 06 64400007 02 06 002d 0f 01", "Configure-Reject id=5 compression=002d0f01", offered()},
		{"obsolete addresses", "01 0a 0000000000000000", "Configure-Reject id=5 addresses=0000000000000000", offered()},
		{"no address", "81 06 09090909", "Configure-Nak id=5 address=100.64.0.7", offered()},
		{"nothing", "", "Configure-Nak id=5 address=100.64.0.7", offered()},
		{"address of a wrong length", "03 03 00", "Configure-Nak id=5 address=100.64.0.7", offered()},
		{"our own address", "03 06 0a000001", "Configure-Nak id=5 address=100.64.0.7", offered()},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := ipcpOpen(t, c.offer)
			s.expect(s.send(ProtoIPCP, configureRequest, 5, unhex(t, c.options)...), "IPCP "+c.want)
		})
	}
}

// TestIPCPWithoutOurAddress: a peer that does not want to know our address is
// served all the same.
func TestIPCPWithoutOurAddress(t *testing.T) {
	s := ipcpOpen(t, offered())
	s.expect(s.send(ProtoIPCP, configureReject, 1, 3, 6, 10, 0, 0, 1), "IPCP Configure-Request id=2")
	s.send(ProtoIPCP, configureAck, 2)
	got := s.send(ProtoIPCP, configureRequest, 5, 3, 6, 100, 64, 0, 7)
	s.expect(got[1:], "IPv4Up local=10.0.0.1 peer=100.64.0.7 dns=9.9.9.9 dns=149.112.112.112")
}

// TestIPCPOurAddressIsOurs: the peer can't talk us into another.
func TestIPCPOurAddressIsOurs(t *testing.T) {
	s := ipcpOpen(t, offered())
	s.expect(s.send(ProtoIPCP, configureNak, 1, 3, 6, 1, 2, 3, 4), "IPCP Configure-Request id=2 address=10.0.0.1")
}

// TestIPCPPeerInsists on an address: it is naked, rejected, and then IPCP is closed
// without the link; with nothing else open the time limit ends the link.
func TestIPCPPeerInsists(t *testing.T) {
	s := ipcpOpen(t, offered())
	for id := byte(1); id <= 5; id++ {
		got := s.send(ProtoIPCP, configureRequest, id, 3, 6, 1, 2, 3, 4)
		if !strings.HasPrefix(got[0], "IPCP Configure-Nak") {
			t.Fatalf("%d: %q", id, got)
		}
	}
	s.expect(s.send(ProtoIPCP, configureRequest, 6, 3, 6, 1, 2, 3, 4), "IPCP Configure-Reject id=6 address=1.2.3.4")
	s.expect(s.send(ProtoIPCP, configureRequest, 7), "IPCP Terminate-Request id=2")
	s.expect(s.send(ProtoIPCP, terminateAck, 2))
	s.expect(s.send(ProtoIPCP, configureRequest, 8, 3, 6, 100, 64, 0, 7), "IPCP Terminate-Ack id=8")
	if s.link.Phase() != "network" {
		t.Fatalf("the link is in phase %s", s.link.Phase())
	}
	s.runTo(s.link.Deadline())
	s.expect(s.send(ProtoLCP, terminateAck, 2), `LinkDown cause="no address" message="no network protocol"`)
}

func TestClientNeedsAnAddress(t *testing.T) {
	s := newSolo(t, clientConfig(PAP))
	s.start(nil)
	s.open()
	s.send(ProtoIPCP, configureAck, 1, unhex(t, "03 06 00000000 81 06 00000000 83 06 00000000")...)
	got := s.send(ProtoIPCP, configureRequest, 1, 3, 6, 10, 0, 0, 1)
	// Neither up nor down is reported: it never was a network.
	s.expect(got, "IPCP Configure-Ack id=1 address=10.0.0.1", "IPCP Terminate-Request id=2")
}

func TestClientDropsRejectedServers(t *testing.T) {
	s := newSolo(t, clientConfig(PAP))
	s.start(nil)
	s.open()
	s.expect(s.send(ProtoIPCP, configureReject, 1, unhex(t, "81 06 00000000 83 06 00000000")...),
		"IPCP Configure-Request id=2 address=0.0.0.0")
	s.expect(s.send(ProtoIPCP, configureNak, 2, 3, 6, 100, 64, 0, 7),
		"IPCP Configure-Request id=3 address=100.64.0.7")
	// The LNS has no business asking for servers, or for an address.
	s.expect(s.send(ProtoIPCP, configureRequest, 1, unhex(t, "03 06 00000000 81 06 00000000")...),
		"IPCP Configure-Reject id=1 address=0.0.0.0 dns1=0.0.0.0")
}

// ipv6cpOpen is an LNS link with IPV6CP under negotiation.
func ipv6cpOpen(t *testing.T) *solo {
	t.Helper()
	cfg := lnsConfig(PAP)
	cfg.IPv6CP = true
	s := authenticating(t, cfg)
	s.send(ProtoPAP, papRequest, 1, pap("joe", "x")...)
	s.verdict(AuthVerdict{OK: true})
	return s
}

// TestIPV6CPIdentifiers (RFC 5072 section 4.1).
func TestIPV6CPIdentifiers(t *testing.T) {
	ours := func(s *solo) []byte { return s.link.ipv6cp.local[:] }
	suggestion := func(t *testing.T, s *solo, got []string, id string) {
		t.Helper()
		prefix := "IPV6CP Configure-Nak id=" + id + " id="
		if len(got) != 1 || !strings.HasPrefix(got[0], prefix) {
			t.Fatalf("got %q", got)
		}
		v := unhex(t, strings.TrimPrefix(got[0], prefix))
		if interfaceID(v) == (interfaceID{}) || interfaceID(v) == s.link.ipv6cp.local || v[0]&2 != 0 {
			t.Errorf("suggested %x, ours is %x", v, ours(s))
		}
	}
	t.Run("zero", func(t *testing.T) {
		s := ipv6cpOpen(t)
		suggestion(t, s, s.send(ProtoIPV6CP, configureRequest, 5, append([]byte{1, 10}, make([]byte, 8)...)...), "5")
	})
	t.Run("equal to ours", func(t *testing.T) {
		s := ipv6cpOpen(t)
		suggestion(t, s, s.send(ProtoIPV6CP, configureRequest, 5, append([]byte{1, 10}, ours(s)...)...), "5")
	})
	t.Run("wrong length", func(t *testing.T) {
		s := ipv6cpOpen(t)
		suggestion(t, s, s.send(ProtoIPV6CP, configureRequest, 5, 1, 4, 1, 2), "5")
	})
	t.Run("missing is asked for once", func(t *testing.T) {
		s := ipv6cpOpen(t)
		suggestion(t, s, s.send(ProtoIPV6CP, configureRequest, 5), "5")
		s.expect(s.send(ProtoIPV6CP, configureRequest, 6), "IPV6CP Terminate-Request id=2")
		if s.link.Phase() != "network" {
			t.Errorf("phase %s", s.link.Phase())
		}
	})
	t.Run("other options", func(t *testing.T) {
		s := ipv6cpOpen(t)
		s.expect(s.send(ProtoIPV6CP, configureRequest, 5, 2, 4, 0, 0x4F), "IPV6CP Configure-Reject id=5 option-2=004f")
	})
	t.Run("a suggestion to us is taken", func(t *testing.T) {
		s := ipv6cpOpen(t)
		s.expect(s.send(ProtoIPV6CP, configureNak, 1, 1, 10, 0, 0, 0, 0, 0, 0, 0, 9), "IPV6CP Configure-Request id=2 id=0000000000000009")
	})
	t.Run("a zero suggestion is not", func(t *testing.T) {
		s := ipv6cpOpen(t)
		s.send(ProtoIPV6CP, configureNak, 1, append([]byte{1, 10}, make([]byte, 8)...)...)
		if s.link.ipv6cp.local == (interfaceID{}) {
			t.Error("zero was taken")
		}
	})
}

// TestNCPsAreIndependent: whatever happens to one, the other and the link stay.
func TestNCPsAreIndependent(t *testing.T) {
	cfg := lnsConfig(PAP)
	cfg.IPv6CP = true
	for name, act := range map[string]func(s *solo, p Protocol) []string{
		"terminate-request": func(s *solo, p Protocol) []string { return s.send(p, terminateRequest, 9) },
		"terminate-ack":     func(s *solo, p Protocol) []string { return s.send(p, terminateAck, 9) },
		"code-reject":       func(s *solo, p Protocol) []string { return s.send(p, codeReject, 9, configureRequest, 1, 0, 4) },
		"protocol-reject": func(s *solo, p Protocol) []string {
			return s.send(ProtoLCP, protocolReject, 9, byte(p>>8), byte(p), 1, 1, 0, 4)
		},
	} {
		for _, proto := range []Protocol{ProtoIPCP, ProtoIPV6CP} {
			t.Run(name, func(t *testing.T) {
				s := networked(t, cfg)
				got := strings.Join(act(s, proto), "; ")
				mine, other := "IPv4Down", "IPv6Down"
				if proto == ProtoIPV6CP {
					mine, other = other, mine
				}
				if !strings.Contains(got, mine) || strings.Contains(got, other) || strings.Contains(got, "LCP") {
					t.Errorf("%04x: %q", proto, got)
				}
				for !s.link.Deadline().IsZero() {
					if got := strings.Join(s.runTo(s.link.Deadline()), "; "); strings.Contains(got, "Link") || strings.Contains(got, other) {
						t.Errorf("%04x later: %q", proto, got)
					}
				}
				if s.link.Phase() != "network" {
					t.Errorf("%04x: phase %s", proto, s.link.Phase())
				}
			})
		}
	}
}

// TestRefusedNCPStaysSilent: after a Protocol-Reject not one more packet of it.
func TestRefusedNCPStaysSilent(t *testing.T) {
	s := ipv6cpOpen(t)
	s.expect(s.send(ProtoLCP, protocolReject, 1, 0x80, 0x57))
	s.expect(s.send(ProtoIPV6CP, configureRequest, 5, 1, 10, 1, 2, 3, 4, 5, 6, 7, 8))
}

// TestPassiveIPV6CPWaitsForThePeer: nothing is sent of it until the peer begins, and
// then it opens like any other.
func TestPassiveIPV6CPWaitsForThePeer(t *testing.T) {
	cfg := lnsConfig(PAP)
	cfg.IPv6CP, cfg.IPv6CPPassive = true, true
	s := authenticating(t, cfg)
	s.send(ProtoPAP, papRequest, 1, pap("joe", "x")...)
	for _, line := range s.verdict(AuthVerdict{OK: true}) {
		if strings.HasPrefix(line, "IPV6CP") {
			t.Errorf("it began: %s", line)
		}
	}
	got := s.send(ProtoIPV6CP, configureRequest, 5, 1, 10, 1, 2, 3, 4, 5, 6, 7, 8)
	if len(got) != 2 || !strings.HasPrefix(got[0], "IPV6CP Configure-Request") || !strings.HasPrefix(got[1], "IPV6CP Configure-Ack id=5") {
		t.Fatalf("got %q", got)
	}
	got = s.send(ProtoIPV6CP, configureAck, 1, append([]byte{1, 10}, s.link.ipv6cp.local[:]...)...)
	if len(got) != 1 || !strings.HasSuffix(got[0], " peer=0102030405060708") {
		t.Errorf("got %q", got)
	}
}

// TestIPV6CPGiven: the peer is told the identifier that it is to have, however often
// it asks for another, and the negotiation is begun for it.
func TestIPV6CPGiven(t *testing.T) {
	cfg := lnsConfig(PAP)
	cfg.IPv6CP, cfg.IPv6CPPassive = true, true
	s := authenticating(t, cfg)
	s.send(ProtoPAP, papRequest, 1, pap("joe", "x")...)
	begun := s.verdict(AuthVerdict{OK: true, IPv6: IPv6{Open: true, Peer: [8]byte{0: 1, 7: 7}}})
	if len(begun) != 2 || !strings.HasPrefix(begun[1], "IPV6CP Configure-Request") {
		t.Errorf("begun with %q", begun)
	}
	const nak = "IPV6CP Configure-Nak id=5 id=0100000000000007"
	s.expect(s.send(ProtoIPV6CP, configureRequest, 5, 1, 10, 1, 2, 3, 4, 5, 6, 7, 8), nak)
	s.expect(s.send(ProtoIPV6CP, configureRequest, 5, 1, 10, 0, 0, 0, 0, 0, 0, 0, 0), nak)
	s.expect(s.send(ProtoIPV6CP, configureRequest, 6, 1, 10, 1, 0, 0, 0, 0, 0, 0, 7), "IPV6CP Configure-Ack id=6 id=0100000000000007")
	// It is not ours, even if the peer says so.
	s.send(ProtoIPV6CP, configureNak, 1, 1, 10, 1, 0, 0, 0, 0, 0, 0, 7)
	if s.link.ipv6cp.local == (interfaceID{0: 1, 7: 7}) {
		t.Error("both ends have one identifier")
	}
}

// TestIPV6CPOursRejected: the peer need not know our identifier, and it must not
// be asked for again (RFC 5072 section 4.1).
func TestIPV6CPOursRejected(t *testing.T) {
	s := ipv6cpOpen(t)
	ours := append([]byte{1, 10}, s.link.ipv6cp.local[:]...)
	s.expect(s.send(ProtoIPV6CP, configureReject, 1, ours...), "IPV6CP Configure-Request id=2")
	s.send(ProtoIPV6CP, configureAck, 2)
	got := s.send(ProtoIPV6CP, configureRequest, 5, 1, 10, 1, 2, 3, 4, 5, 6, 7, 8)
	if len(got) != 2 || !strings.HasSuffix(got[1], " peer=0102030405060708") {
		t.Errorf("got %q", got)
	}
}

// TestFreshIdentifiersAreNew: what is in use is not drawn again, nor is zero.
func TestFreshIdentifiersAreNew(t *testing.T) {
	var draw interfaceID
	e := &env{random: func(b []byte) { copy(b, draw[:]) }}
	o := ipv6cpOptions{local: interfaceID{7: 1}, peer: interfaceID{7: 2}}
	for drawn, want := range map[interfaceID]interfaceID{
		{}:           {7: 3},
		o.local:      {7: 3},
		o.peer:       {7: 3},
		{0: 3, 7: 9}: {0: 1, 7: 9}, // the "u" bit is cleared
	} {
		draw = drawn
		if id := o.fresh(e); id != want {
			t.Errorf("%x became %x, want %x", drawn, id, want)
		}
	}
	if v := e.random32(); v == 0 {
		t.Error("zero is no magic number")
	}
}
