/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Limits a direction of a session to a rate. Nothing can wait here: a packet
 * passes or it does not, so what a queue would do is done with credit.
 *
 *	credit   what has not been used of the rate, in time; never more than the
 *	         depth. It is one word, changed as one, which makes the limit exact
 *	         on any number of CPUs: over any time T there pass rate × T and the
 *	         depth, at most.
 *	reserve  half of the depth. Above it all pass. Below it each flow has room
 *	         that halves with every step that the credit falls, and is dropped
 *	         beyond that. So credit settles where the flows' room adds up to the
 *	         rate, all flows that want more have the same, and those that want
 *	         less (a ping, DNS) find credit, and room, at any time.
 *	the      gathers while TCP is held: its flows stop for a retransmission
 *	other    timeout, and then catch up. Lasts while something was dropped lately,
 *	half     and is for TCP alone: an idle session or UDP gets no such burst.
 *
 * Time is that of the rate: a packet's cost is how long it takes at the rate.
 */
#ifndef LNS_THROTTLE_H
#define LNS_THROTTLE_H

#include "flows.h"
#include "shield.h"
#include "throttle_maps.h"

/* Tries of an update that races with other CPUs. */
#define SHAPER_TRIES 8

/* How long a drop keeps the other half open, in stamps: some 3 s. */
#define DROP_LATELY 45776

/* The most that is given above the reserve to a session that was idle: 1/128 of
 * the depth, up to 7 ms, so that its first second shows no burst. */
#define IDLE_SHARE 7
#define IDLE_MOST (7000000ULL << LNS_TICK_SHIFT)

/* The clock as it was when a packet first asked in this jiffy. */
static struct {
	__u64 jiffy;
	__u64 ns;
} recent_clock;

/*
 * A clock that is late by a jiffy at most and costs next to nothing. CPUs that
 * write it at once may leave the older of two times, which is late, no more.
 */
static __always_inline __u64 late_clock(const struct lns_facts *live)
{
	__u64 jiffy = bpf_jiffies64();

	if (live->now)
		return live->now;
	if (recent_clock.jiffy != jiffy) {
		recent_clock.ns = bpf_ktime_get_ns();
		recent_clock.jiffy = jiffy;
	}
	return recent_clock.ns;
}

/* The time that len bytes take at the shaper's rate, in ticks, rounded up. */
static __always_inline __u64 time_of(const struct lns_shaper *s, __u32 len)
{
	return (s->cost * (len & FRAME_OFFSET_MASK) + 0xFFFF) >> 16;
}

/* Of lns_shaper.shape, in ticks: the depth, and the credit of an idle session. */
static __always_inline __u64 depth_of(__u32 shape)
{
	return (__u64)(shape & LNS_DEPTH_MASK) << (LNS_STAMP_SHIFT + LNS_TICK_SHIFT);
}

static __always_inline __u64 idle_level(__u32 shape)
{
	__u64 depth = depth_of(shape), above = depth >> IDLE_SHARE;

	return (depth >> 1) + (above < IDLE_MOST ? above : IDLE_MOST);
}

static __always_inline struct lns_shaper *shaper_of(__u32 slot, int up)
{
	return up ? bpf_map_lookup_elem(&lns_shape_up, &slot) :
		    bpf_map_lookup_elem(&lns_shape_down, &slot);
}

/* The credit at now, most at most. None is left where the clock of another CPU is
 * ahead of ours. */
static __always_inline __u64 credit_at(__u64 full, __u64 now, __u64 most)
{
	if (full - now <= LNS_TICKS_MOST)
		return 0;
	return now - full < most ? now - full : most;
}

static __always_inline int drop_lately(const struct lns_shaper *s, __u32 stamp)
{
	return s->last_drop && stamp - s->last_drop < DROP_LATELY;
}

/* Takes cost out of the credit, of which most can be left, or fails with a negative
 * number: there is not as much, or others are faster. */
static __always_inline int take_credit(struct lns_shaper *s, __u64 now, __u64 most, __u64 cost)
{
	for (int i = 0; i < SHAPER_TRIES; i++) {
		__u64 was = *(volatile __u64 *)&s->full;
		__u64 credit = credit_at(was, now, most);

		if (credit < cost)
			return -1;
		if (__sync_val_compare_and_swap(&s->full, was, now - credit + cost) == was)
			return 0;
	}
	return -1;
}

/* Judges a packet of a session whose credit is low, or higher than an idle
 * session's: by the exact clock and by its flow. Not static for the verifier's
 * sake (see write_udp_checksum). */
