package dae

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2869"
)

// client is a Client with what was seen of it.
type client struct {
	Client
	signs atomic.Bool // has sent a valid Message-Authenticator
	seen  clientCounts
}

// find returns the client with the longest prefix around a source (RFC 5176 section
// 2.3: the source address decides which secret to use).
func find(clients []*client, source netip.Addr) *client {
	var best *client
	bits := -1
	for _, c := range clients {
		for _, p := range c.Sources {
			if p.Bits() > bits && p.Contains(source) {
				best, bits = c, p.Bits()
			}
		}
	}
	return best
}

// Why a datagram gets no answer.
var (
	errMalformed     = errors.New("malformed")
	errCode          = errors.New("not a request for us")
	errAuthenticator = errors.New("wrong authenticator, or secrets differ")
	errSignature     = errors.New("wrong Message-Authenticator")
	errUnsigned      = errors.New("no Message-Authenticator")
	errStale         = errors.New("Event-Timestamp is out of the window")
	errNoTimestamp   = errors.New("no Event-Timestamp")
)

// verify parses a datagram of a client and makes sure that the client has sent it,
// just now.
func (c *client) verify(b []byte, now time.Time, window time.Duration, needTime bool) (*radius.Packet, error) {
	if len(b) < 20 {
		return nil, errMalformed
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < 20 || n > len(b) || n > radius.MaxPacketLength {
		return nil, errMalformed
	}
	b = b[:n] // what follows is padding (RFC 5176 section 2.3)
	if code := radius.Code(b[0]); code != radius.CodeCoARequest && code != radius.CodeDisconnectRequest {
		return nil, errCode
	}
	if !radius.IsAuthenticRequest(b, c.Secret) {
		return nil, errAuthenticator
	}
	p, err := radius.Parse(b, c.Secret)
	if err != nil {
		return nil, errMalformed
	}
	if err := c.verifySignature(p); err != nil {
		return nil, err
	}
	return p, checkTime(p, now, window, needTime)
}

// verifySignature checks the Message-Authenticator (RFC 5176 section 3.4).
func (c *client) verifySignature(p *radius.Packet) error {
	var mine *radius.AVP
	for _, a := range p.Attributes {
		if a.Type != rfc2869.MessageAuthenticator_Type {
			continue
		}
		if mine != nil || len(a.Attribute) != md5.Size {
			return errSignature
		}
		mine = a
	}
	if mine == nil {
		if c.MessageAuthenticator == RequireAlways || c.MessageAuthenticator == RequireOnceSeen && c.signs.Load() {
			return errUnsigned
		}
		return nil
	}
	// Computed with both authenticators as zeros.
	sent, own := mine.Attribute, p.Authenticator
	mine.Attribute, p.Authenticator = make(radius.Attribute, md5.Size), [16]byte{}
	sum, err := signature(p)
	mine.Attribute, p.Authenticator = sent, own
	if err != nil || !hmac.Equal(sum, sent) {
		return errSignature
	}
	c.signs.Store(true)
	return nil
}

// signature is the HMAC over a packet as it is.
func signature(p *radius.Packet) ([]byte, error) {
	b, err := p.MarshalBinary()
	if err != nil {
		return nil, err
	}
	m := hmac.New(md5.New, p.Secret)
	m.Write(b)
	return m.Sum(nil), nil
}

// checkTime discards what is not current (RFC 5176 section 6.3).
func checkTime(p *radius.Packet, now time.Time, window time.Duration, need bool) error {
	v, ok := p.Lookup(rfc2869.EventTimestamp_Type)
	switch {
	case !ok && need:
		return errNoTimestamp
	case !ok:
		return nil
	case len(v) != 4:
		return errMalformed
	}
	at := time.Unix(int64(binary.BigEndian.Uint32(v)), 0)
	if d := now.Sub(at); d > window || d < -window {
		return errStale
	}
	return nil
}
