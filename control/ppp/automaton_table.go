package ppp

// state is a state of the automaton, numbered as in RFC 1661 section 4.1.
type state uint8

const (
	initial state = iota
	starting
	closed
	stopped
	closing
	stopping
	reqSent
	ackRcvd
	ackSent
	opened
	numStates
)

// event is an event of the automaton, in the order of RFC 1661 section 4.1.
type event uint8

const (
	evUp event = iota
	evDown
	evOpen
	evClose
	evTOgood // TO+: timeout with counter > 0
	evTObad  // TO-: timeout with counter expired
	evRCRgood
	evRCRbad
	evRCA
	evRCN
	evRTR
	evRTA
	evRUC
	evRXJgood
	evRXJbad
	evRXR
	numEvents
)

// actions is a set of actions. RFC 1661 section 4.1 allows any convenient order;
// this is the order in which they are done.
type actions uint16

const (
	tld     actions = 1 << iota // This-Layer-Down
	irc                         // Initialize-Restart-Count
	zrc                         // Zero-Restart-Count
	scr                         // Send-Configure-Request
	str                         // Send-Terminate-Request
	sca                         // Send-Configure-Ack
	scn                         // Send-Configure-Nak/Rej
	sta                         // Send-Terminate-Ack
	scj                         // Send-Code-Reject
	ser                         // Send-Echo-Reply
	tlu                         // This-Layer-Up
	tls                         // This-Layer-Started
	tlf                         // This-Layer-Finished
	illegal                     // the dash of the table
)

type transition struct {
	do   actions
	next state
}

// transitions is the table of RFC 1661 section 4.1, cell by cell. Of its options,
// the passive one [p] is not taken (tlf is done on TO-), nor the restart one [r].
var transitions = [numEvents][numStates]transition{
	evUp: {
		initial: {0, closed}, starting: {irc | scr, reqSent}, closed: {illegal, 0}, stopped: {illegal, 0},
		closing: {illegal, 0}, stopping: {illegal, 0},
		reqSent: {illegal, 0}, ackRcvd: {illegal, 0}, ackSent: {illegal, 0}, opened: {illegal, 0},
	},
	evDown: {
		initial: {illegal, 0}, starting: {illegal, 0}, closed: {0, initial}, stopped: {tls, starting},
		closing: {0, initial}, stopping: {0, starting},
		reqSent: {0, starting}, ackRcvd: {0, starting}, ackSent: {0, starting}, opened: {tld, starting},
	},
	evOpen: {
		initial: {tls, starting}, starting: {0, starting}, closed: {irc | scr, reqSent}, stopped: {0, stopped},
		closing: {0, stopping}, stopping: {0, stopping},
		reqSent: {0, reqSent}, ackRcvd: {0, ackRcvd}, ackSent: {0, ackSent}, opened: {0, opened},
	},
	evClose: {
		initial: {0, initial}, starting: {tlf, initial}, closed: {0, closed}, stopped: {0, closed},
		closing: {0, closing}, stopping: {0, closing},
		reqSent: {irc | str, closing}, ackRcvd: {irc | str, closing}, ackSent: {irc | str, closing},
		opened: {tld | irc | str, closing},
	},
	evTOgood: {
		initial: {illegal, 0}, starting: {illegal, 0}, closed: {illegal, 0}, stopped: {illegal, 0},
		closing: {str, closing}, stopping: {str, stopping},
		reqSent: {scr, reqSent}, ackRcvd: {scr, reqSent}, ackSent: {scr, ackSent}, opened: {illegal, 0},
	},
	evTObad: {
		initial: {illegal, 0}, starting: {illegal, 0}, closed: {illegal, 0}, stopped: {illegal, 0},
		closing: {tlf, closed}, stopping: {tlf, stopped},
		reqSent: {tlf, stopped}, ackRcvd: {tlf, stopped}, ackSent: {tlf, stopped}, opened: {illegal, 0},
	},
	evRCRgood: {
		initial: {illegal, 0}, starting: {illegal, 0}, closed: {sta, closed}, stopped: {irc | scr | sca, ackSent},
		closing: {0, closing}, stopping: {0, stopping},
		reqSent: {sca, ackSent}, ackRcvd: {sca | tlu, opened}, ackSent: {sca, ackSent},
		opened: {tld | scr | sca, ackSent},
	},
	evRCRbad: {
		initial: {illegal, 0}, starting: {illegal, 0}, closed: {sta, closed}, stopped: {irc | scr | scn, reqSent},
		closing: {0, closing}, stopping: {0, stopping},
		reqSent: {scn, reqSent}, ackRcvd: {scn, ackRcvd}, ackSent: {scn, reqSent},
		opened: {tld | scr | scn, reqSent},
	},
	evRCA: {
		initial: {illegal, 0}, starting: {illegal, 0}, closed: {sta, closed}, stopped: {sta, stopped},
		closing: {0, closing}, stopping: {0, stopping},
		reqSent: {irc, ackRcvd}, ackRcvd: {scr, reqSent}, ackSent: {irc | tlu, opened}, opened: {tld | scr, reqSent},
	},
	evRCN: {
		initial: {illegal, 0}, starting: {illegal, 0}, closed: {sta, closed}, stopped: {sta, stopped},
		closing: {0, closing}, stopping: {0, stopping},
		reqSent: {irc | scr, reqSent}, ackRcvd: {scr, reqSent}, ackSent: {irc | scr, ackSent},
		opened: {tld | scr, reqSent},
	},
	evRTR: {
		initial: {illegal, 0}, starting: {illegal, 0}, closed: {sta, closed}, stopped: {sta, stopped},
		closing: {sta, closing}, stopping: {sta, stopping},
		reqSent: {sta, reqSent}, ackRcvd: {sta, reqSent}, ackSent: {sta, reqSent}, opened: {tld | zrc | sta, stopping},
	},
	evRTA: {
		initial: {illegal, 0}, starting: {illegal, 0}, closed: {0, closed}, stopped: {0, stopped},
		closing: {tlf, closed}, stopping: {tlf, stopped},
		reqSent: {0, reqSent}, ackRcvd: {0, reqSent}, ackSent: {0, ackSent}, opened: {tld | scr, reqSent},
	},
	evRUC: {
		initial: {illegal, 0}, starting: {illegal, 0}, closed: {scj, closed}, stopped: {scj, stopped},
		closing: {scj, closing}, stopping: {scj, stopping},
		reqSent: {scj, reqSent}, ackRcvd: {scj, ackRcvd}, ackSent: {scj, ackSent}, opened: {scj, opened},
	},
	evRXJgood: {
		initial: {illegal, 0}, starting: {illegal, 0}, closed: {0, closed}, stopped: {0, stopped},
		closing: {0, closing}, stopping: {0, stopping},
		reqSent: {0, reqSent}, ackRcvd: {0, reqSent}, ackSent: {0, ackSent}, opened: {0, opened},
	},
	evRXJbad: {
		initial: {illegal, 0}, starting: {illegal, 0}, closed: {tlf, closed}, stopped: {tlf, stopped},
		closing: {tlf, closed}, stopping: {tlf, stopped},
		reqSent: {tlf, stopped}, ackRcvd: {tlf, stopped}, ackSent: {tlf, stopped}, opened: {tld | irc | str, stopping},
	},
	evRXR: {
		initial: {illegal, 0}, starting: {illegal, 0}, closed: {0, closed}, stopped: {0, stopped},
		closing: {0, closing}, stopping: {0, stopping},
		reqSent: {0, reqSent}, ackRcvd: {0, ackRcvd}, ackSent: {0, ackSent}, opened: {ser, opened},
	},
}
