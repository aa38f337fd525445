/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Map keys and values. The Go side is generated from these definitions.
 *
 * Rules: fixed widths; padding written out; every size asserted; addresses as
 * bytes in network order; ids, ports, lengths and flags in host order.
 */
#ifndef LNS_TYPES_H
#define LNS_TYPES_H

#include "vmlinux.h"

#include "reasons.h"

/*
 * Layout number of the maps. It grows with each change of meaning or layout, so
 * that a daemon never continues with pinned maps it would misread.
 */
enum lns_layout {
	LNS_LAYOUT = 3,
};

/* Key of lns_calls: the ids that we assigned and the peer puts in its headers
 * (RFC 2661 section 3.1). */
struct lns_call {
	__u16 tunnel_id;
	__u16 session_id;
};
_Static_assert(sizeof(struct lns_call) == 4, "lns_call");

/* Key of lns_hosts: a subscriber address in a routing table, 0 being main. */
struct lns_host {
	__u32 vrf;
	__u8 addr[4];
};
_Static_assert(sizeof(struct lns_host) == 8, "lns_host");

/* Bits of the routing table in an lns_prefix. They are always matched whole,
 * hence their byte order does not matter. */
#define LNS_PREFIX_VRF_BITS 32

/* Key of lns_routes. prefixlen counts LNS_PREFIX_VRF_BITS too. */
struct lns_prefix {
	__u32 prefixlen;
	__u32 vrf;
	__u8 addr[4];
};
_Static_assert(sizeof(struct lns_prefix) == 12, "lns_prefix");

/* Key of lns_nets6: the first 64 bits of an IPv6 address in a routing table. */
struct lns_net6 {
	__u32 vrf;
	__u8 net[8];
};
_Static_assert(sizeof(struct lns_net6) == 12, "lns_net6");

/* Value of lns_homes6: a slot in the upper half of a word and what tells its /64 from
 * the others in the lower one (see net6_mix); 0 for none. A cache line. */
#define LNS_HOMES 8
struct lns_home6 {
	__u64 entries[LNS_HOMES];
};
_Static_assert(sizeof(struct lns_home6) == 64, "lns_home6");

/* Key of lns_routes6. prefixlen counts LNS_PREFIX_VRF_BITS too. */
struct lns_prefix6 {
	__u32 prefixlen;
	__u32 vrf;
	__u8 addr[16];
};
_Static_assert(sizeof(struct lns_prefix6) == 24, "lns_prefix6");

/* Key of lns_locals: a UDP socket of ours; port 0 says that the address is
 * ours, whatever the port. */
struct lns_local {
	__u8 addr[4];
	__u16 port;
	__u16 pad;
};
_Static_assert(sizeof(struct lns_local) == 8, "lns_local");

/* Key of lns_locals6, as lns_local. */
struct lns_local6 {
	__u8 addr[16];
	__u16 port;
	__u16 pad;
};
_Static_assert(sizeof(struct lns_local6) == 20, "lns_local6");

/* VLAN tags that are understood: none, one (802.1Q) or two (802.1ad). */
#define LNS_TAGS 2

/* Key of lns_ingress: where a frame came in. vlan[0] is the outer tag's VLAN
 * id, 0 for none. */
struct lns_where {
	__u32 device;
	__u16 vlan[LNS_TAGS];
};
_Static_assert(sizeof(struct lns_where) == 8, "lns_where");

/* Value of lns_ingress: the interface that the kernel would receive on. */
struct lns_port {
	__u32 ifindex;
	__u32 vrf;
	__u8 mac[6];
	__u8 pad[2];
};
_Static_assert(sizeof(struct lns_port) == 16, "lns_port");

/* Value of lns_doors: an entry of lns_ingress. device 0: none. */
struct lns_door {
	struct lns_where where; /* the last written, the first cleared */
	struct lns_port port;
};
_Static_assert(sizeof(struct lns_door) == 24, "lns_door");

/* A tag to write; protocol (host order) 0 means none. */
struct lns_tag {
	__u16 protocol;
	__u16 vlan;
};
_Static_assert(sizeof(struct lns_tag) == 4, "lns_tag");

/* Value of lns_egress: how to send through an interface. */
struct lns_exit {
	__u32 device; /* key of lns_devices */
	struct lns_tag tags[LNS_TAGS];
};
_Static_assert(sizeof(struct lns_exit) == 12, "lns_exit");

