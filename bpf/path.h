/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a session's paths are.
 *
 * Ids and addresses lead to a place in an array by themselves, without a table that
 * would have to be in the cache: the daemon draws a session's id such that its place
 * is free, and lays out addresses by the /24, as pools are. What does not fit in
 * there, such as ids from elsewhere, is found through a hash table.
 */
#ifndef LNS_PATH_H
#define LNS_PATH_H

#include "frame.h"

/* Spreads ids over all numbers: consecutive ones far from each other. */
#define CALL_MIX 0x9E3779B1U

/* The place in lns_uplinks that ids lead to. */
static __always_inline __u32 call_place(const struct lns_call *call)
{
	__u32 mixed = ((__u32)call->tunnel_id << 16 | call->session_id) * CALL_MIX;

	return (__u64)mixed * call_places >> 32;
}

static __always_inline int is_of_call(const struct lns_path *p, const struct lns_call *call)
{
	return p && p->tunnel_id == call->tunnel_id && p->session_id == call->session_id;
}

/* Whether packets may take the path. Asked before what the path is of: a place is given
 * to another session only when no packet sees it that has seen the first one open. */
static __always_inline int is_open(const struct lns_path *p)
{
	int open = *(const volatile __u8 *)&p->state == LNS_OPEN;

	asm volatile("" : : : "memory"); /* what was read before is read anew */
	return open;
}

/* The place in lns_uplinks of ids that do not lead there by themselves, a negative
 * number for none. Not static for the verifier's sake (see write_udp_checksum). */
__noinline int stray_call(__u32 tunnel_id, __u32 session_id)
{
	struct lns_call call = { .tunnel_id = tunnel_id, .session_id = session_id };
	__u32 *place = bpf_map_lookup_elem(&lns_calls, &call);

	return place ? (int)*place : -1;
}

/* The path that the ids lead to, which need not be theirs any more; NULL where
 * there is none. */
static __always_inline struct lns_path *uplink_path(const struct lns_call *call)
{
	__u32 place = call_place(call);
	struct lns_path *p = bpf_map_lookup_elem(&lns_uplinks, &place);
	int other;

	if (is_of_call(p, call))
		return p;
	other = stray_call(call->tunnel_id, call->session_id);
	if (other < 0)
		return NULL;
	place = other;
	return bpf_map_lookup_elem(&lns_uplinks, &place);
}

/* The place in lns_downlinks where addr (network order) of the main routing table
 * would be, a negative number for none. */
static __always_inline int block_place(__be32 addr)
{
	__u32 host = bpf_ntohl(addr);
	__u32 number = host >> 24;
	struct lns_page *page = bpf_map_lookup_elem(&lns_blocks, &number);

	if (!page)
		return -1;
	number = page->entries[host >> 16 & 0xFF];
	if (!number)
		return -1;
	page = bpf_map_lookup_elem(&lns_blocks, &number);
	if (!page)
		return -1;
	number = page->entries[host >> 8 & 0xFF];
	return number ? (int)((number - 1) * LNS_BLOCK + (host & 0xFF)) : -1;
}

/* The place in lns_downlinks of the subscriber whose own address addr (network
 * order) is, which need not be its any more; a negative number for none. Not static
 * for the verifier's sake (see write_udp_checksum). */
__noinline int host_place(__u32 vrf, __u32 addr)
{
	struct lns_host key = { .vrf = vrf };
	__u32 place = vrf ? -1 : block_place(addr);
	struct lns_path *p = bpf_map_lookup_elem(&lns_downlinks, &place);
	__u32 *other;

	if (p && addr_word(p->address) == addr && !(p->flags & LNS_VRF))
		return place;
	__builtin_memcpy(key.addr, &addr, sizeof(key.addr));
	other = bpf_map_lookup_elem(&lns_hosts, &key);
	return other ? (int)*other : -1;
}

/* The place in lns_downlinks of the session in slot. */
static __always_inline __u32 slot_place(__u32 slot)
{
	const struct lns_session *s = bpf_map_lookup_elem(&lns_sessions, &slot);

	return s ? s->downlink : -1;
}

/* The path in a place, NULL where there is no such place. */
static __always_inline struct lns_path *downlink_path(__u32 place)
{
	return bpf_map_lookup_elem(&lns_downlinks, &place);
}

/* Counts one forwarded inner IPv4 packet of bytes bytes. Atomic: the direction of a
 * session may be served by several CPUs at once. last_seen needs no more than a
 * plain store, since all writers write the same coarse clock. */
static __always_inline void count_path(struct lns_path *p, __u64 bytes, __u64 now)
{
	if (without & LNS_PART_COUNTERS)
		return;
	p->last_seen = now;
	if (without & LNS_PART_ATOMIC) {
		p->packets++;
		p->bytes += bytes;
		return;
	}
	__sync_fetch_and_add(&p->packets, 1);
	__sync_fetch_and_add(&p->bytes, bytes);
}

#endif
