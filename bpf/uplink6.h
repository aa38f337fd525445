/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From the subscriber: an IPv6 packet of a known session, routed on. */
#ifndef LNS_UPLINK6_H
#define LNS_UPLINK6_H

#include "counters.h"
#include "downlink6.h"
#include "ecn.h"
#include "ipv6.h"
#include "mss6.h"
#include "nexthop.h"
#include "shield.h"
#include "service.h"

/* Whether addr is in the subscriber's own /64 or in a prefix delegated to it, and
 * not in another's /64 within that. */
static __always_inline int owns_source6(const struct lns_session *s, __u32 slot,
					const struct in6_addr *addr)
{
	__u32 own, *owner;

	if (is_martian6(addr))
		return 0;
	if (net_word(addr) == net_word(s->net6))
		return 1;
	if (!(s->flags & LNS_ROUTED6))
		return 0;
	own = net6_slot(s->vrf, addr);
	if (own)
		return own == slot;
	owner = routed6_slot(s->vrf, addr);
	return owner && *owner == slot;
}

/* As hairpin_denied. What is allowed goes by the slow path. */
static __always_inline int hairpin6_denied(__u32 vrf, const struct in6_addr *destination)
{
	return hairpin == LNS_HAIRPIN_DENY &&
	       (net6_slot(vrf, destination) || (any_routes6() && routed6_slot(vrf, destination)));
}

/*
 * Makes sure that the packet may be routed on. What a subscriber says on its
 * link (neighbour and router discovery, DHCPv6) comes from fe80::/10 or ::, or
 * goes to such an address or a multicast one: that is for the daemon, and never
 * forwarded. Any other source must be the subscriber's, whatever it sends to. tos
 * is the outer one.
 */
static __always_inline enum lns_reason check_inner6(const struct lns_session *s, __u32 slot,
						    const struct ipv6hdr *ip, __u8 tos)
{
	int nobody = is_martian6(&ip->saddr) && net_word(&ip->saddr.in6_u.u6_addr8[8]) == 0;
	int link = is_link_scope(&ip->daddr);

	if (!is_link_scope(&ip->saddr) && !(nobody && link) && !owns_source6(s, slot, &ip->saddr)) {
		count_drop(slot, 1, LNS_CAUSE_SOURCE);
		return LNS_DROP_SOURCE;
	}
	if (hairpin6_denied(s->vrf, &ip->daddr)) {
		count_drop(slot, 1, LNS_CAUSE_POLICY);
		return LNS_DROP_HAIRPIN;
	}
	if (link || is_link_scope(&ip->saddr))
		return LNS_PUNT_LINK_LOCAL;
	if (s->flags & LNS_GARDEN)
		return LNS_PUNT_GARDEN;
	if (has_hop_by_hop(ip))
		return LNS_PUNT_OPTIONS;
	if (is_martian6(&ip->daddr))
		return LNS_PUNT_MARTIAN;
	if (ip->hop_limit <= 1)
		return LNS_PUNT_TTL;
	if (s->flags & LNS_ECN && ecn_lost(tos, traffic_class(ip))) {
		count_drop(slot, 1, LNS_CAUSE_MALFORMED);
		return LNS_DROP_ECN;
	}
	return LNS_CONTINUE;
}

/* Finds the next hop. */
static __always_inline enum lns_reason route_inner6(const struct frame *f, const struct ipv6hdr *ip,
						    struct nexthop *hop)
{
	struct cursor at = f->at;
	struct bpf_fib_lookup *fib = new_question(f, AF_INET6);
	__be16 *ports;

	unknown_nexthop(hop);
	if (!fib)
		return LNS_PUNT_FIB;
	fib->l4_protocol = ip->nexthdr;
	fib->flowinfo = *(const __be32 *)ip & bpf_htonl(IPV6_FLOWINFO_MASK);
	fib->tot_len = ipv6_len(ip);
	__builtin_memcpy(fib->ipv6_src, &ip->saddr, sizeof(fib->ipv6_src));
	__builtin_memcpy(fib->ipv6_dst, &ip->daddr, sizeof(fib->ipv6_dst));
	if (ip->nexthdr == IPPROTO_UDP || ip->nexthdr == IPPROTO_TCP) {
		ports = take(&at, 2 * sizeof(*ports));
		if (ports) {
			fib->sport = ports[0];
			fib->dport = ports[1];
		}
	}
	return ask_nexthop(f, hop, fib);
}

/* Turns the frame into the inner packet, of len bytes, on its next link and
 * sends it. Writes from the first line on: any failure is a drop. */
static __always_inline int send_up6(struct xdp_md *ctx, const struct lns_session *s,
				    struct ipv6hdr *ip, __u32 len, __u8 tos, const struct nexthop *hop)
{
	__u32 at = distance(packet_start(ctx), ip);

	ip->hop_limit--;
	if (s->flags & LNS_ECN)
		mark_ipv6(ip, tos);
	if (s->clamp_mss)
		clamp_mss6(ctx, at, s->clamp_mss);
	return bpf_xdp_adjust_head(ctx, (int)(at - hop->way->l2_len)) || cut_after(ctx, hop->way->l2_len + len) ||
	       write_ethernet(ctx, hop, ETH_P_IPV6) || !redirect(hop);
}

/* Judges an IPv6 packet that f->session sent; the cursor stands before it. Out of
 * line, and not below IPv4's, since the stack is not deep enough for both. */
static __noinline enum lns_reason uplink6(struct frame *f)
{
	const struct lns_session *s = f->session;
	__u32 slot = f->slot;
	struct ipv6hdr *ip = take_ipv6(&f->at);
	struct nexthop hop = {};
	__u8 tos = f->tos;
	enum lns_reason reason;
	__u32 len;

	if (!ip) {
		count_drop(slot, 1, LNS_CAUSE_MALFORMED);
		return LNS_DROP_MALFORMED;
	}
	reason = check_inner6(s, slot, ip, tos);
	/* What a subscriber has for the daemon has the rate of PPP's own frames. */
	if (reason == LNS_PUNT_LINK_LOCAL && judge_ppp(slot) == LNS_DROP_PPP_RATE)
		return LNS_DROP_PPP_RATE;
	if (!reason)
		reason = route_inner6(f, ip, &hop);
	len = ipv6_len(ip);
	if (!reason)
		reason = serve_up(f->ctx, s->flags, slot, ip, len);
	if (reason)
		return reason;
	if (send_up6(f->ctx, s, ip, len, tos, &hop)) {
		count_drop(slot, 1, LNS_CAUSE_OUTPUT);
		return LNS_DROP_OUTPUT;
	}
	count_flow6(slot, 1, len, hop.now);
	return LNS_SENT_UP;
}

#endif
