/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Spreads uplink data over CPUs.
 *
 * All data of a tunnel has the same addresses and ports, so that a network card puts
 * it into one queue, which one CPU serves. Here that CPU does no more than to read the
 * ids and hand the frame on, through a CPU map, to the CPU that serves the session;
 * there the rest of the program runs. Ids lead to the same CPU always and queues keep
 * their order, so each session's packets stay in theirs.
 *
 * The frame is no more trusted than any: what is handed on wrongly, such as data of no
 * session, is judged there as it would have been here.
 */
#ifndef LNS_SPREAD_H
#define LNS_SPREAD_H

#include "l2tp.h"
#include "local.h"
#include "outer6.h"
#include "path.h"

static __always_inline struct lns_hand *hand(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&lns_hands, &first);
}

/* Reads the ids of the data message at the cursor; negative for another message. */
static __always_inline int data_ids(struct cursor *at, struct lns_call *call)
{
	__u16 *word = at->pos;
	__u32 flags;

	if ((void *)(word + 4) > at->end)
		return -1;
	flags = bpf_ntohs(word[0]);
	if ((flags & (L2TP_VERSION_MASK | L2TP_CONTROL)) != L2TP_VERSION)
		return -1;
	call->tunnel_id = bpf_ntohs(flags & L2TP_LENGTH ? word[2] : word[1]);
	call->session_id = bpf_ntohs(flags & L2TP_LENGTH ? word[3] : word[2]);
	return 0;
}

/* Takes the headers up to UDP, of a whole datagram for one of our sockets; negative
 * for anything else. */
static __always_inline int take_outer(struct cursor *at)
{
	__u16 vlans[LNS_TAGS], protocol;
	struct ipv6hdr *ip6;
	struct udphdr *udp;
	struct iphdr *ip;

	if (!take_ethernet(at, vlans, LNS_TAGS, &protocol))
		return -1;
	if (protocol == ETH_P_IP) {
		ip = take(at, sizeof(*ip));
		if (!ip || ip->version != 4 || has_options(ip) || is_fragment(ip) ||
		    ip->protocol != IPPROTO_UDP)
			return -1;
		udp = take(at, sizeof(*udp));
		return udp && is_local(ip->daddr, bpf_ntohs(udp->dest)) ? 0 : -1;
	}
	if (!outer6 || protocol != ETH_P_IPV6)
		return -1;
	ip6 = take(at, sizeof(*ip6));
	if (!ip6 || ip6->nexthdr != IPPROTO_UDP)
		return -1;
	udp = take(at, sizeof(*udp));
	return udp && is_local6(&ip6->daddr, bpf_ntohs(udp->dest)) ? 0 : -1;
}

/* The place in spread_cpus of a session. As call_place: the paths of a CPU's sessions
 * lie together. */
static __always_inline __u32 spread_place(const struct lns_call *call)
{
	__u32 mixed = ((__u32)call->tunnel_id << 16 | call->session_id) * CALL_MIX;

	return ((__u64)mixed * spread_count >> 32) & (LNS_SPREAD_CPUS - 1);
}

/* Hands the frame to the CPU that it is for. 0 when it is for none, or that CPU takes
 * none: then it is judged here. Out of line for the sake of its caller's stack. */
static __noinline int hand_over(struct xdp_md *ctx)
{
	struct cursor at = {
		.pos = packet_start(ctx),
		.end = packet_end(ctx),
		.left = first_buffer(ctx),
	};
	struct lns_call call;
	struct lns_hand *counts;

	if (take_outer(&at) || data_ids(&at, &call) ||
	    bpf_redirect_map(&lns_cpus, spread_cpus[spread_place(&call)], 0) != XDP_REDIRECT)
		return 0;
	counts = hand();
	if (counts)
		counts->handed++;
	return 1;
}

/* Counts a frame that was handed to this CPU. Out of line as hand_over. */
static __noinline int count_taken(void)
{
	struct lns_hand *counts = hand();

	if (counts)
		counts->taken++;
	return 0;
}

#endif
