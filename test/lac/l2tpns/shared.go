package l2tpns

import (
	"io"

	"github.com/lnsd/lnsd/test/netlab"
)

// RADIUSSecret is shared with the responder.
const RADIUSSecret = radiusSecret

// respondent ends a responder.
type respondent struct{ *responder }

func (r respondent) Close() error { return r.close() }

// Respond starts the RADIUS server that Start brings along, for another LNS in the
// namespace to be compared with: every user with password is a subscriber, at
// 127.0.0.1 and the usual ports.
func Respond(ns *netlab.Namespace, password string) (io.Closer, error) {
	var r *responder
	err := ns.Do(func() (err error) {
		r, err = startResponder(password)
		return err
	})
	if err != nil {
		return nil, err
	}
	return respondent{r}, nil
}