/* Value of lns_hops, on each CPU: the answer to a route lookup. */
struct lns_hop {
	__u64 tick; /* CLOCK_MONOTONIC at the lookup in ns, of tick resolution; 0: not to be used again */
	/* What was asked. */
	__u32 generation; /* of lns_hints */
	__u32 ifindex;
	__u8 destination[4];
	__u8 tos;
	__u8 l2_len; /* of the Ethernet header and tags to write */
	__u16 mtu;   /* of the route */
	__u8 macs[12]; /* destination and source, as in a frame */
	struct lns_exit exit;
	__u8 pad[16];
};
_Static_assert(sizeof(struct lns_hop) == 64, "lns_hop");

/* Value of lns_questions: memory of a struct bpf_fib_lookup. */
struct lns_question {
	__u64 words[8];
};
_Static_assert(sizeof(struct lns_question) == sizeof(struct bpf_fib_lookup), "lns_question");

/* Value of lns_hints: what spares forwarding a lookup. */
struct lns_hint {
	/* Answers of route lookups may be used again until then: CLOCK_MONOTONIC
	 * in ns, 0 for not at all. */
	__u64 trust_until;
	__u32 generation; /* another one voids all answers */
	__u32 pad;
	/* A bit for each address in lns_locals, see LOCAL_MIX. */
	__u64 locals;
	struct lns_local local; /* one entry of lns_locals, or zero */
};
_Static_assert(sizeof(struct lns_hint) == 32, "lns_hint");

/* State of a slot. Anything but LNS_OPEN punts the session's packets. */
enum lns_state {
	LNS_CLOSED = 0,
	LNS_OPEN = 1,
};

/* Flags of a session. */
enum lns_flag {
	LNS_LENGTH = 1 << 0,       /* write the L2TP Length field */
	LNS_SEQUENCE = 1 << 1,     /* sequence numbers in use, both ways */
	LNS_ADDR_CONTROL = 1 << 2, /* write FF 03 before the PPP protocol */
	LNS_PFC = 1 << 3,          /* write a one-byte PPP protocol */
	LNS_UDP_CHECKSUM = 1 << 4, /* write the outer UDP checksum */
	LNS_DONT_FRAGMENT = 1 << 5, /* set DF in the outer IPv4 header */
	LNS_ROUTED = 1 << 6,       /* lns_routes has prefixes of this session */
	LNS_ECHO = 1 << 7,         /* answer LCP Echo-Requests with magic */
	LNS_THROTTLE_UP = 1 << 8,  /* limited by lns_shape_up, from the subscriber */
	LNS_THROTTLE_DOWN = 1 << 9, /* by lns_shape_down, to it */
	LNS_FILTER_UP = 1 << 10,   /* must pass an access list */
	LNS_FILTER_DOWN = 1 << 11,
	LNS_INTERCEPT = 1 << 12,   /* copies of all packets go to the daemon */
	LNS_CAPTURE = 1 << 13,     /* and for debugging, with the verdict */
	LNS_GARDEN = 1 << 14,      /* in a walled garden: all data is punted */
	LNS_VRF = 1 << 15,         /* not in the main routing table: all data is punted */
	LNS_IPV6 = 1 << 16,        /* has IPv6 prefixes of its own */
	LNS_ROUTED6 = 1 << 17,     /* lns_routes6 has prefixes of this session */
	LNS_COPY_DSCP = 1 << 18,   /* outer DSCP is that of the inner packet */
	LNS_ECN = 1 << 19,         /* ECN through the tunnel, both ways */
	LNS_OUTER6 = 1 << 20,      /* the peer speaks IPv6: lns_outer6 has the addresses */
	LNS_NUMBERED = 1 << 21,    /* lns_sequences counts for LNS_SEQUENCE; else all
				    * data is punted */
	LNS_PACKET_LIMIT = 1 << 23, /* packets to it count against packet_interval */
};

/*
 * Value of lns_sessions: what forwarding a session takes. One cache line. The
 * ids and the address repeat the keys that lead here, because a hash lookup
 * that races with the reuse of an element may yield another key's slot.
 */
struct lns_session {
	enum lns_state state; /* the last word written, the first cleared */
	enum lns_flag flags;  /* any of them */
	__u32 vrf;
	__u16 tunnel_id; /* ours */
	__u16 session_id;
	__u16 peer_tunnel_id;
	__u16 peer_session_id;
	__u8 local[4];
	__u8 peer[4];
	__u16 local_port;
	__u16 peer_port;
	__u8 address[4];
	__u16 mtu;       /* largest inner packet to the subscriber, bytes */
	__u16 clamp_mss; /* largest TCP MSS in SYN segments of IPv4, 0: leave alone */
	__u8 net6[8];    /* the subscriber's own /64; all zeros: none */
	__u32 magic;     /* our LCP Magic-Number, 0 for none */
	__u8 outer_tos;  /* of the outer packets, without LNS_COPY_DSCP */
	__u8 pad[3];
	/* Indices in lns_filters, for LNS_FILTER_UP and LNS_FILTER_DOWN. One word,
	 * written as one. */
	__u16 filter_up;
	__u16 filter_down;
	__u32 downlink; /* the session's place in lns_downlinks */
};
_Static_assert(sizeof(struct lns_session) == 64, "lns_session");

