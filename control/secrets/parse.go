package secrets

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"github.com/lnsd/lnsd/control/session"
)

// SyntaxError is a fault in a secrets file. It never quotes a secret.
type SyntaxError struct {
	File string
	// Line counts from 1.
	Line   int
	Reason string
}

// Error is in the form that editors and compilers share, file:line: reason.
func (e *SyntaxError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason) }

// entry is what one line of the file grants.
type entry struct {
	secret []byte
	// address is the one to assign; invalid when a pool is to give one.
	address netip.Addr
	// ipv6 is what the line grants of IPv6, nil for nothing.
	ipv6 *session.Profile6
	// refused is set when the line allows the client no address at all.
	refused bool
	// wildServer is set when the line named no server of its own.
	wildServer bool
}

// table is a parsed file, resolved for one server name, and never changed.
type table struct {
	clients map[string]entry
	// any is the entry for clients that have none of their own.
	any   *entry
	lines int
}

// parse reads a whole secrets file. server is the name that we go by. The first
// fault ends it: half a table of subscribers would lock the other half out.
func parse(file string, b []byte, server string) (*table, error) {
	t := &table{clients: make(map[string]entry, bytes.Count(b, []byte{'\n'})+1)}
	s := newScanner(file, b)
	w, ok, err := s.next()
	for ok && err == nil {
		line := w.line
		words := make([][]byte, 0, 4)
		for {
			words = append(words, w.text)
			if w, ok, err = s.next(); !ok || err != nil || w.first {
				break
			}
		}
		if err == nil {
			err = t.add(s, line, words, server)
		}
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// add takes one line: client, server, secret and addresses.
func (t *table) add(s *scanner, line int, words [][]byte, server string) error {
	if len(words) < 3 {
		return s.errorf(line, "%d words, need at least three: client server secret [address...]", len(words))
	}
	client, forServer, secret := words[0], words[1], words[2]
	if len(client) == 0 {
		return s.errorf(line, `empty client name: write "*" for any`)
	}
	// pppd reads such a secret from the named file. Taking the path itself for
	// the secret would be a password that is easy to guess.
	if bytes.HasPrefix(secret, []byte("@/")) {
		return s.errorf(line, "a secret kept in another file (@/path) is not supported")
	}
	e := entry{secret: secret, wildServer: string(forServer) == "*"}
	words4, ipv6, err := networks6(beforeOptions(words[3:]))
	if err == nil {
		e.ipv6 = ipv6
		e.address, e.refused, err = addresses(words4)
	}
	if err != nil {
		return s.errorf(line, "%v", err)
	}
	if e.refused && ipv6 != nil {
		e.refused, ipv6.Only = false, true
	}
	t.lines++
	if !e.wildServer && string(forServer) != server {
		return nil // somebody else's, checked all the same
	}
	t.keep(string(client), e)
	return nil
}

// keep stores e if it is a better match than what is there. As in pppd's
// scan_authfile, a client's own line outranks any line for "*", then a line that
// names the server outranks one that does not, and among equals the first wins.
func (t *table) keep(client string, e entry) {
	if client == "*" {
		if t.any == nil || t.any.wildServer && !e.wildServer {
			t.any = &e
		}
		return
	}
	old, exists := t.clients[client]
	if !exists || old.wildServer && !e.wildServer {
		t.clients[client] = e
	}
}

// lookup finds the entry for a client; ok is false when there is none.
func (t *table) lookup(client string) (e entry, ok bool) {
	if e, ok = t.clients[client]; ok {
		return e, true
	}
	if t.any != nil {
		return *t.any, true
	}
	return entry{}, false
}

// addresses reads the address column. It differs from pppd's in one point: there
// the list says what the client may pick, and an absent one allows nothing; here
// the server picks, so an absent list means "from the pool", as * does. As in
// pppd, the first single address that is allowed is the client's, - allows
// none, and !address takes one out. What follows "--" are pppd options, which
// mean nothing here.
func addresses(words [][]byte) (address netip.Addr, refused bool, err error) {
	words = beforeOptions(words)
	if len(words) == 1 && string(words[0]) == "-" {
		return netip.Addr{}, true, nil
	}
	var excluded []netip.Prefix
	network, pool := "", len(words) == 0
	for _, w := range words {
		text := string(w)
		if text == "*" {
			pool = true
			continue
		}
		if text == "-" {
			return netip.Addr{}, false, fmt.Errorf(`"-" allows no address: it must be the only one`)
		}
		bare, not := strings.CutPrefix(text, "!")
		p, err := addressWord(bare)
		if err != nil {
			return netip.Addr{}, false, err
		}
		switch {
		case not:
			excluded = append(excluded, p)
		case !p.IsSingleIP():
			network = text
		case !address.IsValid() && !within(excluded, p.Addr()):
			address = p.Addr()
		}
	}
	if address.IsValid() || pool {
		return address, false, nil
	}
	if network != "" {
		return netip.Addr{}, false, fmt.Errorf("network %s alone names no address: give one, or * for the pool", network)
	}
	return netip.Addr{}, false, fmt.Errorf("no address is allowed: give one, * for the pool, or - to refuse")
}

// beforeOptions cuts off "--" and the pppd options behind it.
func beforeOptions(words [][]byte) [][]byte {
	for i, w := range words {
		if string(w) == "--" {
			return words[:i]
		}
	}
	return words
}

// addressWord reads an IPv4 address or network.
func addressWord(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, aerr := netip.ParseAddr(text)
		if aerr != nil {
			return netip.Prefix{}, fmt.Errorf("%q is not an IPv4 address or network, *, - or !address", text)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if !p.Addr().Is4() {
		return netip.Prefix{}, fmt.Errorf("%s is not an IPv4 address", text)
	}
	// pppd's bad_ip_adrs: never a subscriber's address.
	if a := p.Addr(); p.IsSingleIP() && (a.IsUnspecified() || a.IsLoopback() || a.As4()[0] >= 224) {
		return netip.Prefix{}, fmt.Errorf("%s cannot be a subscriber's address", text)
	}
	return p.Masked(), nil
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// networks6 takes the IPv6 words out of the address column, where pppd has none: a
// prefix of 64 bits is the link's, a shorter one is delegated, and a single address
// is given out by DHCPv6.
func networks6(words [][]byte) (rest [][]byte, six *session.Profile6, err error) {
	for _, w := range words {
		text := string(w)
		if !strings.Contains(text, ":") {
			rest = append(rest, w)
			continue
		}
		p, err := netip.ParsePrefix(text)
		if a, aerr := netip.ParseAddr(text); aerr == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		switch {
		case err != nil || p.Addr().Is4In6():
			return nil, nil, fmt.Errorf("%q is not an IPv6 address or prefix", text)
		case !p.Addr().IsGlobalUnicast():
			return nil, nil, fmt.Errorf("%s cannot be a subscriber's", text)
		case p.Masked() != p:
			return nil, nil, fmt.Errorf("%s has bits set beyond its length: %s is meant", p, p.Masked())
		}
		if six == nil {
			six = &session.Profile6{}
		}
		switch {
		case p.IsSingleIP():
			six.Addresses = append(six.Addresses, p.Addr())
		case p.Bits() >= 64:
			six.Prefixes = append(six.Prefixes, p)
		default:
			six.Delegated = append(six.Delegated, p)
		}
	}
	return rest, six, nil
}
