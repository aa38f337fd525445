package spool

import (
	"time"

	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/control/wire"
)

// version of the encoding that is written. A version adds fields at the end; all
// earlier ones are read.
const version = 1

// appendRecord appends an accounting record.
func appendRecord(b []byte, r *session.AcctRecord) []byte {
	b = append(b, version)
	b = wire.AppendUint(b, uint64(r.Kind))
	b = wire.AppendUint(b, uint64(r.TunnelID))
	b = wire.AppendUint(b, uint64(r.SessionID))
	b = wire.AppendUint(b, uint64(r.Serial))
	b = wire.AppendUint(b, uint64(r.Slot))
	b = wire.AppendTime(b, r.At)
	b = wire.AppendString(b, r.User)
	b = wire.AppendString(b, r.Login)
	b = wire.AppendUint(b, uint64(r.Method))
	b = wire.AppendAddr(b, r.Address)
	b = wire.AppendList(b, r.Routes, wire.AppendPrefix)
	b = appendIPv6(b, r.IPv6)
	b = wire.AppendList(b, r.Class, wire.AppendBytes)
	b = wire.AppendBytes(b, r.CUI)
	b = wire.AppendBool(b, r.Local)
	b = appendCall(b, &r.Call)
	b = wire.AppendInt(b, int64(r.Duration))
	b = appendCounters(b, &r.Counters)
	b = wire.AppendBool(b, r.Base != nil)
	if r.Base != nil {
		b = appendCounters(b, r.Base)
	}
	b = wire.AppendUint(b, uint64(r.Cause))
	b = wire.AppendBool(b, r.Throttled)
	return wire.AppendString(b, r.Tunnel)
}

func appendIPv6(b []byte, n *session.Network6) []byte {
	b = wire.AppendBool(b, n != nil)
	if n == nil {
		return b
	}
	b = wire.AppendBytes(b, n.InterfaceID[:])
	b = wire.AppendList(b, n.Prefixes, wire.AppendPrefix)
	b = wire.AppendList(b, n.Delegated, wire.AppendPrefix)
	b = wire.AppendList(b, n.Addresses, wire.AppendAddr)
	b = wire.AppendList(b, n.Routes, wire.AppendPrefix)
	return wire.AppendList(b, n.DNS, wire.AppendAddr)
}

func appendCall(b []byte, c *session.CallInfo) []byte {
	b = wire.AppendString(b, c.AcctSessionID)
	b = wire.AppendString(b, c.CalledNumber)
	b = wire.AppendString(b, c.CallingNumber)
	for _, v := range [...]uint32{
		c.CallSerial, c.TxSpeed, c.RxSpeed, c.PhysicalChannel, uint32(c.PeerTunnelID), uint32(c.PeerSessionID),
	} {
		b = wire.AppendUint(b, uint64(v))
	}
	b = wire.AppendAddrPort(b, c.LAC)
	b = wire.AppendAddrPort(b, c.LNS)
	b = wire.AppendString(b, c.LACName)
	b = wire.AppendString(b, c.LNSName)
	return appendLine(b, c.Line)
}

func appendLine(b []byte, l *session.AccessLine) []byte {
	b = wire.AppendBool(b, l != nil)
	if l == nil {
		return b
	}
	b = wire.AppendString(b, l.CircuitID)
	b = wire.AppendString(b, l.RemoteID)
	for _, v := range l.Values {
		b = wire.AppendUint(b, uint64(v))
	}
	b = wire.AppendString(b, l.Loop)
	return wire.AppendBool(b, l.Interworking)
}

func appendCounters(b []byte, c *session.Counters) []byte {
	for _, v := range [...]uint64{
		c.UpPackets, c.UpBytes, c.DownPackets, c.DownBytes, c.UpDropped, c.DownDropped,
		c.UpPackets6, c.UpBytes6, c.DownPackets6, c.DownBytes6, c.UpThrottled, c.DownThrottled,
	} {
		b = wire.AppendUint(b, v)
	}
	return wire.AppendTime(b, c.LastSeen)
}

// parseRecord reads what appendRecord wrote, also an earlier version of it.
func parseRecord(b []byte) (*session.AcctRecord, error) {
	if len(b) == 0 || b[0] == 0 || b[0] > version {
		return nil, wire.ErrMalformed
	}
	r := wire.NewReader(b[1:])
	rec := &session.AcctRecord{Kind: session.AcctKind(r.U8())}
	rec.TunnelID, rec.SessionID, rec.Serial, rec.Slot = r.U16(), r.U16(), r.U32(), r.U32()
	rec.At = r.Time()
	rec.User = r.String()
	rec.Login = r.String()
	rec.Method = session.AuthMethod(r.U8())
	rec.Address = r.Addr()
	rec.Routes = wire.ReadList(r, r.Prefix)
	rec.IPv6 = readIPv6(r)
	rec.Class = wire.ReadList(r, r.Bytes)
	if rec.CUI = r.Bytes(); len(rec.CUI) == 0 {
		rec.CUI = nil
	}
	rec.Local = r.Bool()
	rec.Call = readCall(r)
	rec.Duration = time.Duration(r.Int())
	rec.Counters = readCounters(r)
	if r.Bool() {
		base := readCounters(r)
		rec.Base = &base
	}
	rec.Cause = session.TerminateCause(r.U8())
	rec.Throttled = r.Bool()
	rec.Tunnel = r.String()
	return rec, r.Err()
}

func readIPv6(r *wire.Reader) *session.Network6 {
	if !r.Bool() {
		return nil
	}
	n := &session.Network6{}
	r.Fixed(n.InterfaceID[:])
	n.Prefixes = wire.ReadList(r, r.Prefix)
	n.Delegated = wire.ReadList(r, r.Prefix)
	n.Addresses = wire.ReadList(r, r.Addr)
	n.Routes = wire.ReadList(r, r.Prefix)
	n.DNS = wire.ReadList(r, r.Addr)
	return n
}

func readCall(r *wire.Reader) (c session.CallInfo) {
	c.AcctSessionID, c.CalledNumber, c.CallingNumber = r.String(), r.String(), r.String()
	c.CallSerial, c.TxSpeed, c.RxSpeed, c.PhysicalChannel = r.U32(), r.U32(), r.U32(), r.U32()
	c.PeerTunnelID, c.PeerSessionID = r.U16(), r.U16()
	c.LAC, c.LNS = r.AddrPort(), r.AddrPort()
	c.LACName, c.LNSName = r.String(), r.String()
	c.Line = readLine(r)
	return c
}

func readLine(r *wire.Reader) *session.AccessLine {
	if !r.Bool() {
		return nil
	}
	l := &session.AccessLine{CircuitID: r.String(), RemoteID: r.String()}
	for i := range l.Values {
		l.Values[i] = r.U32()
	}
	l.Loop = r.String()
	l.Interworking = r.Bool()
	return l
}

func readCounters(r *wire.Reader) (c session.Counters) {
	for _, v := range [...]*uint64{
		&c.UpPackets, &c.UpBytes, &c.DownPackets, &c.DownBytes, &c.UpDropped, &c.DownDropped,
		&c.UpPackets6, &c.UpBytes6, &c.DownPackets6, &c.DownBytes6, &c.UpThrottled, &c.DownThrottled,
	} {
		*v = r.Uint()
	}
	c.LastSeen = r.Time()
	return c
}