/*
 * Value of lns_uplinks and lns_downlinks: what forwarding one direction of a
 * session takes, and what it counts, in one cache line. With a million sessions
 * nearly every packet is the first of its session since long, and waits for memory:
 * once, not for policy and counters each.
 *
 * The words up to clamp_mss are the daemon's, copied from lns_session; those after
 * it the program's. Tunnel and session id, or the address, tell whether the place
 * holds what was looked for.
 */
struct lns_path {
	__u8 state; /* enum lns_state; this word is the last written, the first cleared */
	__u8 outer_tos;
	__u8 pad[2];
	enum lns_flag flags;
	__u32 slot;
	__u16 tunnel_id;
	__u16 session_id;
	__u16 peer_tunnel_id;
	__u16 peer_session_id;
	__u8 local[4];
	__u8 peer[4];
	__u16 local_port;
	__u16 peer_port;
	__u8 address[4];
	__u16 mtu;
	__u16 clamp_mss;
	/* As in lns_flow, IPv4 alone. */
	__u64 packets;
	__u64 bytes;
	__u64 last_seen;
};
_Static_assert(sizeof(struct lns_path) == 64, "lns_path");

/* Parts of the program that can be left out. */
enum lns_part {
	LNS_PART_COUNTERS = 1 << 0, /* of sessions' IPv4 */
	LNS_PART_ATOMIC = 1 << 1,   /* these add without, and lose counts */
	LNS_PART_SERVICES = 1 << 2, /* nobody is asked for */
	LNS_PART_ADVANCE = 1 << 3,  /* by which throttled sessions pay ahead */
};

/* How the frames of a device lie in memory. */
enum lns_buffers {
	LNS_ONE_BUFFER = 0,
	LNS_BUFFERS_SENT, /* in several buffers, which are forwarded */
	LNS_BUFFERS_LEFT, /* and which this kernel does not redirect (before Linux 6.3) */
};

/* What a load of the program does about data that other CPUs are to judge. */
enum lns_spread {
	LNS_SPREAD_OFF = 0,
	LNS_SPREAD_HAND, /* hands it to them, on a device */
	LNS_SPREAD_TAKE, /* judges it, on the CPU that it was handed to */
};

/* CPUs that data can be handed to: a power of two. */
#define LNS_SPREAD_CPUS 256

/* Value of lns_hands: frames that a CPU has handed to another, or to its own thread,
 * and frames that were handed to it. */
struct lns_hand {
	__u64 handed;
	__u64 taken;
};
_Static_assert(sizeof(struct lns_hand) == 16, "lns_hand");

/* Value of lns_chunks: as much as bpf_csum_diff takes. */
struct lns_chunk {
	__u64 words[64];
};
_Static_assert(sizeof(struct lns_chunk) == 512, "lns_chunk");

/* What becomes of packets from one subscriber to another. */
enum lns_hairpin {
	LNS_HAIRPIN_ALLOW = 0, /* sent on from here */
	LNS_HAIRPIN_DENY,      /* dropped */
	LNS_HAIRPIN_CORE,      /* left to the kernel's routes and rules */
};

/* Why a packet of a session was dropped. */
enum lns_cause {
	LNS_CAUSE_PEER = 0,   /* not from the session's peer, or not to its local end */
	LNS_CAUSE_SOURCE,     /* inner source is not the subscriber's */
	LNS_CAUSE_MALFORMED,  /* inner packet is not valid IP, or ECN or Ns forbids it */
	LNS_CAUSE_OUTPUT,     /* rewritten, and then could not be sent */
	LNS_CAUSE_POLICY,     /* to another subscriber, or denied by an access list */
	LNS_CAUSES,
};

/* Value of lns_blocks. */
struct lns_page {
	__u32 entries[256];
};
_Static_assert(sizeof(struct lns_page) == 1024, "lns_page");

/* One direction of a session, without what lns_path counts: a cache line, so that uplink and downlink on
 * different CPUs do not share one. bytes are those of the inner IP packets;
 * last_seen is CLOCK_MONOTONIC in ns at tick resolution, 0 for never. */
