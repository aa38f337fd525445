package ppp

// optInterfaceID is the IPV6CP Configuration Option type (RFC 5072 section 4.1).
const optInterfaceID = 1

// interfaceID is an interface identifier as it is on the wire; zero is none.
type interfaceID [8]byte

// ipv6cpOptions is the option part of IPV6CP, the same at both ends.
type ipv6cpOptions struct {
	local, peer interfaceID
	// given is the identifier that the peer is to have; zero leaves it to the peer.
	given interfaceID
	// wanted: begin, even where it is the peer's turn.
	wanted bool
	// rejected: the peer does not want to hear of our identifier.
	rejected bool
}

// offer is what the verdict on the peer's credentials brought.
func (o *ipv6cpOptions) offer(v IPv6) {
	o.given, o.wanted = v.Peer, v.Open
	if o.local == o.given {
		o.local = interfaceID{} // it is the peer's; begin chooses another
	}
}

// begin keeps an identifier once chosen: it should be the same each time
// (RFC 5072 section 4.1).
func (o *ipv6cpOptions) begin(e *env) {
	o.peer, o.rejected = interfaceID{}, false
	if o.local == (interfaceID{}) {
		o.local = o.fresh(e)
	}
}

// fresh is a random identifier that is neither zero nor one of those in use. Its
// "u" bit is zero, because it is not globally unique (RFC 5072 section 4.1).
func (o *ipv6cpOptions) fresh(e *env) (id interfaceID) {
	e.random(id[:])
	id[0] &^= 0x02
	// Counting on, unlike drawing again, ends with any source of randomness.
	for id == (interfaceID{}) || id == o.local || id == o.peer || id == o.given {
		id[7]++
	}
	return id
}

func (o *ipv6cpOptions) request(_ *env, b []byte) []byte {
	if o.rejected {
		return b
	}
	return appendInterfaceID(b, o.local)
}

func appendInterfaceID(b []byte, id interfaceID) []byte {
	return append(append(b, optInterfaceID, 10), id[:]...)
}

func (o *ipv6cpOptions) examine(e *env, opt option, b []byte) (verdict, []byte) {
	if opt.kind != optInterfaceID {
		return refuse, b
	}
	// RFC 5072 section 4.1: zero, or equal to ours, is naked with a suggestion.
	if len(opt.data) != 8 || interfaceID(opt.data) == (interfaceID{}) || interfaceID(opt.data) == o.local {
		return suggest, appendInterfaceID(b, o.suggestion(e))
	}
	if o.given != (interfaceID{}) && interfaceID(opt.data) != o.given {
		return suggest, appendInterfaceID(b, o.given)
	}
	return accept, b
}

// missing: without an identifier there is no address for the peer.
func (o *ipv6cpOptions) missing(e *env, seen *typeSet, b []byte) []byte {
	if seen.has(optInterfaceID) {
		return b
	}
	return appendInterfaceID(b, o.suggestion(e))
}

// suggestion is an identifier for the peer.
func (o *ipv6cpOptions) suggestion(e *env) interfaceID {
	if o.given != (interfaceID{}) {
		return o.given
	}
	return o.fresh(e)
}

func (o *ipv6cpOptions) adopt(options []byte) {
	if opt, _, ok := nextOption(options); ok && len(opt.data) == 8 {
		o.peer = interfaceID(opt.data)
	}
}

// nak takes the suggestion, if it is one, else chooses anew (RFC 5072 section 4.1).
func (o *ipv6cpOptions) nak(e *env, opt option) {
	if opt.kind != optInterfaceID {
		return
	}
	o.local = o.fresh(e)
	if len(opt.data) == 8 && interfaceID(opt.data) != (interfaceID{}) &&
		interfaceID(opt.data) != o.peer && interfaceID(opt.data) != o.given {
		o.local = interfaceID(opt.data)
	}
}

func (o *ipv6cpOptions) drop(_ *env, opt option) {
	if opt.kind == optInterfaceID {
		o.rejected = true
	}
}
