/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Access lists: rules tried in their order, of which the first that matches
 * decides; what none matches is denied. The slow path decides alike
 * (control/acl/decide.go), and a test holds both to it.
 */
#ifndef LNS_FILTER_H
#define LNS_FILTER_H

#include "counters.h"
#include "filter_maps.h"
#include "ipv6.h"

#define NEXTHDR_ROUTING 43
#define NEXTHDR_FRAGMENT 44
#define NEXTHDR_DEST 60

/* How many extension headers are looked through. */
#define FILTER_EXTENSIONS 6

#define TCP_FLAGS_AT 13
#define TCP_FLAG_MASK 0x3F

/*
 * What rules ask of a payload, in one word, so that the functions below can be
 * verified each by itself, for any payload:
 *
 *	bits 0-15 destination port, 16-31 source port, 32-39 TCP flags, 40-47
 *	protocol, 48 a fragment and not the first, 63 unreadable
 *
 * Ports are those of TCP and UDP, in host order.
 */
#define PAYLOAD_LATER (1ULL << 48)
#define PAYLOAD_UNREADABLE (1ULL << 63)
#define payload_protocol(p) ((__u8)((p) >> 40))
#define payload_tcp_flags(p) ((__u8)((p) >> 32))
#define payload_source(p) ((__u16)((p) >> 16))
#define payload_destination(p) ((__u16)(p))

/* Reads the head of a payload of left bytes at byte at of the frame; offset is its
 * place in the whole packet, in units of 8 bytes. Unreadable is one that is too short
 * for what a rule may ask. */
static __always_inline __u64 read_payload(const struct xdp_md *ctx, __u32 protocol, __u32 at,
					  __u32 left, __u32 offset)
{
	__u32 need = protocol == IPPROTO_TCP ? TCP_FLAGS_AT + 1 : 4;
	__u8 *head = packet_start(ctx) + (at & FRAME_OFFSET_MASK);
	__u64 payload = (__u64)protocol << 40;

	/* The second eight bytes of a TCP header hold its flags; sent apart, they
	 * could change what the first fragment was let in for (RFC 1858 section
	 * 3.2.2). */
	if (offset)
		return protocol == IPPROTO_TCP && offset == 1 ? PAYLOAD_UNREADABLE : payload | PAYLOAD_LATER;
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
		return payload;
	if (left < need || (void *)(head + 4) > packet_end(ctx))
		return PAYLOAD_UNREADABLE;
	payload |= bpf_ntohl(*(__be32 *)head);
	if (protocol == IPPROTO_TCP) {
		if ((void *)(head + TCP_FLAGS_AT + 1) > packet_end(ctx))
			return PAYLOAD_UNREADABLE;
		payload |= (__u64)(head[TCP_FLAGS_AT] & TCP_FLAG_MASK) << 32;
	}
	return payload;
}

/* The payload of the IPv4 packet at byte at of the frame. The functions that are not
 * static are so for the verifier's sake (see write_udp_checksum). */
__noinline __u64 find_payload4(struct xdp_md *ctx, __u32 at)
{
	const struct iphdr *ip = packet_start(ctx) + (at & FRAME_OFFSET_MASK);
	__u32 header;

	if ((void *)(ip + 1) > packet_end(ctx))
		return PAYLOAD_UNREADABLE;
	header = ip->ihl * 4;
	return read_payload(ctx, ip->protocol, at + header, bpf_ntohs(ip->tot_len) - header,
			    bpf_ntohs(ip->frag_off) & IP_OFFSET_MASK);
}

static __always_inline int is_extension(__u32 protocol)
{
	return protocol == NEXTHDR_HOP || protocol == NEXTHDR_ROUTING ||
	       protocol == NEXTHDR_DEST || protocol == NEXTHDR_FRAGMENT;
}

/* The payload of an IPv6 packet, behind its extension headers. */
__noinline __u64 find_payload6(struct xdp_md *ctx, __u32 at)
{
	const struct ipv6hdr *ip = packet_start(ctx) + (at & FRAME_OFFSET_MASK);
	__u32 protocol, left, size, offset = 0;
	__u8 *head;

	if ((void *)(ip + 1) > packet_end(ctx))
		return PAYLOAD_UNREADABLE;
	protocol = ip->nexthdr;
	left = bpf_ntohs(ip->payload_len);
	at += sizeof(*ip);
	for (int i = 0; i < FILTER_EXTENSIONS && is_extension(protocol) && !offset; i++) {
		head = packet_start(ctx) + (at & FRAME_OFFSET_MASK);
		if (left < 8 || (void *)(head + 8) > packet_end(ctx))
			return PAYLOAD_UNREADABLE;
		size = 8;
		if (protocol == NEXTHDR_FRAGMENT)
			offset = bpf_ntohs(*(__be16 *)(head + 2)) >> 3;
		else
			size += head[1] * 8;
		if (size > left)
			return PAYLOAD_UNREADABLE;
		protocol = head[0];
		at += size;
		left -= size;
	}
	/* What follows an offset is a piece of something that began elsewhere. */
	if (is_extension(protocol) && !offset)
		return PAYLOAD_UNREADABLE;
	return read_payload(ctx, protocol, at, left, offset);
}

/* 1 if port is out of the range, else 0. */
static __always_inline __u64 outside(__u64 port, __u64 low, __u64 high)
{
	return ((port - low) | (high - port)) >> 63;
}

/* 1 if the bits at flag are set, else 0. */
#define bit_of(flags, flag) (((flags) / (flag)) & 1)

