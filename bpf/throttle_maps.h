/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What throttling keeps: its knobs, its values and its maps. */
#ifndef LNS_THROTTLE_MAPS_H
#define LNS_THROTTLE_MAPS_H

#include "maps.h"

/* Time in lns_shaper runs in ticks: ns shifted left by this, modulo 2^64. */
#define LNS_TICK_SHIFT 10

/* What seems to be further ahead of the clock than this, in ticks, is in the past:
 * some 17 s, which no shaper can be ahead. */
#define LNS_TICKS_MOST (1ULL << 44)

/* A stamp is the time in 65,536 ns, modulo 2^32. */
#define LNS_STAMP_SHIFT 16

/* lns_shaper.shape: the depth in stamps, and two powers of two, of ticks: by how
 * much the credit falls for a flow's room to halve, and in what time a flow's
 * share does. LNS_HALF_LEAST is the shortest, half a millisecond. */
#define LNS_DEPTH_MASK 0xFFFFF
#define LNS_STEP_SHIFT 20
#define LNS_STEP_MASK 0x3F
#define LNS_HALF_SHIFT 26
#define LNS_HALF_LEAST 29

/*
 * One direction of a throttled session. cost and shape are the daemon's, the others
 * the program's, so that a change of rate forgets nothing. Two of a cache line,
 * those of neighbours: the directions of a session may run on two CPUs.
 */
struct lns_shaper {
	__u64 cost;      /* of a byte, in ticks / 65536 */
	__u64 full;      /* the tick since when credit has gathered */
	__u64 dropped;   /* packets */
	__u32 last_drop; /* stamp, 0 for never */
	__u32 shape;
};
_Static_assert(sizeof(struct lns_shaper) == 32, "lns_shaper");

/* Value of lns_advances, on each CPU: credit that was taken ahead, of a direction of
 * a session, by the lower bits of whose. */
#define LNS_ADVANCES 512

struct lns_advance {
	__u32 whose; /* slot * 2, and 1 for up */
	__u32 left;  /* bytes */
	__u32 jiffy; /* in which it was taken; void in others */
	__u32 pad;
};
_Static_assert(sizeof(struct lns_advance) == 16, "lns_advance");

struct lns_advances {
	struct lns_advance entries[LNS_ADVANCES];
};
_Static_assert(sizeof(struct lns_advances) == 8192, "lns_advances");

/* What may pass at once under packet_interval, in ns: l2tpns counts in tenths of a
 * second. */
#define LNS_PACE_BURST 100000000ULL

/* Value of lns_flows: the places that a flow can be in. */
#define LNS_FLOW_PLACES 4

struct lns_flows_set {
	__u64 places[LNS_FLOW_PLACES];
};
_Static_assert(sizeof(struct lns_flows_set) == 32, "lns_flows_set");

/* The last set of lns_flows, and what nobody can know who would share a set with
 * another subscriber's flow. Set before load. */
const volatile __u32 flow_mask = 0;
const volatile __u64 flow_seed = 0;

/* Time between two packets to a session with LNS_PACKET_LIMIT, ns; 0 is no limit. Set
 * before load. */
const volatile __u64 packet_interval = 0;

/*
 * Rates by slot, from the subscriber and to it. The daemon writes what a direction
 * is granted, the program what it has taken; the daemon zeroes both while the slot
 * is in no other map.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load: sessions + 1 */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lns_shaper);
} lns_shape_up SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load: sessions + 1 */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lns_shaper);
} lns_shape_down SEC(".maps");

/*
 * Flows of all throttled sessions, by hash: in each place 24 bits of a stamp, a tag of
 * 8, and the share. Written by XDP alone; what an earlier session has left fades.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load: a power of two */
	__type(key, __u32);
	__type(value, struct lns_flows_set);
} lns_flows SEC(".maps");

/*
 * What throttled sessions have been granted ahead. Written and read by XDP, per CPU. One
 * value, since looking up an entry of an array by number costs more.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lns_advances);
} lns_advances SEC(".maps");

/* Gates of packets by slot, as in lns_rates. Written by XDP; zeroed by the daemon
 * while the slot is in no other map. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load: sessions + 1 */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} lns_paces SEC(".maps");

#endif
