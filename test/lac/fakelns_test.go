package lac

import (
	"context"
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/udp"
)

// fakeConfig is how a fakeLNS behaves.
type fakeConfig struct {
	secret string
	link   ppp.Config
	reject func(call int) bool        // refuses a call with "busy"
	mangle func(p []byte) [][]byte    // what becomes of an echo; nil sends it back
	seen   func(h l2tp.Header, n int) // looks at each data message with IP
}

// fakeLNS answers on the loopback interface: every password but the wrong one is
// right, and it is router, core and reflector in one.
type fakeLNS struct {
	fakeConfig
	addr    netip.AddrPort
	proxied int // calls that came with proxy credentials

	mu      sync.Mutex
	socket  *udp.Socket
	sender  *udp.Sender
	tunnels map[uint16]*fakeTunnel
	calls   int
	random  func([]byte)
}

type fakeTunnel struct {
	lns   *fakeLNS
	peer  netip.AddrPort
	host  string
	l2tp  *l2tp.Tunnel
	links map[uint16]*fakeLink
}

type fakeLink struct {
	t    *fakeTunnel
	call *l2tp.Call
	link *ppp.Link
	addr netip.Addr
}

const wrongPassword = "wrong"

func startFake(tb testing.TB, cfg fakeConfig) *fakeLNS {
	tb.Helper()
	f := &fakeLNS{fakeConfig: cfg}
	s, err := udp.Listen(udp.Config{Bind: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		tb.Fatal(err)
	}
	f.socket, f.sender = s, s.NewSender()
	f.tunnels = make(map[uint16]*fakeTunnel)
	f.random = newRandom()
	if f.link.Auth == nil {
		f.link.Auth = []ppp.Auth{ppp.CHAPMD5, ppp.PAP, ppp.MSCHAPv2}
	}
	f.link.Name, f.link.MRU = "fake", 1492
	f.link.RestartTimer, f.link.MaxConfigure, f.link.MaxTerminate, f.link.MaxFailure = 3*time.Second, 10, 2, 5
	f.link.AuthTimeout, f.link.NetworkTimeout = time.Minute, time.Minute
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		_ = s.RunBatches(ctx, f.packet, func() { f.mu.Lock(); f.sender.Flush(); f.mu.Unlock() })
	})
	running.Go(func() {
		for ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
			f.timers()
		}
	})
	tb.Cleanup(func() { stop(); running.Wait(); s.Close() })
	f.addr = s.LocalAddr()
	return f
}

func (f *fakeLNS) timers() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	due := func(d time.Time) bool { return !d.IsZero() && !now.Before(d) }
	for _, t := range f.tunnels {
		if due(t.l2tp.Deadline()) {
			t.act(func(out *l2tp.Out) { t.l2tp.Timer(now, out) })
		}
		for _, k := range t.links {
			if k.link != nil && due(k.link.Deadline()) {
				k.act(func(out *ppp.Out) { k.link.Timer(now, out) })
			}
		}
	}
	f.sender.Flush()
}

func (f *fakeLNS) packet(_, peer netip.AddrPort, b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, body, err := l2tp.ParseHeader(b)
	if err != nil {
		return
	}
	if h.Flags&l2tp.FlagControl != 0 {
		if t := f.tunnelFor(h, body, peer); t != nil {
			t.act(func(out *l2tp.Out) { t.l2tp.Receive(time.Now(), h, body, out) })
		}
		return
	}
	t := f.tunnels[h.TunnelID]
	if t == nil || t.links[h.SessionID] == nil || t.links[h.SessionID].link == nil {
		return
	}
	k := t.links[h.SessionID]
	protocol, payload, ok := ppp.ParseFrame(body)
	switch {
	case ok && protocol == ppp.ProtoIPv4:
		if f.seen != nil {
			f.seen(h, len(b))
		}
		k.route(payload)
	case ok:
		k.act(func(out *ppp.Out) { k.link.Receive(time.Now(), body, out) })
	}
}

func (f *fakeLNS) tunnelFor(h l2tp.Header, body []byte, peer netip.AddrPort) *fakeTunnel {
	if h.TunnelID != 0 {
		return f.tunnels[h.TunnelID]
	}
	host, assigned, ok := l2tp.PeekSCCRQ(body)
	if !ok {
		return nil
	}
	for _, t := range f.tunnels {
		if t.peer == peer && t.l2tp.PeerID() == assigned {
			return t
		}
	}
	id := uint16(len(f.tunnels) + 1)
	cfg := &l2tp.Config{
		Role: l2tp.LNS, HostName: "fake", Secret: []byte(f.secret), Challenge: f.secret != "",
		ReceiveWindow: 64, RetryInterval: time.Second, RetryCap: 8 * time.Second, MaxRetries: 5,
		EstablishTimeout: 30 * time.Second, FramingCaps: 3, BearerCaps: 3,
	}
	t := &fakeTunnel{lns: f, peer: peer, host: string(host), l2tp: l2tp.NewTunnel(cfg, id, f.random), links: make(map[uint16]*fakeLink)}
	f.tunnels[id] = t
	return t
}

func (t *fakeTunnel) act(call func(*l2tp.Out)) {
	var out l2tp.Out
	call(&out)
	for _, b := range out.Send {
		t.lns.sender.Send(netip.AddrPort{}, t.peer, b)
	}
	for i := range out.Events {
		t.handle(&out.Events[i])
	}
}

