/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Explicit congestion notification through the tunnel (RFC 6040), for peers that
 * are configured to take part. */
#ifndef LNS_ECN_H
#define LNS_ECN_H

#include "checksum.h"

#define ECN_MASK 3
#define ECN_NOT_ECT 0
#define ECN_ECT1 1
#define ECN_ECT0 2
#define ECN_CE 3

/* The traffic class, of which two bits are ECN, lies across two bytes. */
static __always_inline __u8 traffic_class(const struct ipv6hdr *ip)
{
	const __u8 *byte = (const void *)ip;

	return byte[0] << 4 | byte[1] >> 4;
}

/* Whether a packet must be dropped: what was marked outside cannot be marked
 * inside (section 4.2). */
static __always_inline int ecn_lost(__u8 outer, __u8 inner)
{
	return (outer & ECN_MASK) == ECN_CE && (inner & ECN_MASK) == ECN_NOT_ECT;
}

/* The inner field after decapsulation, of a packet that is not lost (section 4.2,
 * figure 4). */
static __always_inline __u8 ecn_combined(__u8 outer, __u8 inner)
{
	outer &= ECN_MASK;
	inner &= ECN_MASK;
	if (outer == ECN_CE || (outer == ECN_ECT1 && inner == ECN_ECT0))
		return outer;
	return inner;
}

/* Carries what the outer header was marked with into an IPv4 packet. */
static __always_inline void mark_ipv4(struct iphdr *ip, __u8 outer)
{
	__u16 *word = (__u16 *)ip; /* version, IHL and TOS */
	__u16 old = *word;

	ip->tos = (ip->tos & DSCP_MASK) | ecn_combined(outer, ip->tos);
	replace_in_checksum(&ip->check, old, *word);
}

/* The same for IPv6. */
static __always_inline void mark_ipv6(struct ipv6hdr *ip, __u8 outer)
{
	__u8 *byte = (__u8 *)ip + 1;

	*byte = (*byte & ~(ECN_MASK << 4)) | ecn_combined(outer, traffic_class(ip)) << 4;
}

#endif
