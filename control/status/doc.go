// Package status keeps a file on disk for each thing that an operator may want to read
// with ordinary tools: the daemon, its policies, peers, tunnels and sessions.
//
//	DIR/system.json
//	DIR/policies/NAME.json
//	DIR/peers/ADDRESS.json
//	DIR/tunnels/TID.json
//	DIR/sessions/SID.json
//
// A file is replaced as a whole, by renaming, and is gone with what it tells of. How
// many are written in a second is bounded: what has come, gone or changed goes first,
// the rest is renewed in turn.
package status
