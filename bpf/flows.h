/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows of throttled sessions: how much of its session's rate each has had of
 * late. A share fades by half in a time that goes with the shaper's depth, hence
 * a flow that has all of the rate settles at one number, ROOM_ALL.
 *
 * All sessions share a table. A flow is in one of a set of places, which its hash
 * says, and has a tag there; a newcomer takes the place that was silent for longest.
 * Two with one tag are taken for one; CPUs that write at once may lose a packet's
 * charge. Both make shares less equal for a moment, and the session's limit not less
 * exact.
 */
#ifndef LNS_FLOWS_H
#define LNS_FLOWS_H

#include "ecn.h"
#include "ipv6.h"
#include "throttle_maps.h"

/* The share of a flow that has had all of the rate. */
#define ROOM_ALL (1ULL << 30)

/* What stands for the share of a flow that is not known. */
#define UNKNOWN (~0ULL)

/* Halvings after which a flow is forgotten. */
#define FORGOTTEN 8

/* What a flow of UDP that is not known may send at once, as a share of the depth, and
 * at least a packet and its successor: the rest of its room counts as used, so that a
 * flood begins at the rate. Others have used nothing: TCP begins slowly, and a ping
 * would be lost where the room shrinks after its first packet. */
#define NEWCOMER_SHARE 8

/* TCP that is held is silent while it waits, and what its share was fades: it has
 * twice the room, and less than that on average. */
#define TCP_ROOM 1

/* A flow on its way through the judgement. */
struct flow {
	__u64 *cell;
	__u64 share;
	__u32 stamp; /* the time now */
	__u32 tag;
	__u8 protocol;
	__u8 ecn; /* its ECN field, and that of IPv6 too */
	__u8 version;
};

#define HASH_ODD 0x9E3779B97F4A7C15ULL

static __always_inline __u64 mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * HASH_ODD;
	return hash ^ hash >> 32;
}

/* A place of a set: when it was last written, the tag, and the share. */
#define PLACE_STAMP 40
#define PLACE_TAG 32
#define TAG_MASK 0xFF
#define STAMP_MASK 0xFFFFFF

/* Finds the place of a flow with that hash, or the one that it gets. */
static __always_inline __u64 *place_of(__u64 hash, struct flow *flow)
{
	__u32 number = hash & flow_mask, oldest = 0, best = 0;
	struct lns_flows_set *set = bpf_map_lookup_elem(&lns_flows, &number);

	if (!set)
		return NULL;
	flow->tag = hash >> 56 & TAG_MASK;
	for (int i = 0; i < LNS_FLOW_PLACES; i++) {
		__u64 word = *(volatile __u64 *)&set->places[i];
		__u32 age = (flow->stamp - (__u32)(word >> PLACE_STAMP)) << 8;

		if (word && (word >> PLACE_TAG & TAG_MASK) == flow->tag)
			return &set->places[i];
		if (!word)
			age = ~0U;
		if (age >= oldest) {
			oldest = age;
			best = i;
		}
	}
	return &set->places[best & (LNS_FLOW_PLACES - 1)];
}

/* Reads what tells the flow of the packet at byte at apart from others of whose
 * (a session's direction), and finds its cell. Negative where it is too short. */
static __always_inline int find_flow(struct xdp_md *ctx, __u32 at, __u32 whose, struct flow *flow)
{
	const struct iphdr *ip = packet_start(ctx) + at;
	const struct ipv6hdr *ip6 = (const void *)ip;
	const __u32 *ports = NULL;
	__u64 hash = flow_seed;

	if ((void *)(ip + 1) > packet_end(ctx))
		return -1;
	flow->version = ip->version;
	if (ip->version == 6) {
		if ((void *)(ip6 + 1) > packet_end(ctx))
			return -1;
		flow->protocol = ip6->nexthdr;
		flow->ecn = traffic_class(ip6) & ECN_MASK;
		hash = mix(hash, net_word(&ip6->saddr) ^ net_word(&ip6->daddr.in6_u.u6_addr8[8]));
		hash = mix(hash, net_word(&ip6->daddr) ^ net_word(&ip6->saddr.in6_u.u6_addr8[8]));
		ports = (const void *)(ip6 + 1);
	} else {
		flow->protocol = ip->protocol;
		flow->ecn = ip->tos & ECN_MASK;
		hash = mix(hash, (__u64)ip->saddr << 32 | ip->daddr);
		if (!is_fragment(ip))
			ports = (const void *)(ip + 1);
	}
	if (ports && (flow->protocol == IPPROTO_TCP || flow->protocol == IPPROTO_UDP) &&
	    (void *)(ports + 1) <= packet_end(ctx))
		hash = mix(hash, *ports);
	hash = mix(hash, (__u64)whose << 8 | flow->protocol);
	flow->cell = place_of(hash, flow);
	return flow->cell ? 0 : -1;
}

