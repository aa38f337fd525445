package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// Role is which end of a tunnel we are.
type Role uint8

// The roles.
const (
	RoleLAC Role = iota
	RoleLNS
)

func (r Role) String() string { return [...]string{"lac", "lns"}[r] }

// Dial is what profiles and tunnel commands say beyond the settings.
type Dial struct {
	Peer, Source netip.Addr
	Port         uint16
	Role         Role
	TieBreaker   bool
	// FramingCaps and BearerCaps are the capability AVPs.
	FramingCaps, BearerCaps uint32
	// IdleTimeout closes a tunnel without sessions; 0 never does.
	IdleTimeout time.Duration
	Persist     bool
	Wait        time.Duration // 0: as the settings say
	Trace       session.TraceMask
}

// Placing is what profiles and session commands say beyond the settings.
type Placing struct {
	Type     string // "" for what the tunnel's role means
	User     string
	Password Secret
	Routes   []netip.Prefix
	Persist  bool
	Wait     time.Duration
	Params   CallParams
}

// CallParams are what our requests for calls say, by the names of their AVPs.
type CallParams struct {
	CalledNumber, CallingNumber, SubAddress, PrivateGroup string
	FramingType, BearerType                               uint32
	MinBPS, MaxBPS, TxSpeed, RxSpeed                      uint32 // bit/s
	SequencingRequired                                    bool
}

// Bits of the framing and bearer AVPs (RFC 2661 sections 4.4.3 and 4.4.4).
const (
	syncFraming   = 1
	digitalBearer = 1
)

// bothKinds are both bits of the framing or bearer AVPs.
const bothKinds = 3

func newDial() Dial {
	return Dial{Port: 1701, TieBreaker: true, FramingCaps: bothKinds, BearerCaps: bothKinds}
}

func newPlacing() Placing {
	return Placing{Params: CallParams{
		FramingType: syncFraming, BearerType: digitalBearer, TxSpeed: 100_000_000, RxSpeed: 100_000_000,
		MinBPS: 64_000, MaxBPS: 100_000_000,
	}}
}

// dialKey is a key of what is beyond the settings.
func dialKey[T any](name string, k kind[T], at func(*Effective) *T, help string, alias ...string) ProfileKey {
	return ProfileKey{Name: name, Alias: alias, Help: help, words: k.words,
		apply: func(e *Effective, s string) error {
			v, err := k.parse(s)
			if err == nil {
				*at(e) = v
				e.says(name, k.format(v))
			}
			return err
		}}
}

// caps are words for two bits.
func caps(first, second string) kind[uint32] {
	return enum([]choice[uint32]{{first, 1}, {second, 2}, {"any", bothKinds}, {first + "+" + second, bothKinds}, {"none", 0}})
}

// dialKeys are those of tunnels, in profiles and in commands.
func dialKeys() []ProfileKey {
	return []ProfileKey{
		dialKey("role", enum([]choice[Role]{{"lac", RoleLAC}, {"lns", RoleLNS}}), func(e *Effective) *Role { return &e.Dial.Role },
			"Which end we are of tunnels that we open: lac places incoming calls, lns asks for outgoing ones."),
		dialKey("src_ipaddr", address(false), func(e *Effective) *netip.Addr { return &e.Dial.Source },
			"Address that our tunnels are opened from; 0.0.0.0 leaves it to the routes."),
		dialKey("udp_port", number[uint16]("", 1, 65535), func(e *Effective) *uint16 { return &e.Dial.Port },
			"UDP port of the peers that we open tunnels to.", "peer_udp_port"),
		dialKey("use_tiebreaker", boolean(), func(e *Effective) *bool { return &e.Dial.TieBreaker },
			"Send a tie breaker: of two tunnels that both ends open at once one goes on."),
		dialKey("framing_caps", caps("sync", "async"), func(e *Effective) *uint32 { return &e.Dial.FramingCaps },
			"Kinds of framing that we offer.", "framing_cap"),
		dialKey("bearer_caps", caps("digital", "analog"), func(e *Effective) *uint32 { return &e.Dial.BearerCaps },
			"Kinds of bearer that we offer.", "bearer_cap"),
		dialKey("idle_timeout", seconds(0, year), func(e *Effective) *time.Duration { return &e.Dial.IdleTimeout },
			"Seconds without a session after which a tunnel is closed; 0 never. Persistent ones stay."),
		dialKey("persist", boolean(), func(e *Effective) *bool { return &e.Dial.Persist },
			"Open our tunnel again when it is lost."),
		dialKey("persist_pend_timeout", seconds(time.Second, day), func(e *Effective) *time.Duration { return &e.Dial.Wait },
			"Longest wait in seconds before our tunnel is opened again."),
		dialKey("trace_flags", traceMask(), func(e *Effective) *session.TraceMask { return &e.Dial.Trace },
			"What is traced of the tunnels and their sessions: numbers, or names such as protocol,fsm.", "debug_flags"),
	}
}

