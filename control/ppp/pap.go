package ppp

// PAP codes (RFC 1334 section 2.2).
const (
	papRequest = 1
	papAck     = 2
	papNak     = 3
)

// receivePAP takes a PAP packet. Unless PAP was negotiated it is dropped unread.
func (l *Link) receivePAP(s step, payload []byte) {
	if l.method() != PAP {
		return
	}
	p, ok := parsePacket(payload)
	if !ok {
		return
	}
	switch client := l.env.cfg.Client; {
	case p.code == papRequest && !client:
		l.receivePAPRequest(s, p)
	case p.code == papAck && client:
		if l.auth.state == authWaiting && p.id == l.auth.id {
			l.clientPassed(s)
		}
	case p.code == papNak && client:
		if l.auth.state == authWaiting && p.id == l.auth.id {
			l.clientFailed(papMessage(p.data))
		}
	}
}

func (l *Link) receivePAPRequest(s step, p packet) {
	name, password, ok := parsePAP(p.data)
	if !ok {
		return
	}
	switch l.auth.state {
	case authWaiting:
		l.auth.id = p.id
		l.ask(s, Credentials{Name: string(name), Password: s.out.keep(password)})
	case authAsked:
		// The peer repeats itself under a new Identifier (RFC 1334 section
		// 2.2.1); the verdict will answer the last one.
		l.auth.id = p.id
	case authPassed:
		// Same section: the Ack may have been lost; the same reply is due.
		l.auth.id = p.id
		l.sendPAPVerdict(s, true, l.text)
	}
}

// parsePAP reads the two counted fields of an Authenticate-Request.
func parsePAP(b []byte) (name, password []byte, ok bool) {
	if name, b, ok = counted(b); !ok {
		return nil, nil, false
	}
	password, _, ok = counted(b)
	return name, password, ok
}

// counted reads a field that follows its one-octet length.
func counted(b []byte) (field, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return nil, nil, false
	}
	n := 1 + int(b[0])
	return b[1:n], b[n:], true
}

// papMessage is the text of an Ack or Nak; some peers leave it out altogether.
func papMessage(b []byte) string {
	text, _, _ := counted(b)
	return printable(text)
}

func (l *Link) sendPAPVerdict(s step, ok bool, text string) {
	code := uint8(papNak)
	if ok {
		code = papAck
	}
	text = text[:min(len(text), 255)]
	b := s.out.build(ProtoPAP, l.lcp.peer.acfc, code, l.auth.id)
	b.bytes(byte(len(text))).text(text).send(l.limit())
}

func (l *Link) sendPAPRequest(s step) {
	// RFC 1334 section 2.2.1: the Identifier changes with each request.
	l.auth.id++
	l.auth.timer = s.now + l.env.cfg.restartTimer()
	user, password := l.env.cfg.User, l.env.cfg.Password
	user, password = user[:min(len(user), 255)], password[:min(len(password), 255)]
	b := s.out.build(ProtoPAP, l.lcp.peer.acfc, papRequest, l.auth.id)
	b.bytes(byte(len(user))).text(user).bytes(byte(len(password))).text(password).send(noLimit)
}
