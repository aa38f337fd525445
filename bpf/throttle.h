/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Limits a direction of a session to a rate. */
#ifndef LNS_THROTTLE_H
#define LNS_THROTTLE_H

#include "shield.h"

/* Tries of an update that races with other CPUs. */
#define SHAPER_TRIES 16

/* The time that len bytes take at the shaper's rate, in ticks, rounded up. */
static __always_inline __u64 time_of(const struct lns_shaper *s, __u32 len)
{
	return (s->cost * (len & FRAME_OFFSET_MASK) + 0xFFFF) >> 16;
}

/* Judges a packet of len bytes that the session in slot sends (up) or receives. */
static __always_inline enum lns_reason throttle(__u32 slot, __u32 len, int up)
{
	struct lns_shaping *both = bpf_map_lookup_elem(&lns_shapers, &slot);
	const struct lns_facts *live = facts();
	struct lns_shaper *s;
	__u64 now, cost;

	if (!both || !live)
		return LNS_CONTINUE;
	s = up ? &both->up : &both->down;
	now = gate_clock(live) << LNS_TICK_SHIFT;
	cost = time_of(s, len);
	for (int i = 0; i < SHAPER_TRIES; i++) {
		__u64 was = *(volatile __u64 *)&s->full;
		__u64 ahead = was - now; /* wraps with the clock */

		if (ahead > LNS_TICKS_MOST)
			ahead = 0; /* in the past */
		if (ahead + cost > s->depth)
			break;
		if (__sync_val_compare_and_swap(&s->full, was, now + ahead + cost) == was)
			return LNS_CONTINUE;
	}
	__sync_fetch_and_add(&s->dropped_packets, 1);
	__sync_fetch_and_add(&s->dropped_bytes, len);
	return LNS_DROP_THROTTLE;
}

#endif
