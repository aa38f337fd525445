/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading IPv6 (RFC 8200) and finding whose an IPv6 address is. */
#ifndef LNS_IPV6_H
#define LNS_IPV6_H

#include "frame.h"

#define AF_INET6 10
#define ETH_P_IPV6 0x86DD
#define NEXTHDR_HOP 0
#define IPV6_FLOWINFO_MASK 0x0FFFFFFF

/*
 * Reads an IPv6 header and narrows the cursor to what its Payload Length says.
 * NULL also for a version other than 6 and for a length of more than there is.
 * Extension headers are left unread: a router looks at none but the hop-by-hop
 * options, which come first (section 4); see has_hop_by_hop.
 */
static __always_inline struct ipv6hdr *take_ipv6(struct cursor *at)
{
	struct ipv6hdr *ip = take(at, sizeof(*ip));
	__u32 payload;

	if (!ip)
		return NULL;
	payload = bpf_ntohs(ip->payload_len);
	if (ip->version != 6 || payload > at->left)
		return NULL;
	at->left = payload;
	return ip;
}

static __always_inline int has_hop_by_hop(const struct ipv6hdr *ip)
{
	return ip->nexthdr == NEXTHDR_HOP;
}

/* The length of the packet, header included. */
static __always_inline __u32 ipv6_len(const struct ipv6hdr *ip)
{
	return sizeof(*ip) + bpf_ntohs(ip->payload_len);
}

/* The /64 that an address lies in, as it lies in memory. */
static __always_inline __u64 net_word(const void *addr)
{
	return *(const __u64 *)addr;
}

/* Whether addr means nothing beyond one link: fe80::/10 is never forwarded (RFC
 * 4291 section 2.5.6), and ff00::/8 not by this program. */
static __always_inline int is_link_scope(const struct in6_addr *addr)
{
	const __u8 *byte = addr->in6_u.u6_addr8;

	return byte[0] == 0xFF || (byte[0] == 0xFE && (byte[1] & 0xC0) == 0x80);
}

/* Whether addr lies in ::/64, which holds the unspecified and the loopback
 * address and those that stand for IPv4 ones: of no host on the wire. */
static __always_inline int is_martian6(const struct in6_addr *addr)
{
	return net_word(addr) == 0;
}

/* Spreads a /64 over all numbers, each bit of it over all bits (the finalizer of
 * MurmurHash3): neighbours in a pool are far from each other. The upper half chooses
 * the place in lns_homes6, the lower one tells those in it apart. */
static __always_inline __u64 net6_mix(__u32 vrf, __u64 net)
{
	__u64 v = net ^ (__u64)vrf << 32;

	v = (v ^ v >> 33) * 0xFF51AFD7ED558CCDULL;
	v = (v ^ v >> 33) * 0xC4CEB9FE1A85EC53ULL;
	return v ^ v >> 33;
}

/* The slot of the subscriber whose own /64 net is, as it lies in memory, 0 for none.
 * Not static for the verifier's sake (see write_udp_checksum). */
__noinline int own_net6(__u32 vrf, __u64 net)
{
	__u64 mixed = net6_mix(vrf, net);
	__u32 place = (mixed >> 32) * homes6 >> 32;
	const struct lns_home6 *home = bpf_map_lookup_elem(&lns_homes6, &place);
	struct lns_net6 key = { .vrf = vrf };
	const struct lns_session *s;
	__u32 *stray;

	for (int i = 0; home && i < LNS_HOMES; i++) {
		__u64 entry = *(const volatile __u64 *)&home->entries[i];
		__u32 slot = entry >> 32;

		if (!slot || (__u32)entry != (__u32)mixed)
			continue;
		s = bpf_map_lookup_elem(&lns_sessions, &slot);
		if (s && net_word(s->net6) == net && s->vrf == vrf)
			return slot;
	}
	__builtin_memcpy(key.net, &net, sizeof(key.net));
	stray = bpf_map_lookup_elem(&lns_nets6, &key);
	return stray ? *stray : 0;
}

/* The slot of the subscriber whose own /64 addr lies in, 0 for none. */
static __always_inline __u32 net6_slot(__u32 vrf, const struct in6_addr *addr)
{
	return own_net6(vrf, net_word(addr));
}

/* The slot of the longest other prefix that addr lies in, or NULL. */
static __always_inline __u32 *routed6_slot(__u32 vrf, const struct in6_addr *addr)
{
	struct lns_prefix6 key = {
		.prefixlen = LNS_PREFIX_VRF_BITS + 128,
		.vrf = vrf,
	};

	__builtin_memcpy(key.addr, addr, sizeof(key.addr));
	return bpf_map_lookup_elem(&lns_routes6, &key);
}

#endif
