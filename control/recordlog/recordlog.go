// Package recordlog keeps records in a folder of append-only files, so that they
// outlive the process. A record is framed by its length and a checksum: what was
// being written when the process or the host died is found and left out, all before
// it is whole.
//
//	segment: "lnslog01" record record ...
//	record:  length u32 | CRC-32C u32 | kind u8 | payload       (little endian)
//
// The length is that of kind and payload, and the checksum is over length, kind and
// payload. Every process begins a segment of its own, so that nothing is ever
// written behind a torn record. What a record means is its owner's business, and so
// is when a segment is not needed any more.
package recordlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	magic      = "lnslog01"
	suffix     = ".log"
	frameBytes = 8
	// MaxRecord bounds a record: a length beyond it is a torn or foreign one.
	MaxRecord = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrBadRecord says that a record is not what was written.
var ErrBadRecord = errors.New("recordlog: bad record")

// Position is where a record is: its segment, and the offset of its frame in it.
type Position struct {
	Segment uint64
	Offset  int64
}

// Log is one folder of records. It is not safe for concurrent use; Readers have files
// of their own.
type Log struct {
	dir      string
	segments []uint64 // oldest first; the last is written to
	sizes    map[uint64]int64
	total    int64
	file     *os.File
	lock     *os.File
}

// ErrInUse says that another process has the folder open.
var ErrInUse = errors.New("recordlog: in use by another process")

// Open opens the folder, made when missing. Read what is there by Scan before the
// first Append; Damaged records end the segment they are in.
func Open(dir string) (*Log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("recordlog: %w", err)
	}
	l := &Log{dir: dir, sizes: make(map[uint64]int64)}
	if err := l.acquire(); err != nil {
		return nil, err
	}
	if err := l.list(); err != nil {
		return nil, errors.Join(fmt.Errorf("recordlog: %w", err), l.lock.Close())
	}
	return l, nil
}

// acquire keeps other processes out until this one closes the log or dies.
func (l *Log) acquire() error {
	f, err := os.OpenFile(filepath.Join(l.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("recordlog: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("%w: %s", ErrInUse, l.dir)
		}
		return errors.Join(err, f.Close())
	}
	l.lock = f
	return nil
}

// list finds the segments that are there.
func (l *Log) list() error {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		n, err := strconv.ParseUint(name, 16, 64)
		if !ok || err != nil || len(name) != 16 {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		l.segments = append(l.segments, n)
		l.sizes[n] = info.Size()
		l.total += info.Size()
	}
	slices.Sort(l.segments)
	return nil
}

func (l *Log) path(segment uint64) string {
	return filepath.Join(l.dir, fmt.Sprintf("%016x%s", segment, suffix))
}

// Segments lists the segments, the oldest first. Current is the one that Append
// writes to, 0 before the first.
func (l *Log) Segments() []uint64 { return slices.Clone(l.segments) }

// Current is the segment that is written to, 0 when there is none.
func (l *Log) Current() uint64 {
	if l.file == nil {
		return 0
	}
	return l.segments[len(l.segments)-1]
}

// Size is the number of bytes on disk; SizeOf that of one segment.
func (l *Log) Size() int64                   { return l.total }
func (l *Log) SizeOf(segment uint64) int64   { return l.sizes[segment] }
func (l *Log) grow(segment uint64, by int64) { l.sizes[segment] += by; l.total += by }

// Scan calls f for every record of a segment in order; payload is valid only during
// the call. A record that is torn or damaged ends it: whole is false then, and
// what follows in this segment is lost. An error is f's or the file system's.
func (l *Log) Scan(segment uint64, f func(p Position, kind byte, payload []byte) error) (whole bool, err error) {
	b, err := os.ReadFile(l.path(segment))
	if err != nil {
		return false, fmt.Errorf("recordlog: %w", err)
	}
	return Decode(b, func(offset int64, kind byte, payload []byte) error {
		return f(Position{segment, offset}, kind, payload)
	})
}

// Decode is Scan over the contents of a segment.
func Decode(b []byte, f func(offset int64, kind byte, payload []byte) error) (whole bool, err error) {
	if !strings.HasPrefix(string(b[:min(len(b), len(magic))]), magic) {
		return len(b) == 0, nil
	}
	for at := len(magic); at < len(b); {
		kind, payload, ok := frame(b[at:])
		if !ok {
			return false, nil
		}
		if err := f(int64(at), kind, payload); err != nil {
			return true, err
		}
		at += frameBytes + 1 + len(payload)
	}
	return true, nil
}

// frame takes the first record off b.
func frame(b []byte) (kind byte, payload []byte, ok bool) {
	if len(b) < frameBytes+1 {
		return 0, nil, false
	}
	n := binary.LittleEndian.Uint32(b)
	if n == 0 || n > MaxRecord || int(n) > len(b)-frameBytes {
		return 0, nil, false
	}
	body := b[frameBytes : frameBytes+n]
	if checksum(b[:4], body) != binary.LittleEndian.Uint32(b[4:]) {
		return 0, nil, false
	}
	return body[0], body[1:], true
}

func checksum(length, body []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, length), castagnoli, body)
}

