// Package radius is the RADIUS client: authentication (RFC 2865) and accounting
// (RFC 2866) of subscribers. Packets are coded by layeh.com/radius; everything
// that moves them is here.
//
//	Authenticate, Account     any goroutine; never blocks: a full queue is a
//	        │                 counted refusal
//	        ▼
//	   intake (channel)       bounded, one each for auth and acct
//	        │
//	        ▼
//	   pump (goroutine)       the one that sends: encodes new requests, fires
//	        │                 timers, opens and closes sockets
//	        ▼
//	   exchange (mutex)       no I/O, no clock: which server, which socket, which
//	        ▲                 id; retransmission, failover, matching of answers
//	        │
//	   readers (goroutines)   one per socket: verify, decode, call back
//
// An exchange is driven by time values that are handed to it, so that its tests
// run outages of an hour in no time. A client's sockets are its own: 256 requests
// can be in flight from each (RFC 2865 section 3: the Identifier is one byte),
// further ones are opened when all are taken, up to a bound, and closed again
// when they have been idle for a while.
package radius
