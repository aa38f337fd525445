/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * LCP Echo-Request, answered here so that the keepalives of idle lines cost the
 * daemon nothing. A session that is installed has its network layer up, hence LCP
 * Opened, the one state that answers (RFC 1661 section 5.8).
 */
#ifndef LNS_ECHO_H
#define LNS_ECHO_H

#include "downlink.h"

#define LCP_ECHO_REQUEST 9
#define LCP_ECHO_REPLY 10

/* An LCP Echo packet up to its data (RFC 1661 section 5.8). */
struct lcp_echo {
	__u8 code;
	__u8 id;
	__be16 length; /* from the code on */
	__be16 magic[2]; /* not aligned to more */
};
_Static_assert(sizeof(struct lcp_echo) == 8, "lcp_echo");

/* How LCP is framed: neither address and control nor the protocol is ever
 * compressed (RFC 1661 sections 6.5 and 6.6). */
static __always_inline __u32 lcp_framing(__u32 flags)
{
	return (flags | LNS_ADDR_CONTROL) & ~LNS_PFC;
}

/* Whether the Echo-Request may be answered here. What came back from a looped
 * line has our own number in it (RFC 1661 section 6.4): the daemon counts that. */
static __always_inline int answerable(const struct lcp_echo *lcp, const struct lns_session *s,
				      __u32 left)
{
	__u32 length = bpf_ntohs(lcp->length);
	__u32 magic = (__u32)bpf_ntohs(lcp->magic[0]) << 16 | bpf_ntohs(lcp->magic[1]);

	return lcp->code == LCP_ECHO_REQUEST && length >= sizeof(*lcp) && length <= left &&
	       length <= s->mtu && (!magic || magic != s->magic);
}

/*
 * Turns the Echo-Request behind the headers, of which len bytes are LCP's, into
 * the reply: Identifier and data stay, the magic number is ours (RFC 1661 section
 * 5.8). at is where the outer IP header begins. Negative on failure. Not static
 * for the verifier's sake (see write_udp_checksum).
 */
__noinline int write_echo(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len)
{
	const struct lns_session *session = bpf_map_lookup_elem(&lns_sessions, &slot);
	const struct lns_path *s;
	struct lcp_echo *lcp;
	__u32 outer;
	__u16 *word;

	s = downlink_path(slot_place(slot));
	if (!session || !s)
		return -1;
	at &= FRAME_OFFSET_MASK;
	outer = outer_len(lcp_framing(s->flags));
	lcp = packet_start(ctx) + at + outer;
	if ((void *)(lcp + 1) > packet_end(ctx))
		return -1;
	word = write_headers(ctx, at, s, outer + len, s->outer_tos);
	if (!word)
		return -1;
	word[0] = bpf_htons(PPP_ADDRESS << 8 | PPP_CONTROL);
	word[1] = bpf_htons(PPP_LCP);
	lcp->code = LCP_ECHO_REPLY;
	lcp->magic[0] = bpf_htons(session->magic >> 16);
	lcp->magic[1] = bpf_htons(session->magic & 0xFFFF);
	return seal(ctx, s, at, outer + len);
}

/* Notes that the subscriber's line lives, for the daemon, which sees nothing of
 * what is answered here. */
static __always_inline void note_echo(__u32 slot)
{
	struct lns_line *line = bpf_map_lookup_elem(&lns_lines, &slot);

	if (line)
		line->echo_seen = bpf_ktime_get_coarse_ns();
}

/* Makes the frame the reply and sends it. The cursor of f stands before LCP. */
static __always_inline enum lns_reason send_echo(const struct frame *f, const struct downlink *down,
						 const struct nexthop *hop)
{
	struct xdp_md *ctx = f->ctx;
	__u32 at = distance(packet_start(ctx), f->at.pos);

	if (bpf_xdp_adjust_head(ctx, (int)at - (int)(hop->way->l2_len + down->outer)))
		return LNS_PUNT_HEADROOM;
	if (cut_after(ctx, hop->way->l2_len + down->outer + down->len) ||
	    write_echo(ctx, down->path->slot, hop->way->l2_len, down->len) ||
	    write_ethernet(ctx, hop, outer_ethertype(down->path->flags)) || !redirect(hop)) {
		count_drop(down->path->slot, 0, LNS_CAUSE_OUTPUT);
		return LNS_DROP_OUTPUT;
	}
	note_echo(down->path->slot);
	return LNS_SENT_ECHO;
}

/* Judges an LCP frame of a session, which the cursor stands before. The reply goes
 * the way that the kernel's routes say, like any data to the peer. */
static __always_inline enum lns_reason answer_echo(const struct frame *f, __u32 slot,
						   struct nexthop *hop)
{
	const struct lns_session *s = bpf_map_lookup_elem(&lns_sessions, &slot);
	struct downlink down = {};
	struct cursor at = f->at;
	const struct lcp_echo *lcp = take(&at, sizeof(*lcp));
	enum lns_reason reason;

	down.path = downlink_path(slot_place(slot));
	if (!s || !down.path || !lcp || !answerable(lcp, s, f->at.left))
		return LNS_PUNT_PPP_CONTROL;
	down.len = bpf_ntohs(lcp->length);
	down.outer = outer_len(lcp_framing(s->flags));
	reason = route_outer(f, &down, hop);
	return reason ? reason : send_echo(f, &down, hop);
}

#endif
