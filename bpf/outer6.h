/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tunnels whose outer packets are IPv6 (RFC 8200). */
#ifndef LNS_OUTER6_H
#define LNS_OUTER6_H

#include "checksum.h"
#include "ipv6.h"
#include "nexthop.h"
#include "sequence.h"

/* What the outer header is longer by than that of IPv4. */
#define OUTER6_EXTRA (sizeof(struct ipv6hdr) - sizeof(struct iphdr))

/* Whether the peer of a session with these flags speaks IPv6. */
static __always_inline int over_ipv6(__u32 flags)
{
	return outer6 && flags & LNS_OUTER6;
}

/* The ethertype of packets to it. */
static __always_inline __u16 outer_ethertype(__u32 flags)
{
	return over_ipv6(flags) ? ETH_P_IPV6 : ETH_P_IP;
}

static __always_inline int same_addr6(const void *a, const void *b)
{
	const __u32 *x = a, *y = b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

static __always_inline const struct lns_ends *tunnel_ends(__u32 tunnel_id)
{
	return bpf_map_lookup_elem(&lns_outer6, &tunnel_id);
}

/* Whether addr and port are a socket of ours; port 0 asks for the address alone. */
static __always_inline int is_local6(const struct in6_addr *addr, __u16 port)
{
	struct lns_local6 key = { .port = port };

	__builtin_memcpy(key.addr, addr, sizeof(key.addr));
	return bpf_map_lookup_elem(&lns_locals6, &key) != NULL;
}

/* Asks for the next hop of an outer packet of len bytes. */
static __always_inline enum lns_reason route_outer6(const struct frame *f, const struct lns_path *s,
						    __u32 len, struct nexthop *hop)
{
	const struct lns_ends *ends = tunnel_ends(s->tunnel_id);
	struct bpf_fib_lookup *fib;

	unknown_nexthop(hop);
	fib = new_question(f, AF_INET6);
	if (!fib || !ends)
		return LNS_PUNT_FIB; /* never happens */
	fib->l4_protocol = IPPROTO_UDP;
	fib->sport = bpf_htons(s->local_port);
	fib->dport = bpf_htons(s->peer_port);
	fib->tot_len = len;
	__builtin_memcpy(fib->ipv6_src, ends->local, sizeof(fib->ipv6_src));
	__builtin_memcpy(fib->ipv6_dst, ends->peer, sizeof(fib->ipv6_dst));
	return ask_nexthop(f, hop, fib);
}

/* Writes the outer IPv6 header of a packet of total bytes. Negative on failure. */
static __always_inline int write_ipv6(struct ipv6hdr *ip, const struct lns_path *s, __u32 total,
				      __u8 class)
{
	const struct lns_ends *ends = tunnel_ends(s->tunnel_id);

	if (!ends)
		return -1;
	*(__be32 *)ip = bpf_htonl(6U << 28 | class << 20);
	ip->payload_len = bpf_htons(total - sizeof(*ip));
	ip->nexthdr = IPPROTO_UDP;
	ip->hop_limit = outer_ttl;
	__builtin_memcpy(&ip->saddr, ends->local, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, ends->peer, sizeof(ip->daddr));
	return 0;
}

/* write_udp_checksum behind an IPv6 header, where it is never left out: that takes
 * the peer's consent (RFC 6935), which L2TP has no means to ask for. */
__noinline int write_udp_checksum6(struct xdp_md *ctx, __u32 at, __u32 len)
{
	struct ipv6hdr *ip;
	struct udphdr *udp;
	__u64 pseudo;
	__u32 *word;
	__s64 sum;

	if (len < sizeof(*udp) || len > CHECKSUM_MAX)
		return -1;
	at &= FRAME_OFFSET_MASK;
	ip = packet_start(ctx) + at;
	udp = (void *)(ip + 1);
	if ((void *)(udp + 1) > packet_end(ctx))
		return -1;
	pseudo = bpf_htons(IPPROTO_UDP) + bpf_htons(len);
	word = (void *)&ip->saddr;
#pragma unroll
	for (int i = 0; i < 8; i++) /* both addresses */
		pseudo += word[i];
	sum = sum_bytes(ctx, at + sizeof(*ip), len, fold(pseudo));
	if (sum < 0)
		return -1;
	udp->check = sum == 0xFFFF ? 0xFFFF : ~sum;
	return 0;
}

/* Whether the len bytes from byte at on are not all in the frame's first buffer. */
static __always_inline int is_scattered(struct xdp_md *ctx, __u32 at, __u32 len)
{
	return buffers && packet_start(ctx) + at + len > packet_end(ctx);
}

/* write_udp_checksum, or with v6 write_udp_checksum6, of a datagram that is
 * scattered; the headers are in the first buffer. */
__noinline int write_scattered_checksum(struct xdp_md *ctx, __u32 at, __u32 len, __u32 v6)
{
	__u32 header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	__u64 pseudo = bpf_htons(IPPROTO_UDP) + bpf_htons(len);
	struct udphdr *udp;
	__u32 *word;
	__s64 sum;

	if (len < sizeof(*udp) || len > CHECKSUM_MAX)
		return -1;
	at &= FRAME_OFFSET_MASK;
	word = packet_start(ctx) + at;
	if ((void *)word + sizeof(struct ipv6hdr) + sizeof(*udp) > packet_end(ctx))
		return -1;
	if (v6) {
#pragma unroll
		for (int i = 2; i < 10; i++) /* both addresses */
			pseudo += word[i];
	} else {
		pseudo += (__u64)word[3] + word[4];
	}
	sum = sum_buffers(ctx, at + header, len, fold(pseudo));
	if (sum < 0)
		return -1;
	udp = packet_start(ctx) + at + header;
	if ((void *)(udp + 1) > packet_end(ctx))
		return -1;
	udp->check = sum == 0xFFFF ? 0xFFFF : ~sum;
	return 0;
}

#endif
