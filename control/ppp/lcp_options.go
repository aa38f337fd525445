package ppp

import "encoding/binary"

// LCP Configuration Option types (RFC 1661 section 6; ACCM: RFC 1662 section 7.1).
const (
	optMRU   = 1
	optACCM  = 2
	optAuth  = 3
	optMagic = 5
	optPFC   = 7
	optACFC  = 8
)

// Algorithms of the CHAP option (RFC 1994 section 3, RFC 2759 section 2).
const (
	algorithmMD5      = 0x05
	algorithmMSCHAPv2 = 0x81
)

const (
	// minMRU is the smallest peer MRU taken: less would not even carry the
	// packets of the control protocols.
	minMRU = 128
	// defaultACCM is in force when no map was negotiated (RFC 1662 section 7.1).
	defaultACCM = 0xFFFFFFFF
)

// lcpValues are the LCP options of one direction.
type lcpValues struct {
	accm, magic uint32
	mru         uint16
	auth        Auth
	pfc, acfc   bool
}

func lcpDefaults() lcpValues { return lcpValues{mru: defaultMRU, accm: defaultACCM} }

// lcpOptions is the option part of LCP.
type lcpOptions struct {
	// local is what our Configure-Request asks for; peer what we acknowledged.
	local, peer lcpValues
	// refused has a bit for each method that the peer has naked.
	refused uint8
	// authRejected and magicRejected: the peer has rejected the option.
	authRejected, magicRejected bool
	// collisions counts Configure-Requests that came with our own magic number.
	collisions uint8
}

func (o *lcpOptions) begin(e *env) {
	o.local, o.peer = lcpDefaults(), lcpDefaults()
	o.refused, o.authRejected, o.magicRejected, o.collisions = 0, false, false, 0
	o.local.mru = e.cfg.mru()
	o.local.magic = e.random32()
	o.local.pfc, o.local.acfc = e.cfg.PFC, e.cfg.ACFC
	if !e.cfg.Client {
		o.local.auth = o.preferred(e.cfg)
	}
}

// preferred is the first configured method that the peer has not refused.
func (o *lcpOptions) preferred(cfg *Config) Auth {
	for _, a := range cfg.Auth {
		if a != NoAuth && o.refused&(1<<a) == 0 {
			return a
		}
	}
	return NoAuth
}

// authRefused reports whether the peer refused every method although one is
// required.
func (o *lcpOptions) authRefused(cfg *Config) bool {
	return !cfg.Client && o.local.auth == NoAuth && !cfg.open()
}

// request leaves out what equals the default (RFC 1661 section 5.1).
func (o *lcpOptions) request(_ *env, b []byte) []byte {
	if o.local.mru != defaultMRU {
		b = appendMRU(b, o.local.mru)
	}
	if o.local.auth != NoAuth {
		b = appendAuth(b, o.local.auth)
	}
	if !o.magicRejected {
		b = appendMagic(b, o.local.magic)
	}
	if o.local.pfc {
		b = append(b, optPFC, 2)
	}
	if o.local.acfc {
		b = append(b, optACFC, 2)
	}
	return b
}

func appendMRU(b []byte, mru uint16) []byte {
	return binary.BigEndian.AppendUint16(append(b, optMRU, 4), mru)
}

func appendMagic(b []byte, magic uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, optMagic, 6), magic)
}

// appendAuth writes the Authentication-Protocol option of a method.
func appendAuth(b []byte, a Auth) []byte {
	switch a {
	case PAP:
		return binary.BigEndian.AppendUint16(append(b, optAuth, 4), uint16(ProtoPAP))
	case CHAPMD5:
		return append(binary.BigEndian.AppendUint16(append(b, optAuth, 5), uint16(ProtoCHAP)), algorithmMD5)
	case MSCHAPv2:
		return append(binary.BigEndian.AppendUint16(append(b, optAuth, 5), uint16(ProtoCHAP)), algorithmMSCHAPv2)
	default:
		return b
	}
}

// parseAuth reads the data of an Authentication-Protocol option; NoAuth stands
// for a method that is not known here.
func parseAuth(data []byte) Auth {
	if len(data) < 2 {
		return NoAuth
	}
	p := Protocol(binary.BigEndian.Uint16(data))
	switch {
	case p == ProtoPAP && len(data) == 2:
		return PAP
	case p == ProtoCHAP && len(data) == 3 && data[2] == algorithmMD5:
		return CHAPMD5
	case p == ProtoCHAP && len(data) == 3 && data[2] == algorithmMSCHAPv2:
		return MSCHAPv2
	default:
		return NoAuth
	}
}