/*
 * 0 if a rule whose addresses match does so as a whole. A later fragment has no ports:
 * what permits some ports permits it, since it is of no use without the first, and what
 * denies some does not count.
 *
 * Without a branch: the verifier follows each of them through each of the rules, and
 * the processor guesses wrong.
 */
static __always_inline __u64 mismatch(const struct lns_rule *r, __u64 payload)
{
	__u64 flags = r->flags, tcp = payload_tcp_flags(payload);
	__u64 later = payload / PAYLOAD_LATER & 1;
	__u64 any = (tcp & r->any_set) | (~tcp & r->any_clear);
	__u64 head, tail;

	head = outside(payload_source(payload), r->source_low, r->source_high) ^
	       bit_of(flags, LNS_RULE_NOT_SOURCE);
	head |= outside(payload_destination(payload), r->destination_low, r->destination_high) ^
		bit_of(flags, LNS_RULE_NOT_DESTINATION);
	head |= (any - 1) >> 63; /* 1 for none */
	head |= ((tcp & r->all_set) ^ r->all_set) | (tcp & r->all_clear);
	head |= bit_of(flags, LNS_RULE_FRAGMENTS);
	tail = bit_of(flags, LNS_RULE_DEEP) & ~bit_of(flags, LNS_RULE_PERMIT);
	return ((r->protocol ^ payload_protocol(payload)) & r->protocol_mask) |
	       (head & (later - 1)) | (tail & (0 - later));
}

/* Counts a decision of the list that version names: rule is that of IPv4, or beyond
 * those of IPv4 that of IPv6. */
static __always_inline void count_rule(__u32 version, __u32 rule)
{
	__u32 key = version * LNS_RULE_COUNTS + rule;
	__u64 *hits = bpf_map_lookup_elem(&lns_rule_hits, &key);

	if (hits)
		++*hits;
}

/* Whether a list permits the IPv4 packet at byte at of the frame. */
__noinline int permits4(struct xdp_md *ctx, __u32 version, __u32 at, __u64 payload)
{
	const struct iphdr *ip = packet_start(ctx) + (at & FRAME_OFFSET_MASK);
	const struct lns_list *list = bpf_map_lookup_elem(&lns_lists, &version);
	__u32 source, destination, count, i = 0;
	const struct lns_rule4 *r;
	int permit = 0;

	if (!list || (void *)(ip + 1) > packet_end(ctx))
		return 0;
	source = ip->saddr;
	destination = ip->daddr;
	count = payload & PAYLOAD_UNREADABLE ? 0 : list->count4;
	for (; i < LNS_RULES && i < count; i++) {
		r = &list->rules4[i];
		if (((source ^ addr_word(r->source)) & addr_word(r->source_mask)) |
		    ((destination ^ addr_word(r->destination)) & addr_word(r->destination_mask)) |
		    mismatch(&r->rest, payload))
			continue;
		permit = r->rest.flags & LNS_RULE_PERMIT;
		count_rule(version, i);
		return permit;
	}
	count_rule(version, list->count4);
	return 0;
}

/* The same for IPv6. */
__noinline int permits6(struct xdp_md *ctx, __u32 version, __u32 at, __u64 payload)
{
	const struct ipv6hdr *ip = packet_start(ctx) + (at & FRAME_OFFSET_MASK);
	const struct lns_list *list = bpf_map_lookup_elem(&lns_lists, &version);
	__u64 source[2], destination[2];
	const struct lns_rule6 *r;
	__u32 count, i = 0;
	int permit = 0;

	if (!list || (void *)(ip + 1) > packet_end(ctx))
		return 0;
	__builtin_memcpy(source, &ip->saddr, sizeof(source));
	__builtin_memcpy(destination, &ip->daddr, sizeof(destination));
	count = payload & PAYLOAD_UNREADABLE ? 0 : list->count6;
	for (; i < LNS_RULES && i < count; i++) {
		r = &list->rules6[i];
		if (((source[0] ^ net_word(r->source)) & net_word(r->source_mask)) |
		    ((source[1] ^ net_word(r->source + 8)) & net_word(r->source_mask + 8)) |
		    ((destination[0] ^ net_word(r->destination)) & net_word(r->destination_mask)) |
		    ((destination[1] ^ net_word(r->destination + 8)) & net_word(r->destination_mask + 8)) |
		    mismatch(&r->rest, payload))
			continue;
		permit = r->rest.flags & LNS_RULE_PERMIT;
		count_rule(version, LNS_RULES + 1 + i);
		return permit;
	}
	count_rule(version, LNS_RULES + 1 + list->count6);
	return 0;
}

/* Judges the packet at byte at of the frame, in which at lies, by the list of its
 * session s in slot. */
static __always_inline enum lns_reason filter(struct xdp_md *ctx, const struct lns_session *s,
					      __u32 slot, __u32 at, int up)
{
	__u32 index = up ? s->filter_up : s->filter_down;
	__u64 *current = bpf_map_lookup_elem(&lns_filters, &index);
	__u32 version = current ? *current : 0;
	__u8 *first = packet_start(ctx) + at;
	int permit = 0;

	if (version && (void *)(first + 1) <= packet_end(ctx)) {
		if (*first >> 4 == 6)
			permit = permits6(ctx, version, at, find_payload6(ctx, at));
		else
			permit = permits4(ctx, version, at, find_payload4(ctx, at));
	}
	if (permit)
		return LNS_CONTINUE;
	count_drop(slot, up, LNS_CAUSE_POLICY);
	return LNS_DROP_FILTER;
}

#endif
