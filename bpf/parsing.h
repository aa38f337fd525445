/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading a received frame from front to back.
 *
 * A cursor stands before what is not read yet. left is how many bytes of it
 * there are by the lengths in the headers read so far, which may be less than
 * the frame holds (padding) and is never trusted alone: end bounds every access.
 *
 * Contract of every take_ function: it returns what it names and steps over it,
 * or returns NULL (for take_byte, a negative number) and stays, when that is not
 * whole within both left and end.
 */
#ifndef LNS_PARSING_H
#define LNS_PARSING_H

#include "vmlinux.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#ifndef NULL
#define NULL ((void *)0)
#endif

#define AF_INET 2
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17

#define ETH_P_IP 0x0800
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88A8
#define VLAN_ID_MASK 0x0FFF

#define DSCP_MASK 0xFC /* in TOS or traffic class */
#define IP_MORE_FRAGMENTS 0x2000
#define IP_DONT_FRAGMENT 0x4000
#define IP_OFFSET_MASK 0x1FFF

struct cursor {
	void *pos;
	void *end;
	__u32 left;
};

static __always_inline void *take(struct cursor *at, __u32 size)
{
	void *pos = at->pos;

	if (size > at->left || pos + size > at->end)
		return NULL;
	at->pos = pos + size;
	at->left -= size;
	return pos;
}

static __always_inline int take_byte(struct cursor *at)
{
	__u8 *byte = take(at, 1);

	return byte ? *byte : -1;
}

static __always_inline __u16 *take_u16(struct cursor *at)
{
	return take(at, sizeof(__u16));
}

/*
 * Reads the Ethernet header and up to as many tags as vlans has room for, whose
 * VLAN ids go there, outermost first. A tag beyond those is not read: its
 * ethertype is the protocol then. protocol is in host order.
 */
static __always_inline struct ethhdr *take_ethernet(struct cursor *at, __u16 *vlans, int max_tags,
						    __u16 *protocol)
{
	struct ethhdr *eth = take(at, sizeof(*eth));
	struct vlan_hdr *tag;

	if (!eth)
		return NULL;
	*protocol = bpf_ntohs(eth->h_proto);
#pragma unroll
	for (int i = 0; i < max_tags; i++) {
		if (*protocol != ETH_P_8021Q && *protocol != ETH_P_8021AD)
			break;
		tag = take(at, sizeof(*tag));
		if (!tag)
			return NULL;
		vlans[i] = bpf_ntohs(tag->h_vlan_TCI) & VLAN_ID_MASK;
		*protocol = bpf_ntohs(tag->h_vlan_encapsulated_proto);
	}
	return eth;
}

/*
 * Reads the fixed part of an IPv4 header and narrows the cursor to what its
 * Total Length says. NULL also for a version other than 4, an IHL below 5, and a
 * Total Length that is less than the header or more than there is. Options are
 * left unread: see has_options.
 */
static __always_inline struct iphdr *take_ipv4(struct cursor *at)
{
	__u32 room = at->left;
	struct iphdr *ip = take(at, sizeof(*ip));
	__u32 total;

	if (!ip)
		return NULL;
	total = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || ip->ihl < 5 || total < ip->ihl * 4U || total > room)
		return NULL;
	at->left = total - sizeof(*ip);
	return ip;
}

static __always_inline int has_options(const struct iphdr *ip)
{
	return ip->ihl > 5;
}

/*
 * Whether addr (network order) is no address of a host: this network (0/8),
 * loopback (127/8), multicast, reserved or broadcast (224/3). The kernel judges
 * such packets, since its route lookup alone would forward them (RFC 1812
 * section 5.3.7).
 */
static __always_inline int is_martian(__be32 addr)
{
	__u8 net = *(__u8 *)&addr;

	return net == 0 || net == 127 || net >= 224;
}

/* Whether ip is a fragment, the first one included. */
static __always_inline int is_fragment(const struct iphdr *ip)
{
	return (ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS | IP_OFFSET_MASK)) != 0;
}

#endif
