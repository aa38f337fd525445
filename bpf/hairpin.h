/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From one subscriber to another: decapsulated and encapsulated in one go.
 *
 * Subscribers' addresses are routed to the slow path's TUN device, so that a
 * packet for one of them is found out by its route and no other packet pays for
 * the question. A route that leads elsewhere is obeyed: the operator's own.
 */
#ifndef LNS_HAIRPIN_H
#define LNS_HAIRPIN_H

#include "downlink.h"
#include "service.h"

/* Whether the policy forbids a packet from one subscriber to destination. Asked
 * before routing, which is no part of the rule; costs nothing where all is allowed. */
static __always_inline int hairpin_denied(__u32 vrf, __be32 destination)
{
	return hairpin == LNS_HAIRPIN_DENY && is_subscriber(vrf, destination);
}

/* Finds the session that the inner packet ip is for, and makes sure that it may be
 * sent there from here. The packet itself was checked on its way up. */
static __always_inline enum lns_reason find_other(const struct iphdr *ip, struct downlink *down)
{
	enum lns_reason reason = find_subscriber(0, ip->daddr, down);
	const struct lns_path *s = down->path;

	if (reason == LNS_PASS_NOT_OURS)
		return LNS_PUNT_FOREIGN;
	if (reason)
		return reason;
	if (is_numbered_elsewhere(s->flags))
		return LNS_PUNT_SEQUENCE;
	if (s->flags & LNS_GARDEN)
		return LNS_PUNT_GARDEN;
	down->len = bpf_ntohs(ip->tot_len);
	if (down->len > s->mtu)
		return LNS_PUNT_TOO_BIG;
	down->outer = outer_len(s->flags);
	return LNS_CONTINUE;
}

/* Judges a decapsulated packet, of a session in the main routing table, whose
 * route leads to none of our ports. SYN segments obey the MSS of from, its session,
 * too; tos is that of the packet that it came in. */
static __always_inline enum lns_reason send_across(const struct frame *f, const struct iphdr *ip,
						   const struct lns_path *from, __u8 tos,
						   struct nexthop *hop)
{
	struct crossing crossing = {
		.max_mss = from->clamp_mss,
		.ecn = from->flags & LNS_ECN ? tos & ECN_MASK : 0,
	};
	__u32 at = distance(packet_start(f->ctx), ip);
	struct downlink down = {};
	enum lns_reason reason;

	if (hairpin != LNS_HAIRPIN_ALLOW)
		return LNS_PUNT_FOREIGN;
	reason = find_other(ip, &down);
	if (reason)
		return reason;
	reason = route_outer(f, &down, hop);
	if (reason)
		return reason;
	reason = serve_up(f->ctx, from->flags, from->slot, ip, down.len);
	if (!reason)
		reason = serve_down(f->ctx, down.path->flags, down.path->slot, at, down.len);
	if (reason)
		return reason;
	reason = send_down(f->ctx, at, &down, hop, &crossing);
	if (reason != LNS_SENT_DOWN)
		return reason;
	count_path(down.path, down.len, hop->now);
	return LNS_SENT_HAIRPIN;
}

#endif