// AppendFrame appends a framed record to b, to be written by Append.
func AppendFrame(b []byte, kind byte, payload []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(1+len(payload)))
	b = append(b, 0, 0, 0, 0, kind)
	b = append(b, payload...)
	f := b[start:]
	binary.LittleEndian.PutUint32(f[4:], checksum(f[:4], f[frameBytes:]))
	return b
}

// FrameSize is the size of a record's frame in a segment.
func FrameSize(payload int) int64 { return int64(frameBytes + 1 + payload) }

// Begin starts a new segment: the first of this process, or because the one before
// is large enough. It returns its number.
func (l *Log) Begin() (uint64, error) {
	next := uint64(1)
	if n := len(l.segments); n > 0 {
		next = l.segments[n-1] + 1
	}
	f, err := os.OpenFile(l.path(next), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, fmt.Errorf("recordlog: %w", err)
	}
	if _, err := f.WriteString(magic); err != nil {
		return 0, errors.Join(fmt.Errorf("recordlog: %w", err), f.Close(), os.Remove(l.path(next)))
	}
	if l.file != nil {
		err = errors.Join(l.file.Sync(), l.file.Close())
	}
	l.file = f
	l.segments = append(l.segments, next)
	l.grow(next, int64(len(magic)))
	if err != nil {
		return next, fmt.Errorf("recordlog: %w", err)
	}
	return next, nil
}

// Append writes frames made by AppendFrame, with one write, to the current segment
// and returns where the first is. On an error none of them counts as written.
func (l *Log) Append(frames []byte) (Position, error) {
	if l.file == nil {
		return Position{}, errors.New("recordlog: no segment")
	}
	segment := l.Current()
	at := Position{segment, l.sizes[segment]}
	if n, err := l.file.Write(frames); err != nil {
		// What is there of it must not be read as the beginning of what follows.
		if n > 0 {
			if terr := l.file.Truncate(at.Offset); terr == nil {
				_, terr = l.file.Seek(at.Offset, io.SeekStart)
				err = errors.Join(err, terr)
			}
		}
		return Position{}, fmt.Errorf("recordlog: %w", err)
	}
	l.grow(segment, int64(len(frames)))
	return at, nil
}

// Sync brings what was written to the disk, so that it outlives the host too.
func (l *Log) Sync() error {
	if l.file == nil {
		return nil
	}
	return l.file.Sync()
}

// Remove deletes a segment, which must not be the current one.
func (l *Log) Remove(segment uint64) error {
	if segment == l.Current() {
		return errors.New("recordlog: the segment is being written")
	}
	if err := os.Remove(l.path(segment)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("recordlog: %w", err)
	}
	l.segments = slices.DeleteFunc(l.segments, func(n uint64) bool { return n == segment })
	l.total -= l.sizes[segment]
	delete(l.sizes, segment)
	return nil
}

// Reader reads single records, with the file of the last one kept open.
type Reader struct {
	dir     string
	segment uint64
	file    *os.File
	buf     []byte
}

// NewReader reads records of the folder that l writes.
func (l *Log) NewReader() *Reader { return &Reader{dir: l.dir} }

// Read returns the record at p; payload is valid until the next call.
func (r *Reader) Read(p Position) (kind byte, payload []byte, err error) {
	if r.file == nil || r.segment != p.Segment {
		if err := r.Close(); err != nil {
			return 0, nil, err
		}
		f, err := os.Open((&Log{dir: r.dir}).path(p.Segment))
		if err != nil {
			return 0, nil, fmt.Errorf("recordlog: %w", err)
		}
		r.file, r.segment = f, p.Segment
	}
	var head [frameBytes]byte
	if _, err := r.file.ReadAt(head[:], p.Offset); err != nil {
		return 0, nil, fmt.Errorf("recordlog: %w", err)
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n == 0 || n > MaxRecord {
		return 0, nil, ErrBadRecord
	}
	r.buf = append(append(r.buf[:0], head[:]...), make([]byte, n)...)
	if _, err := r.file.ReadAt(r.buf[frameBytes:], p.Offset+frameBytes); err != nil {
		return 0, nil, fmt.Errorf("recordlog: %w", err)
	}
	kind, payload, ok := frame(r.buf)
	if !ok {
		return 0, nil, ErrBadRecord
	}
	return kind, payload, nil
}

// Close closes the file that is open, if any.
func (r *Reader) Close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}

// Close closes the log and lets other processes have it; what was written stays.
func (l *Log) Close() error {
	var err error
	if l.file != nil {
		err = errors.Join(l.file.Sync(), l.file.Close())
		l.file = nil
	}
	if l.lock != nil {
		err = errors.Join(err, l.lock.Close())
		l.lock = nil
	}
	return err
}