struct lns_flow {
	__u64 packets;
	__u64 bytes;
	__u64 last_seen;
	__u64 drops[LNS_CAUSES];
};
_Static_assert(sizeof(struct lns_flow) == 64, "lns_flow");

/* Value of lns_counters. */
struct lns_usage {
	struct lns_flow up;
	struct lns_flow down;
};
_Static_assert(sizeof(struct lns_usage) == 128, "lns_usage");

/* Value of lns_counters6: how much of a session's lns_usage was IPv6. */
struct lns_share6 {
	__u64 up_packets;
	__u64 up_bytes;
	__u64 down_packets;
	__u64 down_bytes;
};
_Static_assert(sizeof(struct lns_share6) == 32, "lns_share6");

/* Value of lns_lines: what a session's own frames, which are not the subscriber's
 * packets, have left behind. */
struct lns_line {
	__u64 echo_seen; /* last Echo-Request answered, as last_seen in lns_flow */
	__u64 ppp;       /* gate of frames to the daemon, as in lns_rates */
};
_Static_assert(sizeof(struct lns_line) == 16, "lns_line");

/*
 * Value of lns_sequences: a session's data sequence numbers. The lower half of a
 * word is what is on the wire, the upper one counts its rounds.
 */
struct lns_sequence {
	__u32 send;   /* next number to send */
	__u32 expect; /* one above the highest received */
};
_Static_assert(sizeof(struct lns_sequence) == 8, "lns_sequence");

/* Value of lns_tunnels, by our tunnel id. One word, written as one. */
struct lns_tunnel {
	__u8 peer[4];
	__u16 peer_port;
	__u8 live; /* 1, or 0: there is no such tunnel */
	__u8 ipv6; /* 1: the peer's address is in lns_outer6 */
};
_Static_assert(sizeof(struct lns_tunnel) == 8, "lns_tunnel");

/* Value of lns_outer6, by our tunnel id: both ends of a tunnel over IPv6. */
struct lns_ends {
	__u8 local[16];
	__u8 peer[16];
};
_Static_assert(sizeof(struct lns_ends) == 32, "lns_ends");

/* Key of lns_lacs. */
struct lns_range {
	__u32 prefixlen;
	__u8 addr[4];
};
_Static_assert(sizeof(struct lns_range) == 8, "lns_range");

/* Key of lns_lacs6. */
struct lns_range6 {
	__u32 prefixlen;
	__u8 addr[16];
};
_Static_assert(sizeof(struct lns_range6) == 20, "lns_range6");

/* Key of lns_rates: who sends. */
struct lns_source {
	__u8 addr[4];
};
_Static_assert(sizeof(struct lns_source) == 4, "lns_source");

/* Key of lns_rates6: who sends. A /64, since a host has all of one. */
struct lns_source6 {
	__u8 net[8];
};
_Static_assert(sizeof(struct lns_source6) == 8, "lns_source6");

/* What a gate lets through at once after a pause: a second's worth, in ns. */
#define LNS_GATE_BURST 1000000000ULL

/* Value of lns_rates. A gate is the time in ns (CLOCK_MONOTONIC) at which what it
 * has let through will be made up for; one in the past is all open. */
struct lns_gates {
	__u64 sccrq;
	__u64 call;
	__u64 control;
	__u64 setup;
};
_Static_assert(sizeof(struct lns_gates) == 32, "lns_gates");

/* Value of lns_reasons, on each CPU. bytes are those of the received frames. */
struct lns_tally {
	__u64 packets;
	__u64 bytes;
};
_Static_assert(sizeof(struct lns_tally) == 16, "lns_tally");

/* The value of lns_live: facts that change while the program runs. */
struct lns_facts {
	enum lns_layout layout; /* of the daemon that made the maps */
	__u32 routes;           /* prefixes in lns_routes; 0 spares the lookup */
	__u32 lacs;             /* prefixes in lns_lacs and lns_lacs6; 0 lets every source in */
	__u32 routes6;          /* prefixes in lns_routes6 */
	/* Nanoseconds between two messages at the highest rate, at most
	 * LNS_GATE_BURST; 0 is no limit. */
	__u64 sccrq_interval;   /* for each source: SCCRQ */
	__u64 call_interval;    /* ICRQ and OCRQ */
	__u64 control_interval; /* other messages, but the protected ones */
	__u64 setup_interval;   /* PPP frames of sessions that are not installed */
	__u64 ppp_interval;     /* for each installed session: PPP frames */
	__u64 now;              /* the gates' clock in ns; 0: the kernel's */
};
_Static_assert(sizeof(struct lns_facts) == 64, "lns_facts");

#endif
