/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* To the subscriber: an IPv6 packet for an address of its prefixes, encapsulated
 * and sent to the peer. */
#ifndef LNS_DOWNLINK6_H
#define LNS_DOWNLINK6_H

#include "downlink.h"
#include "ipv6.h"

/* Whether prefixes other than /64 belong to subscribers. */
static __always_inline int any_routes6(void)
{
	__u32 first = 0;
	struct lns_facts *facts = bpf_map_lookup_elem(&lns_live, &first);

	return facts && facts->routes6;
}

/* Finds the session that the packet is for. A /64 that is a subscriber's own is
 * so as a whole: longer prefixes in it are not looked for. */
static __always_inline enum lns_reason find_subscriber6(const struct frame *f, const struct ipv6hdr *ip,
							struct downlink *down)
{
	__u32 slot = net6_slot(f->vrf, &ip->daddr);
	int own = slot != 0;
	struct lns_session *s;
	__u32 *found;

	if (!own) {
		found = any_routes6() ? routed6_slot(f->vrf, &ip->daddr) : NULL;
		if (!found)
			return LNS_PASS_NOT_OURS;
		slot = *found;
	}
	s = bpf_map_lookup_elem(&lns_sessions, &slot);
	if (!s || s->state != LNS_OPEN || s->vrf != f->vrf ||
	    (own && net_word(s->net6) != net_word(&ip->daddr)))
		return LNS_PUNT_CLOSED;
	down->place = slot_place(slot);
	down->path = downlink_path(down->place);
	if (!down->path || !is_open(down->path) || down->path->slot != slot)
		return LNS_PUNT_CLOSED;
	return LNS_CONTINUE;
}

/* Makes sure that the packet may be sent to the subscriber from here. */
static __always_inline enum lns_reason check_downlink6(const struct ipv6hdr *ip, struct downlink *down)
{
	const struct lns_path *s = down->path;

	if (s->flags & LNS_VRF)
		return LNS_PUNT_VRF;
	if (is_numbered_elsewhere(s->flags))
		return LNS_PUNT_SEQUENCE;
	if (s->flags & LNS_GARDEN)
		return LNS_PUNT_GARDEN;
	if (has_hop_by_hop(ip))
		return LNS_PUNT_OPTIONS;
	if (is_link_scope(&ip->saddr))
		return LNS_PUNT_LINK_LOCAL;
	if (is_martian6(&ip->saddr))
		return LNS_PUNT_MARTIAN;
	if (ip->hop_limit <= 1)
		return LNS_PUNT_TTL;
	down->len = ipv6_len(ip);
	if (down->len > s->mtu)
		return LNS_PUNT_TOO_BIG;
	down->outer = outer_len(s->flags);
	return LNS_CONTINUE;
}

/* Judges an IPv6 packet; the cursor stands before it. */
static __noinline enum lns_reason downlink6(struct frame *f)
{
	struct ipv6hdr *ip = take_ipv6(&f->at);
	struct downlink down = {};
	struct nexthop hop = {};
	enum lns_reason reason;

	if (!ip)
		return LNS_PASS_MALFORMED;
	reason = find_subscriber6(f, ip, &down);
	if (!reason)
		reason = check_downlink6(ip, &down);
	if (!reason)
		reason = route_outer(f, &down, &hop);
	if (!reason)
		reason = serve_down(f->ctx, down.path->flags, down.path->slot, f->l2_len, down.len);
	if (!reason)
		reason = send_down(f->ctx, f->l2_len, &down, &hop, NULL);
	if (reason == LNS_SENT_DOWN)
		count_flow6(down.path->slot, 0, down.len, hop.now);
	return reason;
}

#endif