// placingKeys are those of calls, in profiles and in commands.
func placingKeys() []ProfileKey {
	params := func(name string, at func(*CallParams) *string, help string, alias ...string) ProfileKey {
		return dialKey(name, text(64), func(e *Effective) *string { return at(&e.Call.Params) }, help, alias...)
	}
	password := dialKey("user_password", secret(maxString), func(e *Effective) *Secret { return &e.Call.Password },
		"Password that we authenticate ourselves with.", "password")
	password.Secret = true
	return []ProfileKey{
		dialKey("session_type", enum(wordChoices("laic", "lnoc", "lnic", "laoc")), func(e *Effective) *string { return &e.Call.Type },
			"Type of our calls: laic from a LAC, lnoc from an LNS. Others are begun by the peer."),
		dialKey("user_name", text(maxString), func(e *Effective) *string { return &e.Call.User },
			"Name that we authenticate ourselves with, where we are the LAC.", "user"),
		password,
		dialKey("routes", list(anyPrefix4(), false), func(e *Effective) *[]netip.Prefix { return &e.Call.Routes },
			"Prefixes that lie behind the peer, where we are the LAC; separated by commas.", "route"),
		dialKey("persist", boolean(), func(e *Effective) *bool { return &e.Call.Persist }, "Place our call again when it is lost."),
		dialKey("persist_pend_timeout", seconds(time.Second, day), func(e *Effective) *time.Duration { return &e.Call.Wait },
			"Longest wait in seconds before our call is placed again."),
		params("calling_number", func(p *CallParams) *string { return &p.CallingNumber }, "Calling Number of our calls."),
		params("called_number", func(p *CallParams) *string { return &p.CalledNumber }, "Called Number of our calls."),
		params("sub_address", func(p *CallParams) *string { return &p.SubAddress }, "Sub-Address of our calls."),
		params("priv_group_id", func(p *CallParams) *string { return &p.PrivateGroup }, "Private Group ID of our calls.", "private_group_id"),
		dialKey("framing_type", caps("sync", "async"), func(e *Effective) *uint32 { return &e.Call.Params.FramingType }, "Framing Type of our calls."),
		dialKey("bearer_type", caps("digital", "analog"), func(e *Effective) *uint32 { return &e.Call.Params.BearerType }, "Bearer Type of our calls."),
		dialKey("min_bps", bps(), func(e *Effective) *uint32 { return &e.Call.Params.MinBPS }, "Least speed of outgoing calls, in bit/s.", "minimum_bps"),
		dialKey("max_bps", bps(), func(e *Effective) *uint32 { return &e.Call.Params.MaxBPS }, "Highest speed of outgoing calls, in bit/s.", "maximum_bps"),
		dialKey("connect_speed", speeds(), func(e *Effective) *[2]uint32 { return &e.speeds }, "Speed of our incoming calls in bit/s: TX, or TX:RX."),
	}
}

func wordChoices(texts ...string) (out []choice[string]) {
	for _, t := range texts {
		out = append(out, choice[string]{t, t})
	}
	return out
}

// anyPrefix4 is an IPv4 network.
func anyPrefix4() kind[netip.Prefix] {
	return kind[netip.Prefix]{name: "IPv4 prefix", parse: parsePrefix, format: netip.Prefix.String}
}

func bps() kind[uint32] {
	return kind[uint32]{
		name: "number", unit: "bit/s",
		parse: func(s string) (uint32, error) {
			n, err := strconv.ParseUint(s, 10, 32)
			if err != nil || n == 0 {
				return 0, fmt.Errorf("must be a number of bit/s")
			}
			return uint32(n), nil
		},
		format: func(v uint32) string { return strconv.FormatUint(uint64(v), 10) },
	}
}

func speeds() kind[[2]uint32] {
	one := bps()
	return kind[[2]uint32]{
		name: "TX[:RX]", unit: "bit/s",
		parse: func(s string) (v [2]uint32, err error) {
			tx, rx, two := strings.Cut(s, ":")
			if !two {
				rx = tx
			}
			if v[0], err = one.parse(tx); err == nil {
				v[1], err = one.parse(rx)
			}
			return v, err
		},
		format: func(v [2]uint32) string { return one.format(v[0]) + ":" + one.format(v[1]) },
	}
}
