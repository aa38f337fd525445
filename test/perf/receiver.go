package perf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
)

// sample is a packet that the receiver kept.
type sample struct {
	queue uint32
	frame []byte
}

// counted is what a receiver has counted; bytes are those of whole frames.
type counted struct {
	packets, bytes uint64
	queues         []uint64 // packets by receive queue
}

// receiver counts, samples and drops the packets that reach a device.
type receiver struct {
	objs   receiverObjects
	link   link.Link
	reader *ringbuf.Reader
}

// newReceiver hangs a receiver on the device at the end of s. skb says that packets
// come as socket buffers.
func newReceiver(s *stream, skb bool, every uint32) (r *receiver, err error) {
	spec, err := loadReceiver()
	if err != nil {
		return nil, err
	}
	var wire [2]byte
	binary.BigEndian.PutUint16(wire[:], Port)
	err = errors.Join(
		spec.Variables[receiverVarPort].Set(binary.NativeEndian.Uint16(wire[:])),
		spec.Variables[receiverVarLeast].Set(uint32(etherLen+ipLen+udpLen+6+1+s.size)),
		spec.Variables[receiverVarEvery].Set(every),
	)
	if err != nil {
		return nil, err
	}
	r = &receiver{}
	if err := spec.LoadAndAssign(&r.objs, nil); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if r.reader, err = ringbuf.NewReader(r.objs.RxSamples); err != nil {
		return r, err
	}
	err = s.to.near.ns.Do(func() (err error) {
		if skb {
			r.link, err = link.AttachTCX(link.TCXOptions{
				Interface: s.to.near.ifindex, Program: r.objs.ReceiveSkb, Attach: ebpf.AttachTCXIngress,
			})
			return err
		}
		r.link, err = link.AttachXDP(link.XDPOptions{
			Program: r.objs.ReceiveXdp, Interface: s.to.near.ifindex, Flags: link.XDPDriverMode,
		})
		return err
	})
	return r, err
}

func (r *receiver) close() error {
	var errs []error
	if r.link != nil {
		errs = append(errs, r.link.Close())
	}
	if r.reader != nil {
		errs = append(errs, r.reader.Close())
	}
	return errors.Join(append(errs, r.objs.Close())...)
}

// count reads the counters of all queues.
func (r *receiver) count() (counted, error) {
	var c counted
	for queue := range r.objs.RxTally.MaxEntries() {
		var cpus []receiverTally
		if err := r.objs.RxTally.Lookup(queue, &cpus); err != nil {
			return c, err
		}
		var packets uint64
		for _, t := range cpus {
			packets += t.Packets
			c.bytes += t.Bytes
		}
		if packets > 0 {
			c.packets += packets
			for len(c.queues) <= int(queue) {
				c.queues = append(c.queues, 0)
			}
			c.queues[queue] = packets
		}
	}
	return c, nil
}

// samples takes out the packets that were kept and yields them; each is valid only
// until the next.
func (r *receiver) samples(yield func(sample) error) error {
	r.reader.SetDeadline(time.Unix(1, 0)) // what is there, without waiting
	var record ringbuf.Record
	for {
		err := r.reader.ReadInto(&record)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
		raw := record.RawSample
		length, queue := binary.NativeEndian.Uint32(raw), binary.NativeEndian.Uint32(raw[4:])
		if int(length) > len(raw)-8 {
			return fmt.Errorf("sample of %d bytes in a record of %d", length, len(raw))
		}
		if err := yield(sample{queue, raw[8 : 8+length]}); err != nil {
			return err
		}
	}
}
