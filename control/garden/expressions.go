package garden

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// The expressions of nftables that rules are made of, each as the nft program
// writes it. They pass what they have read through register 1.

const register = 1

// Numbers that the kernel knows protocols and states by.
const (
	protoTCP, protoUDP = 6, 17
	ctStatusDNAT       = 1 << 5      // IPS_DST_NAT
	ctStateOngoing     = 1<<1 | 1<<2 // established, related
	interfaceNameLen   = 16          // IFNAMSIZ
	sourceAt4, destAt4 = 12, 16      // in an IPv4 header
	sourceAt6, destAt6 = 8, 24       // in an IPv6 header
	destinationPortAt  = 2           // in a header of TCP or UDP
	objectTypeCounter  = int(nftables.ObjTypeCounter)
	bytes4, bytes6     = 4, 16
)

type exprs []expr.Any

func (e exprs) and(more ...expr.Any) exprs { return append(e[:len(e):len(e)], more...) }

func equals(data []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: data}
}

// through matches packets that come in by a device, or with key OIFNAME go out by it.
func through(key expr.MetaKey, device string) exprs {
	name := make([]byte, interfaceNameLen)
	copy(name, device)
	return exprs{&expr.Meta{Key: key, Register: register}, equals(name)}
}

// version matches packets of a family.
func version(f nftables.TableFamily) exprs {
	return exprs{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: register}, equals([]byte{byte(f)})}
}

func familyOf(is4 bool) nftables.TableFamily {
	if is4 {
		return nftables.TableFamilyIPv4
	}
	return nftables.TableFamilyIPv6
}

// port matches packets to a port of a protocol.
func port(protocol byte, n uint16) exprs {
	return exprs{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register}, equals([]byte{protocol}),
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: destinationPortAt, Len: 2},
		equals(binary.BigEndian.AppendUint16(nil, n)),
	}
}

// address reads an address of the network header, and what of it mask keeps.
func address(offset, size uint32, mask []byte) exprs {
	e := exprs{&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size}}
	if mask != nil {
		e = e.and(&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: size, Mask: mask, Xor: make([]byte, size)})
	}
	return e
}

// toPrefix matches packets to an address of p, fromPrefix those from one.
func toPrefix(p netip.Prefix) exprs   { return inPrefix(p, destAt4, destAt6) }
func fromPrefix(p netip.Prefix) exprs { return inPrefix(p, sourceAt4, sourceAt6) }

func inPrefix(p netip.Prefix, at4, at6 uint32) exprs {
	offset, size := at4, uint32(bytes4)
	if p.Addr().Is6() {
		offset, size = at6, bytes6
	}
	mask := make([]byte, size)
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return version(familyOf(p.Addr().Is4())).and(address(offset, size, mask)...).and(equals(p.Masked().Addr().AsSlice()))
}

func lookup(set *nftables.Set) expr.Any {
	return &expr.Lookup{SourceRegister: register, SetName: set.Name, SetID: set.ID}
}

// conntrack matches packets whose connection has one of some bits in key.
func conntrack(key expr.CtKey, bits uint32) exprs {
	return exprs{
		&expr.Ct{Key: key, Register: register},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 4,
			Mask: binary.NativeEndian.AppendUint32(nil, bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: make([]byte, 4)},
	}
}

// notRedirected matches packets of connections whose destination is what it was.
func notRedirected() exprs {
	e := conntrack(expr.CtKeySTATUS, ctStatusDNAT)
	e[len(e)-1] = equals(make([]byte, 4))
	return e
}

func count(counter string) expr.Any { return &expr.Objref{Type: objectTypeCounter, Name: counter} }

func verdict(kind expr.VerdictKind) expr.Any { return &expr.Verdict{Kind: kind} }

func jump(chain string) expr.Any { return &expr.Verdict{Kind: expr.VerdictJump, Chain: chain} }

// sendTo gives a connection another destination address.
func sendTo(a netip.Addr) exprs {
	return exprs{
		&expr.Immediate{Register: register, Data: a.AsSlice()},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(familyOf(a.Is4())), RegAddrMin: register, RegAddrMax: register},
	}
}

// sendToPort gives a connection another destination address and port.
func sendToPort(a netip.AddrPort) exprs {
	const second = 2 // register
	return exprs{
		&expr.Immediate{Register: register, Data: a.Addr().AsSlice()},
		&expr.Immediate{Register: second, Data: binary.BigEndian.AppendUint16(nil, a.Port())},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(familyOf(a.Addr().Is4())),
			RegAddrMin: register, RegAddrMax: register, RegProtoMin: second, RegProtoMax: second},
	}
}
