/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a packet leaves: the kernel's own routing decides.
 *
 * Its answer is used again for packets that ask the same within one tick of the
 * kernel's clock (1 to 10 ms, as the kernel is built), unless the daemon, which
 * listens to the kernel, has said meanwhile that a route, a neighbour, a link or a
 * rule has changed. So a change counts at once where a daemon runs, and after a tick
 * where none does.
 */
#ifndef LNS_NEXTHOP_H
#define LNS_NEXTHOP_H

#include "frame.h"

/* The way out: way stands in a map of the CPU, where the next lookup may overwrite
 * it. */
struct nexthop {
	struct lns_hop *way;
	__u64 now; /* CLOCK_MONOTONIC in ns, of tick resolution */
};

/* The place in lns_hops for an answer about IPv4. */
static __always_inline __u32 hop_index(__be32 destination, __u8 tos, __u32 ifindex)
{
	return (destination ^ tos << 16 ^ ifindex) * 0x9E3779B1U >> 22;
}
_Static_assert(LNS_HOPS == 1 << (32 - 22), "hop_index");

/*
 * Looks for an earlier answer to where a packet of len bytes to destination leaves,
 * and prepares hop for a new one if there is none. Beyond what is compared the
 * kernel's answer may depend on the source and the ports, where rules or several
 * next hops look at them: lns_hints allows no earlier answer then.
 */
static __always_inline int known_nexthop(const struct frame *f, struct nexthop *hop,
					 __be32 destination, __u8 tos, __u32 len)
{
	__u32 index = hop_index(destination, tos, f->ifindex);
	const struct lns_hint *hints = hints_now();
	const struct lns_hop *way;

	way = hop->way = bpf_map_lookup_elem(&lns_hops, &index);
	hop->now = bpf_ktime_get_coarse_ns();
	return way && hints && way->tick == hop->now && hop->now < hints->trust_until &&
	       way->generation == hints->generation && addr_word(way->destination) == destination &&
	       way->tos == tos && way->ifindex == f->ifindex && len <= way->mtu;
}

/* As known_nexthop for IPv6, of which no answers are kept. */
static __always_inline void unknown_nexthop(struct nexthop *hop)
{
	__u32 index = 0;

	hop->way = bpf_map_lookup_elem(&lns_hops, &index);
	hop->now = bpf_ktime_get_coarse_ns();
}

/* A blank question for the kernel; NULL never happens. */
static __always_inline struct bpf_fib_lookup *new_question(const struct frame *f, __u8 family)
{
	__u32 first = 0;
	struct bpf_fib_lookup *fib = (void *)bpf_map_lookup_elem(&lns_questions, &first);

	if (!fib)
		return NULL;
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->family = family;
	fib->ifindex = f->ifindex;
	return fib;
}

/* What an answer without a way means. */
static __always_inline enum lns_reason no_way(long answer)
{
	switch (answer) {
	case BPF_FIB_LKUP_RET_BLACKHOLE:
	case BPF_FIB_LKUP_RET_UNREACHABLE:
	case BPF_FIB_LKUP_RET_PROHIBIT:
		return LNS_PUNT_UNROUTABLE;
	case BPF_FIB_LKUP_RET_NOT_FWDED:
		return LNS_PUNT_LOCAL;
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return LNS_PUNT_FWD_OFF;
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		return LNS_PUNT_TOO_BIG;
	default:
		return LNS_PUNT_FIB;
	}
}

/* Puts what fib and exit say into way. */
static __always_inline void keep_answer(struct lns_hop *way, const struct bpf_fib_lookup *fib,
					const struct lns_exit *exit)
{
	way->mtu = fib->mtu_result;
	__builtin_memcpy(way->macs, fib->dmac, sizeof(fib->dmac));
	__builtin_memcpy(way->macs + sizeof(fib->dmac), fib->smac, sizeof(fib->smac));
	way->exit = *exit;
	way->l2_len = sizeof(struct ethhdr);
	if (exit->tags[0].protocol)
		way->l2_len += sizeof(struct vlan_hdr);
	if (exit->tags[1].protocol)
		way->l2_len += sizeof(struct vlan_hdr);
}

/*
 * Asks the kernel for the way, by all that routing rules and several next hops may
 * look at: the caller has filled in addresses, protocol, ports, length and TOS.
 * LNS_CONTINUE, or why XDP cannot send the packet.
 */
static __always_inline enum lns_reason ask_nexthop(const struct frame *f, struct nexthop *hop,
						   struct bpf_fib_lookup *fib)
{
	const struct lns_hint *hints = hints_now();
	__be32 destination = fib->ipv4_dst; /* the answer overwrites both */
	struct lns_hop *way = hop->way;
	struct lns_exit *exit;
	__u8 tos = fib->tos;
	long answer;

	if (!way || !hints)
		return LNS_PUNT_FIB; /* never happens */
	way->tick = 0;
	/* Read before the lookup: a change during it voids the answer. */
	way->generation = *(const volatile __u32 *)&hints->generation;
	answer = bpf_fib_lookup(f->ctx, fib, sizeof(*fib), 0);
	if (answer != BPF_FIB_LKUP_RET_SUCCESS && answer != BPF_FIB_LKUP_RET_NO_NEIGH)
		return no_way(answer);
	exit = bpf_map_lookup_elem(&lns_egress, &fib->ifindex);
	if (!exit)
		return LNS_PUNT_FOREIGN;
	if (answer == BPF_FIB_LKUP_RET_NO_NEIGH)
		return LNS_PUNT_NO_NEIGH;
	keep_answer(way, fib, exit);
	if (fib->family == AF_INET) {
		way->ifindex = f->ifindex;
		__builtin_memcpy(way->destination, &destination, sizeof(way->destination));
		way->tos = tos;
		way->tick = hop->now;
	}
	return LNS_CONTINUE;
}

/* Writes Ethernet header and tags, the last of them with ethertype, at the start
 * of the packet, which is at least an IPv4 header longer. Negative on failure. */
static __always_inline int write_ethernet(struct xdp_md *ctx, const struct nexthop *hop, __u16 ethertype)
{
	struct ethhdr *eth = packet_start(ctx);
	__be16 *protocol = &eth->h_proto;
	struct vlan_hdr *tag = (void *)(eth + 1);

	if ((void *)(tag + LNS_TAGS) > packet_end(ctx))
		return -1;
	__builtin_memcpy(eth->h_dest, hop->way->macs, sizeof(hop->way->macs));
#pragma unroll
	for (int i = 0; i < LNS_TAGS; i++) {
		if (!hop->way->exit.tags[i].protocol)
			break;
		*protocol = bpf_htons(hop->way->exit.tags[i].protocol);
		tag[i].h_vlan_TCI = bpf_htons(hop->way->exit.tags[i].vlan);
		protocol = &tag[i].h_vlan_encapsulated_proto;
	}
	*protocol = bpf_htons(ethertype);
	return 0;
}

/* Sends the packet out. The device may be gone since it was looked up. */
static __always_inline int redirect(const struct nexthop *hop)
{
	return bpf_redirect_map(&lns_devices, hop->way->exit.device, XDP_DROP) == XDP_REDIRECT;
}

#endif
