package api

import (
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/lnsd/lnsd/control/session"
)

// The values of the schema as JSON, under its names, for files. Interceptions are left
// out.

// StatusJSON is the daemon as a whole.
func StatusJSON(s Status, now time.Time) ([]byte, error) { return asJSON(statusMessage(s, now)) }

// SessionJSON is a session.
func SessionJSON(v *session.View, now time.Time) ([]byte, error) {
	return asJSON(sessionMessage(v, now, false))
}

// TunnelJSON is a tunnel.
func TunnelJSON(v *session.TunnelView, now time.Time) ([]byte, error) {
	return asJSON(tunnelMessage(v, now))
}

func asJSON(m proto.Message) ([]byte, error) {
	b, err := protojson.MarshalOptions{Multiline: true, UseProtoNames: true}.Marshal(m)
	return append(b, '\n'), err
}
