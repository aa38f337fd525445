// Package perf is the yardstick for the data plane and for session set-up: it
// measures lnsd beside what it can be compared with, all in one run on one machine.
//
// # Method
//
// A generator program turns live XDP frames (BPF_PROG_RUN with
// BPF_F_TEST_XDP_LIVE_FRAMES) into a stream of packets, each of another session,
// and sends them into one end of a veth pair. The forwarder under test takes them
// in at the other end, in its own network namespace, and sends them out of a second
// pair, behind which a receiver program counts them by queue, keeps every so many
// in full and drops them. The kept ones are compared byte by byte with what they
// must be.
//
// # Placement
//
// Live frames are received in the softirq of the CPU that made them: the generator,
// an XDP or kernel forwarder and the receiver run to completion one after another,
// 64 packets at a time, on the one CPU that the generating thread is pinned to
// (GeneratorCPU), with no queue between them that could overflow. A packet rate is
// therefore that of one core which also makes and drops the packets; the plain
// redirect shows how much of a packet's time that takes. Everything else in this
// process is moved to the other CPUs. A server in user space gets those as well,
// and is offered several rates, since more than it can take makes it slower.
//
// # Noise
//
// Rounds alternate between the forwarders, so that a slow moment of the machine
// meets them all; results are medians with minimum and maximum. A round in which
// the generating thread had less than MinShare of its CPU was disturbed and is
// repeated.
package perf
