package telnet

import (
	"bytes"
	"testing"
)

func TestCommandsAreTakenOut(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"ab\r\nc", "ab\rc"}, {"a\r\x00b", "a\rb"}, {"a\nb", "a\nb"},
		{"\xff\xfd\x01x", "x"}, {"a\xff\xff", "a\xff"}, {"\xff\xf1x", "x"},
		{"\xff\xfa\x18\x00xterm\xff\xf0y", "y"},
	} {
		s := newStream(nil, 0)
		for _, b := range []byte(c.in) {
			s.take(b)
		}
		if string(s.keys) != c.want {
			t.Errorf("%q gives %q, want %q", c.in, s.keys, c.want)
		}
	}
}

func TestWindowSize(t *testing.T) {
	s := newStream(nil, 0)
	// 255 columns: RFC 1073 doubles the byte that would be a command.
	for _, b := range []byte{iac, sb, optNAWS, 0, iac, iac, 0, 50, iac, se} {
		s.take(b)
	}
	if w, h := s.size(); w != 255 || h != 50 {
		t.Errorf("%d x %d", w, h)
	}
}

func FuzzStream(f *testing.F) {
	f.Add([]byte("hello\r\n\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0x"))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := newStream(nil, 0)
		for _, b := range in {
			s.take(b)
		}
		if len(s.keys) > len(in) || len(s.sub) > maxSub || !bytes.Contains(in, []byte{iac}) && len(s.sub) > 0 {
			t.Errorf("%d keys, %d bytes of options", len(s.keys), len(s.sub))
		}
	})
}
