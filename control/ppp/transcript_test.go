package ppp

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// logFrame writes one line for a frame: when, who, what.
func (p *pair) logFrame(e *end, f []byte) {
	arrow := "→"
	switch {
	case p.lns == p.client:
		arrow = "↺"
	case e == p.client:
		arrow = "←"
	}
	lost := ""
	if p.cut {
		lost = " (lost)"
	}
	fmt.Fprintf(&p.log, "%6.1f  lns %s client  %s%s\n", p.now.Sub(epoch()).Seconds(), arrow, describe(f), lost)
}

func (p *pair) logEvent(e *end, ev Event) {
	fmt.Fprintf(&p.log, "%6.1f  %s: %v%s\n", p.now.Sub(epoch()).Seconds(), e.name, ev.Kind, eventDetail(e, ev))
}

func eventDetail(e *end, ev Event) string {
	switch ev.Kind {
	case LinkUp:
		n := e.link.Negotiated()
		return fmt.Sprintf(" auth=%v mru=%d/%d acfc=%v pfc=%v", n.Auth, n.LocalMRU, n.MRU, n.ACFC, n.PFC)
	case AuthRequested:
		s := fmt.Sprintf(" %v id=%d name=%q", ev.Auth.Method, ev.Auth.ID, ev.Auth.Name)
		if ev.Auth.Method == PAP {
			s += fmt.Sprintf(" password=%q", ev.Auth.Password)
		}
		if ev.Auth.Proxied {
			s += " proxied"
		}
		if ev.Auth.Again {
			s += " again"
		}
		return s
	case IPv4Up:
		s := fmt.Sprintf(" local=%v peer=%v", ev.IPv4.Local, ev.IPv4.Peer)
		for _, a := range ev.IPv4.DNS {
			if a.IsValid() {
				s += fmt.Sprintf(" dns=%v", a)
			}
		}
		for _, a := range ev.IPv4.NBNS {
			if a.IsValid() {
				s += fmt.Sprintf(" nbns=%v", a)
			}
		}
		return s
	case IPv6Up:
		return fmt.Sprintf(" local=%x peer=%x", ev.IPv6[0], ev.IPv6[1])
	case LinkDown:
		s := fmt.Sprintf(" cause=%q", ev.Cause.String())
		if ev.Message != "" {
			s += fmt.Sprintf(" message=%q", ev.Message)
		}
		return s
	}
	return ""
}

// describe decodes a frame independently of the code under test as far as that is
// sensible: with its own tables and byte arithmetic.
func describe(f []byte) string {
	s := ""
	if len(f) >= 2 && f[0] == 0xFF && f[1] == 3 {
		f = f[2:]
	} else {
		s = "(bare) "
	}
	if len(f) < 2 {
		return s + hex.EncodeToString(f)
	}
	proto := int(f[0])<<8 | int(f[1])
	f = f[2:]
	names := map[int]string{0xC021: "LCP", 0xC023: "PAP", 0xC223: "CHAP", 0x8021: "IPCP", 0x8057: "IPV6CP", 0x80FD: "CCP"}
	name, ok := names[proto]
	if !ok {
		name = fmt.Sprintf("%04x", proto)
	}
	s += name + " "
	if len(f) < 4 {
		return s + "short " + hex.EncodeToString(f)
	}
	code, id, n := int(f[0]), f[1], int(f[2])<<8|int(f[3])
	if n < 4 || n > len(f) {
		return s + "bad length " + hex.EncodeToString(f)
	}
	data := f[4:n]
	switch name {
	case "PAP":
		return s + describePAP(code, id, data)
	case "CHAP":
		return s + describeCHAP(code, id, data)
	}
	codes := []string{"0", "Configure-Request", "Configure-Ack", "Configure-Nak", "Configure-Reject",
		"Terminate-Request", "Terminate-Ack", "Code-Reject", "Protocol-Reject", "Echo-Request", "Echo-Reply", "Discard-Request"}
	what := fmt.Sprintf("code-%d", code)
	if code < len(codes) {
		what = codes[code]
	}
	s += fmt.Sprintf("%s id=%d", what, id)
	switch {
	case code >= 1 && code <= 4:
		return s + describeOptions(name, data)
	case code == 5 || code == 6:
		if len(data) > 0 {
			s += fmt.Sprintf(" %q", data)
		}
		return s
	case len(data) > 0:
		return s + " " + hex.EncodeToString(data)
	}
	return s
}

func describePAP(code int, id byte, data []byte) string {
	names := []string{"0", "Authenticate-Request", "Authenticate-Ack", "Authenticate-Nak"}
	s := fmt.Sprintf("%s id=%d", names[code&3], id)
	for len(data) > 0 && int(data[0]) < len(data) {
		s += fmt.Sprintf(" %q", data[1:1+int(data[0])])
		data = data[1+int(data[0]):]
	}
	return s
}

func describeCHAP(code int, id byte, data []byte) string {
	names := []string{"0", "Challenge", "Response", "Success", "Failure"}
	if code >= len(names) {
		return fmt.Sprintf("code-%d", code)
	}
	s := fmt.Sprintf("%s id=%d", names[code], id)
	if code <= 2 && len(data) > 0 && int(data[0]) < len(data) {
		return s + fmt.Sprintf(" %x %q", data[1:1+int(data[0])], data[1+int(data[0]):])
	}
	if len(data) > 0 {
		s += fmt.Sprintf(" %q", data)
	}
	return s
}

func describeOptions(proto string, data []byte) string {
	names := map[string]map[byte]string{
		"LCP":    {1: "mru", 2: "accm", 3: "auth", 4: "quality", 5: "magic", 7: "pfc", 8: "acfc", 17: "mrru"},
		"IPCP":   {1: "addresses", 2: "compression", 3: "address", 129: "dns1", 130: "nbns1", 131: "dns2", 132: "nbns2"},
		"IPV6CP": {1: "id"},
	}[proto]
	var b strings.Builder
	for len(data) >= 2 && data[1] >= 2 && int(data[1]) <= len(data) {
		kind, v := data[0], data[2:data[1]]
		data = data[data[1]:]
		name, ok := names[kind]
		if !ok {
			name = fmt.Sprintf("option-%d", kind)
		}
		fmt.Fprintf(&b, " %s", name)
		switch {
		case name == "mru" && len(v) == 2:
			fmt.Fprintf(&b, "=%d", int(v[0])<<8|int(v[1]))
		case proto == "IPCP" && kind != 2 && len(v) == 4:
			fmt.Fprintf(&b, "=%d.%d.%d.%d", v[0], v[1], v[2], v[3])
		case len(v) > 0:
			fmt.Fprintf(&b, "=%x", v)
		}
	}
	if len(data) > 0 {
		fmt.Fprintf(&b, " broken=%x", data)
	}
	return b.String()
}
