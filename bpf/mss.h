/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TCP MSS clamping: a SYN may not announce more than the session carries, since
 * too-big messages get lost on many paths.
 */
#ifndef LNS_MSS_H
#define LNS_MSS_H

#include "checksum.h"

#define TCP_OPT_END 0
#define TCP_OPT_NOP 1
#define TCP_OPT_MSS 2
#define TCP_MSS_LEN 4
#define TCP_OPTIONS_MAX 40

/* Lowers the MSS at pos to max_mss and mends the TCP checksum, whose words it
 * straddles when it lies at an odd offset from the header. */
static __always_inline void lower_mss(struct tcphdr *tcp, __u8 *pos, int odd, __u16 max_mss)
{
	__u16 old = pos[0] << 8 | pos[1];

	if (old <= max_mss)
		return;
	pos[0] = max_mss >> 8;
	pos[1] = max_mss & 0xFF;
	if (odd) /* a sum with all bytes swapped is the swapped sum (RFC 1071) */
		replace_in_checksum(&tcp->check, old, max_mss);
	else
		replace_in_checksum(&tcp->check, bpf_htons(old), bpf_htons(max_mss));
}

/* A walk through TCP options, copied from the packet: the verifier follows it
 * with far less work than through the packet itself. */
struct mss_search {
	__u8 options[TCP_OPTIONS_MAX];
	__u32 len; /* of the options */
	__u32 at;  /* of the option to look at next */
	__u32 mss; /* of the MSS option, 0 for none: kind and length precede it */
};

/* Looks at one option; 1 ends the walk. */
static long find_mss(__u32 step __attribute__((unused)), struct mss_search *search)
{
	__u32 at = search->at;
	__u8 kind, len;

	if (at > TCP_OPTIONS_MAX - TCP_MSS_LEN || at + TCP_MSS_LEN > search->len)
		return 1;
	kind = search->options[at];
	len = search->options[at + 1];
	if (kind == TCP_OPT_NOP) {
		search->at = at + 1;
		return 0;
	}
	if (kind == TCP_OPT_MSS && len == TCP_MSS_LEN)
		search->mss = at + 2;
	if (kind == TCP_OPT_MSS || kind == TCP_OPT_END || len < 2)
		return 1;
	search->at = at + len;
	return 0;
}

/* Clamps the MSS in the TCP segment, of room bytes, at byte at of the frame.
 * Anything but a whole TCP header with SYN is left alone. */
static __always_inline void clamp_tcp(struct xdp_md *ctx, __u32 at, __u32 room, __u32 max_mss)
{
	struct mss_search search = {};
	void *end = packet_end(ctx);
	struct tcphdr *tcp = packet_start(ctx) + at;
	__u8 *options = (void *)(tcp + 1);
	__u32 len;

	if ((void *)options > end || !tcp->syn)
		return;
	len = tcp->doff * 4U;
	if (len <= sizeof(*tcp) || len > room)
		return;
	search.len = len - sizeof(*tcp);
	if (search.len > TCP_OPTIONS_MAX ||
	    bpf_xdp_load_bytes(ctx, at + sizeof(*tcp), search.options, search.len))
		return;
	bpf_loop(TCP_OPTIONS_MAX, find_mss, &search, 0);
	if (!search.mss || search.mss > TCP_OPTIONS_MAX - 2)
		return;
	options += search.mss;
	if ((void *)(options + 2) <= end)
		lower_mss(tcp, options, search.mss & 1, max_mss);
}

/*
 * Clamps the MSS in the IPv4 packet, which has no options, at byte at of the
 * frame. Fragments are left alone: the first might end within the options.
 * Returns 0; not static for the verifier's sake (see write_udp_checksum).
 */
__noinline int clamp_mss(struct xdp_md *ctx, __u32 at, __u32 max_mss)
{
	struct iphdr *ip;

	at &= FRAME_OFFSET_MASK;
	ip = packet_start(ctx) + at;
	if ((void *)(ip + 1) > packet_end(ctx) || ip->protocol != IPPROTO_TCP || is_fragment(ip))
		return 0;
	clamp_tcp(ctx, at + sizeof(*ip), bpf_ntohs(ip->tot_len) - sizeof(*ip), max_mss);
	return 0;
}

#endif
