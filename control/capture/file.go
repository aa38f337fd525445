package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/lnsd/lnsd/control/session"
)

// The interfaces of a file.
const (
	packets  = iota // IP packets
	frames          // PPP frames
	messages        // L2TP control messages, with IP and UDP headers
	interfaces
)

var interfaceNames = [interfaces]string{"packets", "ppp", "control"}

// capture is one that is on. The Hub's lock guards it.
type capture struct {
	Options
	wake    chan struct{}
	members map[ids]uint32 // with their slots, 0 while they have none
	waiting map[key][]session.Tapped

	out      bytes.Buffer
	writer   *pcapgo.NgWriter
	written  uint64
	dropped  [interfaces]uint64
	told     [interfaces]uint64 // of dropped, in the file
	missed   func() uint64
	before   uint64 // missed before this capture
	now      func() time.Time
	second   int64 // in which passing were let through
	passing  int
	problems error
	ended    bool // the session of a slot is over
	since    time.Time
}

func newCapture(o Options, missed func() uint64) (*capture, error) {
	c := &capture{
		Options: o, wake: make(chan struct{}, 1), missed: missed, before: missed(), since: time.Now(), now: time.Now,
		members: make(map[ids]uint32), waiting: make(map[key][]session.Tapped),
	}
	kinds := [interfaces]layers.LinkType{layers.LinkTypeRaw, layers.LinkTypePPP, layers.LinkTypeRaw}
	options := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "lnsd"}}
	for i, kind := range kinds {
		described := pcapgo.NgInterface{Name: interfaceNames[i], LinkType: kind, SnapLength: uint32(o.Snap)}
		var err error
		if i == 0 {
			c.writer, err = pcapgo.NewNgWriterInterface(&c.out, described, options)
		} else {
			_, err = c.writer.AddInterface(described)
		}
		if err != nil {
			return nil, err
		}
	}
	return c, c.writer.Flush()
}

// part takes what was written since the last one, into memory.
func (c *capture) part(memory []byte) (Part, error) {
	p := Part{Packets: c.written}
	for i, n := range c.lost() {
		p.Dropped += n
		if n != c.told[i] {
			c.told[i] = n
			c.keep(c.writer.WriteInterfaceStats(i, pcapgo.NgInterfaceStatistics{
				LastUpdate: time.Now(), PacketsReceived: pcapgo.NgNoValue64, PacketsDropped: n,
			}))
		}
	}
	c.keep(c.writer.Flush())
	p.Data = append(memory[:0], c.out.Bytes()...)
	c.out.Reset()
	return p, c.problems
}

// lost is what is not in the file, by interface.
func (c *capture) lost() [interfaces]uint64 {
	dropped := c.dropped
	if now := c.missed(); now > c.before {
		dropped[packets] += now - c.before
	}
	return dropped
}

func (c *capture) keep(err error) {
	if c.problems == nil {
		c.problems = err
	}
}

// write adds a packet to the file, if it may. length is that of the whole.
func (c *capture) write(layer int, at time.Time, inbound bool, data []byte, length int, comment string) {
	if now := c.now().Unix(); now != c.second {
		c.second, c.passing = now, 0
	}
	if c.passing++; c.passing > mostRate || c.out.Len() >= mostBytes {
		c.dropped[layer]++
		return
	}
	if c.Snap > 0 && len(data) > c.Snap {
		data = data[:c.Snap]
	}
	flags := &pcapgo.NgEpbFlags{Direction: pcapgo.NgEpbFlagDirectionOutbound}
	if inbound {
		flags.Direction = pcapgo.NgEpbFlagDirectionInbound
	}
	info := gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(data), Length: max(length, len(data)), InterfaceIndex: layer}
	c.keep(c.writer.WritePacketWithOptions(info, data, pcapgo.NgPacketOptions{Comments: []string{comment}, Flags: flags}))
	c.keep(c.writer.Flush())
	c.written++
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// packet writes a packet if it is of one of the capture's sessions.
func (c *capture) packet(p *session.PacketCopy) {
	if _, member := c.members[ids{p.TunnelID, p.SessionID}]; !member && (c.Slot == 0 || c.Slot != p.Slot || c.ended) {
		return
	}
	direction, path, end := "down", "fast path", "forwarded"
	if p.Up {
		direction = "up"
	}
	if p.Slow {
		path = "slow path"
	}
	if p.Reason != "" {
		end = "not forwarded: " + p.Reason
	}
	data := p.Packet
	if p.Outer && !c.Secrets {
		data = withoutFrames(data)
	}
	c.write(packets, p.At, p.Up, data, p.Length, fmt.Sprintf("session %d, %s, %s, %s", p.Slot, direction, path, end))
}

func layerOf(m *session.Tapped) int {
	if m.Layer == session.TapPPP {
		return frames
	}
	return messages
}

// message writes a message.
func (c *capture) message(m *session.Tapped) {
	data := bytes.Clone(m.Data)
	direction := "received"
	if m.Sent {
		direction = "sent"
	}
	layer := layerOf(m)
	if layer == frames {
		if !c.Secrets {
			redactFrame(data)
		}
		data = framed(data)
	} else {
		if !c.Secrets {
			redactControl(data)
		}
		from, to := m.Peer, m.Local
		if m.Sent {
			from, to = to, from
		}
		data = datagram(from, to, data)
	}
	c.write(layer, m.At, !m.Sent, data, len(data), fmt.Sprintf("tunnel %d session %d, %s", m.TunnelID, m.SessionID, direction))
}

// framed gives a frame the address and control bytes, which it may lack.
func framed(frame []byte) []byte {
	if bytes.HasPrefix(frame, []byte{0xff, 0x03}) {
		return frame
	}
	return append([]byte{0xff, 0x03}, frame...)
}

// datagram puts IP and UDP headers before data, without a UDP checksum.
func datagram(from, to netip.AddrPort, data []byte) []byte {
	const udpHeader = 8
	size := udpHeader + len(data)
	source, target := from.Addr().Unmap(), to.Addr().Unmap()
	var b []byte
	if source.Is4() && target.Is4() {
		b = append(b, 0x45, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(20+size))
		b = append(b, 0, 0, 0, 0, 64, 17, 0, 0)
	} else {
		b = append(b, 0x60, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(size))
		b = append(b, 17, 64)
		s, t := source.As16(), target.As16()
		b = append(append(b, s[:]...), t[:]...)
		source, target = netip.Addr{}, netip.Addr{}
	}
	b = append(append(b, source.AsSlice()...), target.AsSlice()...)
	for _, v := range [...]int{int(from.Port()), int(to.Port()), size, 0} {
		b = binary.BigEndian.AppendUint16(b, uint16(v))
	}
	return append(b, data...)
}
