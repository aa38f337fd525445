// Package tcpsim lets TCP flows compete for a policed link in virtual time: the same
// packets at the same nanoseconds on any machine, however busy it is. What polices is a
// function, so that models and the XDP program itself can be put in its place.
//
// Senders do what Linux does where it matters to a policer: slow start and CUBIC
// (RFC 9438) or Reno, SACK with RACK (RFC 8985), proportional rate reduction (RFC 6937),
// tail loss probes, a retransmission timeout of 200 ms at least that doubles, and bursts
// of several segments at the speed of a link. Acknowledgements come back after half a
// round trip and are never lost.
package tcpsim
