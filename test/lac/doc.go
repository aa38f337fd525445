// Package lac emulates an L2TP access concentrator (LAC) with subscribers behind
// it: it opens tunnels to an LNS, places calls, runs PPP as the subscriber's modem
// would, sends checked traffic through the sessions, and reports what happened.
//
// It is the core of the lacsim command and can be driven from tests:
//
//	report, err := lac.Run(ctx, lac.Config{LNS: lns, Tunnels: 4, Sessions: 1000, ...})
//
// One worker goroutine owns its tunnels with all their sessions, a heap of timers
// and the senders of its sockets; there is no goroutine and no timer per session,
// so that one process can hold 100,000 subscribers. Each socket has one more
// goroutine, which only reads.
package lac
