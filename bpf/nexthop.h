/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a packet leaves: the kernel's own routing decides, so that routes,
 * neighbours and links count as they are at this moment.
 */
#ifndef LNS_NEXTHOP_H
#define LNS_NEXTHOP_H

#include "frame.h"

/* The way out: exit is set, and fib holds both MAC addresses. */
struct nexthop {
	struct bpf_fib_lookup fib;
	struct lns_exit *exit;
	__u32 l2_len; /* of the Ethernet header and tags to write */
};

/*
 * Looks up the way for hop->fib, whose address, protocol, length and TOS fields
 * are filled in. LNS_CONTINUE, or why XDP cannot send it there.
 */
static __always_inline enum lns_reason find_nexthop(const struct frame *f, struct nexthop *hop,
						    __u8 family)
{
	long answer;

	hop->fib.family = family;
	hop->fib.ifindex = f->ifindex;
	answer = bpf_fib_lookup(f->ctx, &hop->fib, sizeof(hop->fib), 0);
	switch (answer) {
	case BPF_FIB_LKUP_RET_SUCCESS:
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		break; /* both have found the interface */
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
	hop->exit = bpf_map_lookup_elem(&lns_egress, &hop->fib.ifindex);
	if (!hop->exit)
		return LNS_PUNT_FOREIGN;
	if (answer == BPF_FIB_LKUP_RET_NO_NEIGH)
		return LNS_PUNT_NO_NEIGH;
	hop->l2_len = sizeof(struct ethhdr);
	if (hop->exit->tags[0].protocol)
		hop->l2_len += sizeof(struct vlan_hdr);
	if (hop->exit->tags[1].protocol)
		hop->l2_len += sizeof(struct vlan_hdr);
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
	__builtin_memcpy(eth->h_dest, hop->fib.dmac, sizeof(eth->h_dest));
	__builtin_memcpy(eth->h_source, hop->fib.smac, sizeof(eth->h_source));
#pragma unroll
	for (int i = 0; i < LNS_TAGS; i++) {
		if (!hop->exit->tags[i].protocol)
			break;
		*protocol = bpf_htons(hop->exit->tags[i].protocol);
		tag[i].h_vlan_TCI = bpf_htons(hop->exit->tags[i].vlan);
		protocol = &tag[i].h_vlan_encapsulated_proto;
	}
	*protocol = bpf_htons(ethertype);
	return 0;
}

/* Sends the packet out. The device may be gone since it was looked up. */
static __always_inline int redirect(const struct nexthop *hop)
{
	return bpf_redirect_map(&lns_devices, hop->exit->device, XDP_DROP) == XDP_REDIRECT;
}

#endif