func (o *lcpOptions) examine(e *env, opt option, b []byte) (verdict, []byte) {
	switch opt.kind {
	case optMRU:
		if len(opt.data) != 2 || binary.BigEndian.Uint16(opt.data) < minMRU {
			return suggest, appendMRU(b, defaultMRU)
		}
		return accept, b
	case optACCM:
		// It concerns the LAC's asynchronous framing alone; the LAC hears of it
		// by SLI (RFC 2661 section 4.4.6).
		if len(opt.data) != 4 {
			return refuse, b
		}
		return accept, b
	case optAuth:
		return o.examineAuth(e, opt, b)
	case optMagic:
		return o.examineMagic(e, opt, b)
	case optPFC:
		// An option without value can't be naked (RFC 1661 section 5.3).
		if len(opt.data) != 0 || !e.cfg.PFC {
			return refuse, b
		}
		return accept, b
	case optACFC:
		if len(opt.data) != 0 || !e.cfg.ACFC {
			return refuse, b
		}
		return accept, b
	default:
		return refuse, b
	}
}

// examineAuth: the LNS never authenticates itself to a subscriber; the client
// does what it is configured to.
func (o *lcpOptions) examineAuth(e *env, opt option, b []byte) (verdict, []byte) {
	willing := NoAuth
	if e.cfg.Client {
		willing = o.preferred(e.cfg)
	}
	switch {
	case willing == NoAuth:
		return refuse, b
	case e.cfg.allows(parseAuth(opt.data)):
		return accept, b
	default:
		return suggest, appendAuth(b, willing)
	}
}

func (o *lcpOptions) examineMagic(e *env, opt option, b []byte) (verdict, []byte) {
	if len(opt.data) != 4 {
		return suggest, appendMagic(b, e.random32())
	}
	switch binary.BigEndian.Uint32(opt.data) {
	case 0:
		// RFC 1661 section 6.4: zero is illegal and must always be naked, if it
		// is not rejected outright.
		return suggest, appendMagic(b, e.random32())
	case o.local.magic:
		// Same section: equal numbers may mean a loop; a Nak with another number
		// tells, and whoever asks for a magic number must not reject it.
		increment(&o.collisions)
		return insist, appendMagic(b, e.random32())
	default:
		return accept, b
	}
}

// missing: the defaults of LCP are all acceptable.
func (o *lcpOptions) missing(_ *env, _ *typeSet, b []byte) []byte { return b }

// adopt reads options that examine has accepted.
func (o *lcpOptions) adopt(options []byte) {
	o.peer = lcpDefaults()
	for len(options) > 0 {
		opt, rest, ok := nextOption(options)
		if !ok {
			return
		}
		options = rest
		o.peer.set(opt)
	}
}

// set takes over one option, of which the length is not yet known to be right.
func (v *lcpValues) set(opt option) {
	switch {
	case opt.kind == optMRU && len(opt.data) == 2:
		v.mru = binary.BigEndian.Uint16(opt.data)
	case opt.kind == optACCM && len(opt.data) == 4:
		v.accm = binary.BigEndian.Uint32(opt.data)
	case opt.kind == optMagic && len(opt.data) == 4:
		v.magic = binary.BigEndian.Uint32(opt.data)
	case opt.kind == optAuth:
		v.auth = parseAuth(opt.data)
	case opt.kind == optPFC:
		v.pfc = true
	case opt.kind == optACFC:
		v.acfc = true
	}
}

func (o *lcpOptions) nak(e *env, opt option) {
	switch opt.kind {
	case optMRU:
		// A smaller value is a request worth following. A larger one is not:
		// ours is what the path to us carries.
		if len(opt.data) == 2 {
			if v := binary.BigEndian.Uint16(opt.data); v >= minMRU && v < o.local.mru {
				o.local.mru = v
			}
		}
	case optAuth:
		o.nakAuth(e.cfg, opt)
	case optMagic:
		// RFC 1661 section 6.4: in either case a new request is sent with a new
		// magic number.
		o.local.magic = e.random32()
	case optPFC:
		o.local.pfc = false
	case optACFC:
		o.local.acfc = false
	}
}

// nakAuth falls back to the method that the peer names, if we allow it, else to
// the next in our own order (RFC 1661 section 6.2).
func (o *lcpOptions) nakAuth(cfg *Config, opt option) {
	if o.local.auth == NoAuth {
		return
	}
	o.refused |= 1 << o.local.auth
	if a := parseAuth(opt.data); cfg.allows(a) && o.refused&(1<<a) == 0 {
		o.local.auth = a
		return
	}
	o.local.auth = o.preferred(cfg)
}

func (o *lcpOptions) drop(_ *env, opt option) {
	switch opt.kind {
	case optMRU:
		o.local.mru = defaultMRU
	case optAuth:
		o.local.auth, o.authRejected = NoAuth, true
	case optMagic:
		// RFC 1661 section 6.4: act as if the negotiation had been successful:
		// the number stays ours, it is only not asked for any more.
		o.magicRejected = true
	case optPFC:
		o.local.pfc = false
	case optACFC:
		o.local.acfc = false
	}
}
