package lac

import (
	"bytes"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

// Proxy Authen Type values (RFC 2661 section 4.4.5).
const (
	proxyCHAP = 2
	proxyPAP  = 3
	proxyNone = 4
)

// LCP packets (RFC 1661 section 5).
const (
	configureRequest = 1
	lcpHeaderLen     = 4
)

// localLink is the LAC's end of PPP until the call is placed: it negotiates LCP
// with the subscriber and asks for the credentials, as a LAC does to find the LNS.
func (c *Config) localLink() *ppp.Config {
	cfg := c.link(c.First)
	cfg.Client = false
	cfg.Name = expand(c.HostName, 1)
	cfg.AuthOptional = c.Auth == ppp.NoAuth
	cfg.EchoInterval = 0
	return cfg
}

// negotiation is the talk between a subscriber and the LAC before the call.
type negotiation struct {
	s        *session
	local    *ppp.Link
	up, down *ppp.Out // from the subscriber, and to it
	proxy    l2tp.ProxyState
	complete bool // the credentials have come
}

// negotiate lets the subscriber talk to the LAC itself until it has sent its
// credentials, and returns what the LAC then tells the LNS. The subscriber is left
// waiting for the answer, which is the LNS's to give. ok is false when the two ends
// do not agree.
func (s *session) negotiate() (proxy l2tp.ProxyState, ok bool) {
	w := s.t.w
	n := negotiation{s: s, local: ppp.NewLink(w.local, w.random), up: w.takePPP(), down: w.takePPP()}
	defer w.givePPP(n.up)
	defer w.givePPP(n.down)
	n.local.Start(w.now, nil, n.down)
	s.link.Start(w.now, nil, n.up)
	// Both ends answer at once and nothing is lost: a dozen rounds are more than
	// any negotiation takes.
	for round := 0; round < 12 && !(n.complete && s.linkUp); round++ {
		n.upward()
		n.downward()
	}
	return n.proxy, n.complete && s.linkUp
}

// upward takes what the subscriber sent to the LAC.
func (n *negotiation) upward() {
	for _, frame := range n.up.Send {
		protocol, packet, ok := ppp.ParseFrame(frame)
		switch {
		case !ok:
		case protocol == ppp.ProtoLCP:
			if options, ok := requestOptions(packet); ok {
				if n.proxy.InitialReceived == nil {
					n.proxy.InitialReceived = options
				}
				n.proxy.LastReceived = options
			}
			n.local.Receive(n.s.t.w.now, frame, n.down)
		case protocol == ppp.ProtoPAP || protocol == ppp.ProtoCHAP:
			n.local.Receive(n.s.t.w.now, frame, n.down)
		default:
			// It is meant for the LNS, which the subscriber can't know.
			n.s.held = append(n.s.held, bytes.Clone(frame))
		}
	}
	for i := range n.up.Events {
		n.s.handle(&n.up.Events[i])
	}
	n.up.Reset()
}

// downward takes what the LAC sent to the subscriber.
func (n *negotiation) downward() {
	for i := range n.down.Events {
		if e := &n.down.Events[i]; e.Kind == ppp.AuthRequested && !n.complete {
			n.complete = true
			n.credentials(e.Auth)
		}
	}
	for _, frame := range n.down.Send {
		protocol, packet, ok := ppp.ParseFrame(frame)
		if !ok || protocol != ppp.ProtoLCP && n.complete {
			continue // the network phase is the LNS's
		}
		if options, ok := requestOptions(packet); ok && protocol == ppp.ProtoLCP {
			n.proxy.LastSent = options
		}
		n.s.link.Receive(n.s.t.w.now, frame, n.up)
	}
	n.down.Reset()
}

func (n *negotiation) credentials(c *ppp.Credentials) {
	p := &n.proxy
	p.AuthName, p.AuthID = c.Name, c.ID
	switch c.Method {
	case ppp.PAP:
		p.AuthType = proxyPAP
		p.AuthResponse = bytes.Clone(c.Password)
	case ppp.CHAPMD5, ppp.MSCHAPv2:
		// MS-CHAPv2 has no type of its own; LACs use this one.
		p.AuthType = proxyCHAP
		p.AuthChallenge = bytes.Clone(c.Challenge)
		p.AuthResponse = bytes.Clone(c.Response)
	default:
		p.AuthType = proxyNone
	}
}

// requestOptions returns the options of an LCP Configure-Request.
func requestOptions(packet []byte) (options []byte, ok bool) {
	if len(packet) < lcpHeaderLen || packet[0] != configureRequest {
		return nil, false
	}
	length := int(packet[2])<<8 | int(packet[3])
	if length < lcpHeaderLen || length > len(packet) {
		return nil, false
	}
	return append([]byte{}, packet[lcpHeaderLen:length]...), true
}
