package ppp

import "net/netip"

// IPCP Configuration Option types (RFC 1332 section 3.3, RFC 1877 section 1).
const (
	optIPAddress     = 3
	optPrimaryDNS    = 129
	optPrimaryNBNS   = 130
	optSecondaryDNS  = 131
	optSecondaryNBNS = 132
)

// numServers counts the name server options, of which the types are consecutive.
const numServers = optSecondaryNBNS - optPrimaryDNS + 1

// server is the index of a name server by its option type; isServer tells whether
// the type is one of them.
func server(kind uint8) uint8  { return kind - optPrimaryDNS }
func isServer(kind uint8) bool { return kind >= optPrimaryDNS && kind <= optSecondaryNBNS }

// address4 is an IPv4 address as it is on the wire; zero is none.
type address4 [4]byte

func address(a netip.Addr) address4 {
	if a = a.Unmap(); a.Is4() {
		return a.As4()
	}
	return address4{}
}

// addr is the zero Addr for no address.
func (a address4) addr() netip.Addr {
	if a == (address4{}) {
		return netip.Addr{}
	}
	return netip.AddrFrom4(a)
}

// ipcpOptions is the option part of IPCP. The LNS end gives the peer its address
// and name servers; the client asks for them.
type ipcpOptions struct {
	// local is our address; peer the one offered to the peer (LNS) or the one
	// it told us (client).
	local, peer address4
	// servers are what the LNS offers or what the client was told.
	servers [numServers]address4
	// wanted has a bit for each server that the client asks for.
	wanted uint8
	// addressless: the peer rejected our address.
	addressless bool
}

// offer is what the verdict on the peer's credentials brought.
func (o *ipcpOptions) offer(v IPv4) {
	*o = ipcpOptions{local: address(v.Local), peer: address(v.Peer)}
	o.servers[server(optPrimaryDNS)] = address(v.DNS[0])
	o.servers[server(optSecondaryDNS)] = address(v.DNS[1])
	o.servers[server(optPrimaryNBNS)] = address(v.NBNS[0])
	o.servers[server(optSecondaryNBNS)] = address(v.NBNS[1])
}

// enabled reports whether IPCP is to be opened: the LNS needs an address to give.
func (o *ipcpOptions) enabled(cfg *Config) bool {
	return cfg.Client && !cfg.NoIPv4 || o.peer != address4{}
}

// agreed is what is reported when IPCP has opened.
func (o *ipcpOptions) agreed() IPv4 {
	told := func(kind uint8) netip.Addr { return o.servers[server(kind)].addr() }
	return IPv4{
		Local: o.local.addr(), Peer: o.peer.addr(),
		DNS:  [2]netip.Addr{told(optPrimaryDNS), told(optSecondaryDNS)},
		NBNS: [2]netip.Addr{told(optPrimaryNBNS), told(optSecondaryNBNS)},
	}
}

// unusable: a client that was given no address has nothing to send from.
func (o *ipcpOptions) unusable(cfg *Config) bool { return cfg.Client && o.local == address4{} }

func (o *ipcpOptions) begin(e *env) {
	o.addressless = false
	if e.cfg.Client {
		o.wanted = 1<<server(optPrimaryDNS) | 1<<server(optSecondaryDNS)
	}
}

func (o *ipcpOptions) request(e *env, b []byte) []byte {
	// Zero asks the peer for an address (RFC 1332 section 3.3): that is the
	// client's way. The LNS that has none to show leaves it out.
	if !o.addressless && (e.cfg.Client || o.local != address4{}) {
		b = appendAddress(b, optIPAddress, o.local)
	}
	for i, a := range o.servers {
		if o.wanted&(1<<i) != 0 {
			b = appendAddress(b, uint8(optPrimaryDNS+i), a)
		}
	}
	return b
}

func appendAddress(b []byte, kind uint8, a address4) []byte {
	return append(append(b, kind, 6), a[:]...)
}

func (o *ipcpOptions) examine(e *env, opt option, b []byte) (verdict, []byte) {
	if e.cfg.Client {
		return examineServerAddress(opt, b)
	}
	var ours address4
	switch {
	case opt.kind == optIPAddress:
		ours = o.peer
	case isServer(opt.kind):
		ours = o.servers[server(opt.kind)]
	}
	// What is left is refused: IP-Addresses (1) is obsolete (RFC 1332 section
	// 3.1), and header compression (2) relies on a link that keeps the order of
	// packets, which UDP does not.
	if ours == (address4{}) {
		return refuse, b
	}
	if string(opt.data) == string(ours[:]) {
		return accept, b
	}
	return suggest, appendAddress(b, opt.kind, ours)
}

// examineServerAddress is the client's view of the LNS's request: any address
// will do, and there is nothing that we could give.
func examineServerAddress(opt option, b []byte) (verdict, []byte) {
	if opt.kind == optIPAddress && len(opt.data) == 4 && string(opt.data) != "\x00\x00\x00\x00" {
		return accept, b
	}
	return refuse, b
}

// missing: the LNS must see its peer agree to the address (RFC 1332 section 3.3).
func (o *ipcpOptions) missing(e *env, seen *typeSet, b []byte) []byte {
	if e.cfg.Client || seen.has(optIPAddress) {
		return b
	}
	return appendAddress(b, optIPAddress, o.peer)
}

// adopt: what the LNS acknowledges is what it offered; the client learns the
// LNS's address.
func (o *ipcpOptions) adopt(options []byte) {
	for len(options) > 0 {
		opt, rest, ok := nextOption(options)
		if !ok {
			return
		}
		options = rest
		if opt.kind == optIPAddress && len(opt.data) == 4 {
			o.peer = address4(opt.data)
		}
	}
}

// nak: the client takes what it is given; the LNS's own address is not the
// subscriber's to choose.
func (o *ipcpOptions) nak(e *env, opt option) {
	if !e.cfg.Client || len(opt.data) != 4 {
		return
	}
	switch {
	case opt.kind == optIPAddress:
		o.local = address4(opt.data)
	case isServer(opt.kind):
		i := server(opt.kind)
		o.servers[i] = address4(opt.data)
		o.wanted |= 1 << i
	}
}

func (o *ipcpOptions) drop(e *env, opt option) {
	switch {
	case opt.kind == optIPAddress:
		o.addressless = true
		if e.cfg.Client {
			o.local = address4{}
		}
	case isServer(opt.kind):
		i := server(opt.kind)
		o.wanted &^= 1 << i
		if e.cfg.Client {
			o.servers[i] = address4{}
		}
	}
}