static __always_inline __u32 half_of(__u32 shape)
{
	return shape >> LNS_HALF_SHIFT;
}

/* Turns ticks into a share. */
static __always_inline __u64 share_of(__u64 ticks, __u32 shape)
{
	return ticks >> (half_of(shape) - LNS_HALF_LEAST);
}

/* The share of a flow of that tag whose cell holds word, faded until stamp; UNKNOWN for
 * one that is not known. Not static, as the next one, for the verifier's sake (see
 * write_udp_checksum). */
__noinline __u64 faded_share(__u64 word, __u32 stamp, __u32 tag, __u32 shape)
{
	__u32 passed = (stamp - (__u32)(word >> PLACE_STAMP)) & STAMP_MASK;
	__u32 half = (half_of(shape) - (LNS_STAMP_SHIFT + LNS_TICK_SHIFT)) & 31;
	__u32 halvings = passed >> half;
	__u64 share;

	if (!word || (word >> PLACE_TAG & TAG_MASK) != tag || halvings >= FORGOTTEN)
		return UNKNOWN;
	share = (__u32)word >> halvings;
	/* Between two halvings along the line that begins as the curve of a flow
	 * that is charged all the time must: ROOM_ALL is where it settles. */
	return share - (share * (passed & ((1U << half) - 1)) >> (half + 1));
}

/* The share up to which a flow may be charged at a level of credit. */
__noinline __u64 room_at(__u32 shape, __u64 level)
{
	__u64 reserve = (__u64)(shape & LNS_DEPTH_MASK) << (LNS_STAMP_SHIFT + LNS_TICK_SHIFT - 1);
	__u32 step = shape >> LNS_STEP_SHIFT & LNS_STEP_MASK;
	__u64 below, room;

	if (level >= reserve)
		return ROOM_ALL + 4 * share_of(level - reserve, shape);
	below = reserve - level;
	room = below >> step < 30 ? ROOM_ALL >> (below >> step) : 0;
	return room - ((room >> 8) * ((below & ((1ULL << step) - 1)) >> (step - 8)) >> 1);
}

/* Sets the mark of congestion in a packet whose flow understands it (RFC 3168
 * section 5), and says whether it did. */
static __always_inline int mark_packet(struct xdp_md *ctx, __u32 at, const struct flow *flow)
{
	struct iphdr *ip = packet_start(ctx) + at;

	if (flow->ecn == ECN_NOT_ECT || (void *)(ip + 1) > packet_end(ctx))
		return 0;
	if (flow->version == 6)
		mark_ipv6((struct ipv6hdr *)ip, ECN_CE);
	else
		mark_ipv4(ip, ECN_CE);
	return 1;
}

/* Whether the flow has room for a packet at a level of credit. One that is marked
 * may go beyond, up to twice as far: then it does not listen. */
static __always_inline int flow_fits(struct xdp_md *ctx, __u32 at, struct flow *flow, __u32 shape,
				     __u64 level, __u64 cost)
{
	__u64 room = room_at(shape, level);
	__u64 depth = (__u64)(shape & LNS_DEPTH_MASK) << (LNS_STAMP_SHIFT + LNS_TICK_SHIFT);
	__u64 first = depth >> NEWCOMER_SHARE > 2 * cost ? depth >> NEWCOMER_SHARE : 2 * cost;

	if (flow->protocol == IPPROTO_TCP)
		room <<= TCP_ROOM;
	flow->share = faded_share(*(volatile __u64 *)flow->cell, flow->stamp, flow->tag, shape);
	if (flow->share == UNKNOWN) {
		first = share_of(first, shape);
		flow->share = flow->protocol == IPPROTO_UDP && room > first ? room - first : 0;
	}
	if (flow->share <= room)
		return 1;
	return flow->share <= 2 * room && mark_packet(ctx, at, flow);
}

/* Charges the flow with a packet, of no cost if it was dropped. */
static __always_inline void charge_flow(struct flow *flow, __u32 shape, __u64 cost)
{
	__u64 share = flow->share + share_of(cost, shape);

	if (share > 0xFFFFFFFF)
		share = 0xFFFFFFFF;
	*flow->cell = (__u64)flow->stamp << PLACE_STAMP | (__u64)flow->tag << PLACE_TAG | share;
}

#endif