func (t *fakeTunnel) handle(e *l2tp.Event) {
	now := time.Now()
	switch e.Kind {
	case l2tp.CallRequest:
		t.lns.calls++
		if t.lns.reject != nil && t.lns.reject(t.lns.calls) {
			t.act(func(out *l2tp.Out) {
				t.l2tp.RejectCall(now, e.Call, l2tp.Result{Code: l2tp.CDNBusy, Message: "full"}, out)
			})
			return
		}
		id := uint16(len(t.links) + 1)
		t.links[id] = &fakeLink{t: t, call: e.Call}
		t.act(func(out *l2tp.Out) { t.l2tp.AcceptCall(now, e.Call, id, out) })
	case l2tp.CallUp:
		k := t.links[e.Call.LocalID]
		k.link = ppp.NewLink(&t.lns.link, t.lns.random)
		k.act(func(out *ppp.Out) { k.link.Start(now, k.proxy(), out) })
	case l2tp.CallDown:
		if k := t.links[e.Call.LocalID]; k != nil {
			k.link = nil
		}
	}
}

// proxy is what the LAC said about the subscriber.
func (k *fakeLink) proxy() *ppp.Proxy {
	p := &k.call.Params.Proxy
	if p.AuthType == 0 {
		return nil
	}
	k.t.lns.proxied++
	method := map[uint16]ppp.Auth{proxyPAP: ppp.PAP, proxyCHAP: ppp.CHAPMD5}[p.AuthType]
	return &ppp.Proxy{
		Auth:            method,
		InitialReceived: p.InitialReceived, LastSent: p.LastSent, LastReceived: p.LastReceived,
		HasAuth: p.AuthType != proxyNone, AuthName: p.AuthName, AuthChallenge: p.AuthChallenge,
		AuthID: p.AuthID, AuthResponse: p.AuthResponse,
	}
}

func (k *fakeLink) act(call func(*ppp.Out)) {
	var out ppp.Out
	call(&out)
	for _, frame := range out.Send {
		k.send(frame)
	}
	for i := range out.Events {
		e := &out.Events[i]
		switch e.Kind {
		case ppp.AuthRequested:
			k.authenticate(e.Auth)
		case ppp.LinkDown:
			if k.link != nil {
				k.link = nil
				k.t.act(func(out *l2tp.Out) {
					k.t.l2tp.HangUp(time.Now(), k.call, l2tp.Result{Code: l2tp.CDNAdministrative, Message: e.Cause.String()}, out)
				})
			}
			return
		}
	}
}

func (k *fakeLink) authenticate(c *ppp.Credentials) {
	v := ppp.AuthVerdict{OK: true}
	switch c.Method {
	case ppp.PAP:
		v.OK = string(c.Password) != wrongPassword
	case ppp.CHAPMD5:
		v.OK = !ppp.VerifyCHAP(c.ID, c.Challenge, c.Response, []byte(wrongPassword))
	case ppp.MSCHAPv2:
		v.Message, v.OK = ppp.VerifyMSCHAPv2(c.Name, c.Challenge, c.Response, "right")
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 0x0a400000+uint32(k.t.l2tp.ID())<<16+uint32(k.call.LocalID))
	k.addr = netip.AddrFrom4(b)
	v.IPv4 = ppp.IPv4{Local: netip.MustParseAddr("10.0.0.1"), Peer: k.addr}
	k.act(func(out *ppp.Out) { k.link.Authenticated(time.Now(), v, out) })
}

func (k *fakeLink) send(frame []byte) {
	b := l2tp.AppendDataHeader(nil, k.t.l2tp.PeerID(), k.call.PeerID, true, false, 0, len(frame))
	k.t.lns.sender.Send(netip.AddrPort{}, k.t.peer, append(b, frame...))
}

// route forwards a packet to the core, where it is reflected, and back: the TTL goes
// down by one each way.
func (k *fakeLink) route(p []byte) {
	echo := reflectPacket(p)
	list := [][]byte{echo}
	if k.t.lns.mangle != nil {
		list = k.t.lns.mangle(echo)
	}
	for _, p := range list {
		k.send(append([]byte{0x00, 0x21}, p...))
	}
}

// reflectPacket is what comes back for a probe, one router between.
func reflectPacket(p []byte) []byte {
	e := append([]byte(nil), p...)
	copy(e[12:], p[16:20])
	copy(e[16:], p[12:16])
	e[8] = ttl - 1
	if e[9] == protoUDP && !isFragment(p) {
		u := e[ipv4HeaderLen:]
		copy(u, p[22:24])
		copy(u[2:], p[20:22])
		u[udpHeaderLen+offSeenTTL] = ttl - 1
		reseal(e)
	}
	binary.BigEndian.PutUint16(e[10:], 0)
	binary.BigEndian.PutUint16(e[10:], ipChecksum(e[:ipv4HeaderLen]))
	return e
}

// reseal makes the checksums of a UDP packet right again.
func reseal(p []byte) {
	be := binary.BigEndian
	be.PutUint16(p[10:], 0)
	be.PutUint16(p[10:], ipChecksum(p[:ipv4HeaderLen]))
	u := p[ipv4HeaderLen:]
	be.PutUint16(u[6:], 0)
	be.PutUint16(u[6:], nonZero(udpChecksum(p[12:20], u)))
}
