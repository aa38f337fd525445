package recordlog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

type record struct {
	at   Position
	kind byte
	text string
}

func write(t *testing.T, dir string, texts ...string) []Position {
	t.Helper()
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Begin(); err != nil {
		t.Fatal(err)
	}
	var at []Position
	for i, s := range texts {
		p, err := l.Append(AppendFrame(nil, byte(i), []byte(s)))
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, p)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return at
}

func read(t *testing.T, dir string) (records []record, whole bool) {
	t.Helper()
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	whole = true
	for _, s := range l.Segments() {
		ok, err := l.Scan(s, func(p Position, kind byte, payload []byte) error {
			records = append(records, record{p, kind, string(payload)})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		whole = whole && ok
	}
	return records, whole
}

func TestRecordsOutliveTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	at := write(t, dir, "one", "", "three")
	at = append(at, write(t, dir, "four")...)
	got, whole := read(t, dir)
	if !whole || len(got) != 4 {
		t.Fatalf("%v, whole %v", got, whole)
	}
	l, _ := Open(dir)
	defer l.Close()
	if _, err := Open(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	r := l.NewReader()
	defer r.Close()
	for i, want := range []string{"one", "", "three", "four"} {
		if got[i].text != want || got[i].at != at[i] {
			t.Errorf("record %d: %+v at %+v, not %q", i, got[i], at[i], want)
		}
		if kind, b, err := r.Read(at[i]); err != nil || string(b) != want || kind != got[i].kind {
			t.Errorf("record %d read alone: %d %q %v", i, kind, b, err)
		}
	}
}

// However a segment is cut off or a bit of it turned, the records before are read
// and nothing else is.
func TestDamageEndsASegment(t *testing.T) {
	dir := t.TempDir()
	at := write(t, dir, "one", "two", "three")
	name := filepath.Join(dir, "0000000000000001.log")
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before := func(offset int) int {
		n := 0
		for i, p := range at {
			end := p.Offset + FrameSize(len([]string{"one", "two", "three"}[i]))
			if int64(offset) >= end {
				n++
			}
		}
		return n
	}
	for n := range whole {
		if err := os.WriteFile(name, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if got, _ := read(t, dir); len(got) != before(n) {
			t.Errorf("cut at %d: %d records, not %d", n, len(got), before(n))
		}
		turned := bytes.Clone(whole)
		turned[n] ^= 0x10
		if err := os.WriteFile(name, turned, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := read(t, dir); ok || len(got) > before(n) {
			t.Errorf("bit turned at %d: %d records, whole %v", n, len(got), ok)
		}
	}
}

func TestSegments(t *testing.T) {
	l, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range 3 {
		if _, err := l.Begin(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Append(AppendFrame(nil, 1, fmt.Appendf(nil, "%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Remove(3); err == nil {
		t.Error("the current segment was removed")
	}
	if err := l.Remove(1); err != nil {
		t.Fatal(err)
	}
	want := 2 * (int64(len(magic)) + FrameSize(1))
	if s := l.Segments(); len(s) != 2 || s[0] != 2 || l.Size() != want || l.SizeOf(2) != want/2 {
		t.Errorf("segments %v of %d bytes", s, l.Size())
	}
	if err := l.Sync(); err != nil {
		t.Error(err)
	}
}

// No contents make the decoder read beyond them, and what it yields is framed the same
// way again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(magic))
	f.Add(AppendFrame(AppendFrame([]byte(magic), 1, []byte("payload")), 2, nil))
	f.Add(AppendFrame([]byte(magic), 1, []byte("payload"))[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		again := []byte(magic)
		whole, err := Decode(b, func(_ int64, kind byte, payload []byte) error {
			again = AppendFrame(again, kind, payload)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(b) >= len(magic) && string(b[:len(magic)]) == magic && (!bytes.HasPrefix(b, again) || whole != (len(again) == len(b))) {
			t.Errorf("%x became %x, whole %v", b, again, whole)
		}
	})
}