__noinline int throttle_flow(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len, __u32 up)
{
	struct lns_shaper *s = shaper_of(slot, up);
	const struct lns_facts *live = facts();
	__u64 now, most, level, cost;
	struct flow flow = {};
	__u32 shape;

	at &= FRAME_OFFSET_MASK;
	if (!s || !live)
		return LNS_CONTINUE;
	now = gate_clock(live);
	flow.stamp = now >> LNS_STAMP_SHIFT;
	if (find_flow(ctx, at, slot << 1 | !!up, &flow))
		return LNS_CONTINUE;
	now <<= LNS_TICK_SHIFT;
	shape = s->shape;
	cost = time_of(s, len);
	level = idle_level(shape);
	most = drop_lately(s, flow.stamp) ? depth_of(shape) : level;
	level = credit_at(s->full, now, flow.protocol == IPPROTO_TCP ? most : level);
	if (flow_fits(ctx, at, &flow, shape, level, cost) && !take_credit(s, now, most, cost)) {
		charge_flow(&flow, shape, cost);
		return LNS_CONTINUE;
	}
	charge_flow(&flow, shape, 0);
	s->last_drop = flow.stamp | 1;
	__sync_fetch_and_add(&s->dropped, 1);
	return LNS_DROP_THROTTLE;
}

/* Where this CPU keeps what it has taken ahead for a direction of a session. */
static __always_inline struct lns_advance *advance_of(__u32 whose)
{
	__u32 first = 0;
	struct lns_advances *all = bpf_map_lookup_elem(&lns_advances, &first);

	return all ? &all->entries[whose & (LNS_ADVANCES - 1)] : NULL;
}

/*
 * Whether a packet of len bytes is paid for by what this CPU has taken ahead: most
 * packets of a session that uses less than its rate end here, which costs neither an
 * atomic operation nor a clock, nor a call: where returns are mitigated (SRSO), one
 * costs more than all of this.
 */
static __always_inline int is_paid(__u32 whose, __u32 len)
{
	struct lns_advance *a = advance_of(whose);

	if (!a || a->whose != whose || a->left < len || a->jiffy != (__u32)bpf_jiffies64())
		return 0;
	a->left -= len;
	return 1;
}

/* Of throttle: what it cannot tell without the exact clock and the flow. */
#define LOOK_CLOSER (-1)

/*
 * Judges a packet of len bytes that the session in slot sends (up) or receives, if its
 * credit is between the reserve and an idle session's: then it passes, and half of
 * what is above the reserve is taken ahead for this CPU, until the jiffy is over. So
 * all CPUs together have never more ahead than an idle session's credit is above the
 * reserve, by which an idle session's is less than the depth many times over. A clock
 * that is late makes credit look smaller, never larger. Not static for the verifier's
 * sake (see write_udp_checksum).
 */
__noinline int throttle(__u32 slot, __u32 len, __u32 up)
{
	__u32 whose = slot << 1 | !!up;
	struct lns_shaper *s = shaper_of(slot, up);
	const struct lns_facts *live = facts();
	struct lns_advance *a = advance_of(whose);
	__u64 now, was, idle, credit, cost, ahead;

	if (!s || !live || !a)
		return LNS_CONTINUE;
	if (without & LNS_PART_ADVANCE)
		return LOOK_CLOSER;
	now = late_clock(live);
	was = *(volatile __u64 *)&s->full;
	idle = idle_level(s->shape);
	cost = time_of(s, len) + (depth_of(s->shape) >> 1);
	credit = credit_at(was, now << LNS_TICK_SHIFT, idle);
	if (credit < cost || drop_lately(s, now >> LNS_STAMP_SHIFT))
		return LOOK_CLOSER;
	cost += ahead = (credit - cost) >> 1;
	credit -= cost - (depth_of(s->shape) >> 1);
	if (__sync_val_compare_and_swap(&s->full, was, (now << LNS_TICK_SHIFT) - credit) != was)
		return LOOK_CLOSER;
	a->whose = whose;
	a->jiffy = bpf_jiffies64();
	a->left = s->cost ? (ahead << 16) / s->cost : 0;
	return LNS_CONTINUE;
}

/* Judges a packet to the session in slot by their number alone: packet_interval
 * apart on average, a tenth of a second's worth at once. */
static __always_inline enum lns_reason limit_packets(__u32 slot)
{
	__u64 *gate = bpf_map_lookup_elem(&lns_paces, &slot);
	const struct lns_facts *live = facts();
	struct lns_shaper *s;
	__u64 now;

	if (!gate || !live || !packet_interval)
		return LNS_CONTINUE;
	now = late_clock(live);
	for (int i = 0; i < GATE_TRIES; i++) {
		__u64 was = *(volatile __u64 *)gate;
		__u64 from = was > now ? was : now;

		if (from - now > LNS_PACE_BURST - packet_interval)
			break;
		if (__sync_val_compare_and_swap(gate, was, from + packet_interval) == was)
			return LNS_CONTINUE;
	}
	s = shaper_of(slot, 0);
	if (s)
		__sync_fetch_and_add(&s->dropped, 1);
	return LNS_DROP_PACKETS;
}

#endif
