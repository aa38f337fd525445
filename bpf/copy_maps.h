/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Copies of packets for interceptions and captures: values and maps. */
#ifndef LNS_COPY_MAPS_H
#define LNS_COPY_MAPS_H

#include "maps.h"

/* The longest packet that is copied: more than any frame that XDP is given. */
#define LNS_COPY_MOST 16000

/* An element of lns_copies and lns_captures, which ends with data. */
struct lns_copy {
	__u64 time; /* CLOCK_MONOTONIC, ns */
	__u32 slot;
	__u16 tunnel_id; /* ours, for a slot that was given to another session */
	__u16 session_id;
	__u32 length; /* of the packet */
	__u32 taken;  /* of it in data */
	enum lns_reason reason; /* why it ended; LNS_CONTINUE: forwarded */
	__u8 up;    /* from the subscriber */
	__u8 outer; /* begins with the outer IP header */
	__u8 pad[2];
	__u8 data[LNS_COPY_MOST];
};
_Static_assert(sizeof(struct lns_copy) == 32 + LNS_COPY_MOST, "lns_copy");

/* Value of lns_budget: what captures may cost, and what that cost them. */
struct lns_allowance {
	__u64 gate;     /* as in lns_rates */
	__u64 interval; /* ns between two packets; 0 is no limit */
	__u64 withheld; /* packets beyond that */
	__u64 lost;     /* packets that found no room in lns_captures */
	__u32 snap;     /* bytes of a packet that are captured */
	__u32 pad;
};
_Static_assert(sizeof(struct lns_allowance) == 40, "lns_allowance");

/* Sessions that packets' copies can be missing of at once. */
#define LNS_LOSERS 16384

/*
 * Copies of the packets of sessions with LNS_INTERCEPT, for the daemon. What finds no
 * room is counted by slot in lns_losses, in an entry that XDP makes for the first one,
 * or under slot 0 when there are too many. The daemon clears it when an interception
 * begins.
 */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20); /* bytes */
} lns_copies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LNS_LOSERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u64);
} lns_losses SEC(".maps");

/* The same for sessions with LNS_CAPTURE, as far as lns_budget lets them. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20); /* bytes */
} lns_captures SEC(".maps");

/* One value. Written by the daemon, and the gate and counts by XDP. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lns_allowance);
} lns_budget SEC(".maps");

/* Memory of a copy under way, per CPU: its size is known only to the packet. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lns_copy);
} lns_copying SEC(".maps");

#endif
