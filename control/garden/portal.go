package garden

import (
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Bounds of the portal, which anybody in a garden can talk to.
const (
	portalConns     = 512 // in all
	portalPerClient = 16
	portalPatience  = 5 * time.Second
	portalHeader    = 16 << 10 // bytes
	portalURL       = 2000     // of the page that was asked for, passed on to the portal
)

// portal is a small web server that answers every page with the way to another.
type portal struct {
	listener *boundedListener
	server   *http.Server
}

// openPortal listens on a port of all addresses; nftables keep everybody out who was
// not redirected. where says where a client is to go, "" for no garden of ours.
func openPortal(port uint16, where func(netip.Addr) string, log *zap.Logger) *portal {
	l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		log.Error("no portal for walled gardens", zap.Error(err))
		return &portal{}
	}
	p := &portal{listener: &boundedListener{Listener: l, clients: map[netip.Addr]int{}}}
	p.server = &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { redirect(w, r, where) }),
		ReadHeaderTimeout: portalPatience, ReadTimeout: portalPatience, WriteTimeout: portalPatience,
		MaxHeaderBytes: portalHeader,
	}
	p.server.SetKeepAlivesEnabled(false)
	go func() {
		if err := p.server.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the portal for walled gardens has ended", zap.Error(err))
		}
	}()
	return p
}

// port is where it listens, 0 if it does not.
func (p *portal) port() uint16 {
	if p == nil || p.listener == nil {
		return 0
	}
	return uint16(p.listener.Addr().(*net.TCPAddr).Port)
}

func (p *portal) close() error {
	if p.server == nil {
		return nil
	}
	return p.server.Close()
}

// redirect answers a request. A browser is sent to the portal; what is no browser asking
// for a page gets a status that no program takes for the page (RFC 6585 section 6).
func redirect(w http.ResponseWriter, r *http.Request, where func(netip.Addr) string) {
	client, _ := netip.ParseAddrPort(r.RemoteAddr)
	asked := "http://" + r.Host + r.URL.RequestURI()
	if len(asked) > portalURL {
		asked = asked[:portalURL]
	}
	target := where(client.Addr().Unmap())
	status := http.StatusFound
	switch {
	case target == "":
		// Out of the garden since: the page itself is there now.
		target = asked
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		status = http.StatusNetworkAuthenticationRequired
	}
	target = strings.ReplaceAll(target, "%u", url.QueryEscape(asked))
	h := w.Header()
	// An answer that were kept would be shown when the garden is long left.
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "text/html; charset=utf-8")
	if status == http.StatusFound {
		h.Set("Location", target)
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprintf(w, "<!doctype html><title>Log in</title><p><a href=\"%s\">Please go on here</a>\n", html.EscapeString(target))
	}
}

// needPortal opens the portal where a garden has one.
func (g *Gardens) needPortal() {
	if g.portal == nil && slices.ContainsFunc(g.cfg.Gardens, func(x Garden) bool { return x.Portal != "" }) {
		g.portal = openPortal(g.cfg.PortalPort, g.portalOf, g.log)
	}
}

// portalOf is where a client goes, by the garden that it is in.
func (g *Gardens) portalOf(client netip.Addr) string {
	g.state.Lock()
	defer g.state.Unlock()
	name := g.sets.of(client)
	for i := range g.cfg.Gardens {
		if g.cfg.Gardens[i].Name == name {
			return g.cfg.Gardens[i].Portal
		}
	}
	return ""
}

// boundedListener closes connections beyond its bounds as soon as they come.
type boundedListener struct {
	net.Listener
	refused atomic.Uint64

	mu      sync.Mutex
	total   int
	clients map[netip.Addr]int
}

func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		client := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
		if l.enter(client) {
			return &boundedConn{Conn: c, leave: sync.OnceFunc(func() { l.leave(client) })}, nil
		}
		l.refused.Add(1)
		c.Close()
	}
}

func (l *boundedListener) enter(client netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= portalConns || l.clients[client] >= portalPerClient {
		return false
	}
	l.total++
	l.clients[client]++
	return true
}

func (l *boundedListener) leave(client netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.clients[client]--; l.clients[client] == 0 {
		delete(l.clients, client)
	}
}

type boundedConn struct {
	net.Conn
	leave func()
}

func (c *boundedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}
