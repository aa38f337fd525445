/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef LNS_MSS6_H
#define LNS_MSS6_H

#include "mss.h"

/* How much longer an IPv6 header is than an IPv4 one. The limit of a session is
 * for IPv4; segments in IPv6 must be that much shorter (RFC 6691 section 2). */
#define IPV6_EXTRA (sizeof(struct ipv6hdr) - sizeof(struct iphdr))

/*
 * Clamps the MSS in the IPv6 packet at byte at of the frame, max_mss being that
 * for IPv4. TCP behind extension headers, which on SYNs are next to unknown, is
 * left alone, and fragments with it. Returns 0; not static for the verifier's
 * sake (see write_udp_checksum).
 */
__noinline int clamp_mss6(struct xdp_md *ctx, __u32 at, __u32 max_mss)
{
	struct ipv6hdr *ip;

	at &= FRAME_OFFSET_MASK;
	ip = packet_start(ctx) + at;
	if ((void *)(ip + 1) > packet_end(ctx) || ip->nexthdr != IPPROTO_TCP || max_mss <= IPV6_EXTRA)
		return 0;
	clamp_tcp(ctx, at + sizeof(*ip), bpf_ntohs(ip->payload_len), max_mss - IPV6_EXTRA);
	return 0;
}

#endif
