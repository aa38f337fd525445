/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From the subscriber, in IPv6.
 *
 * The UDP checksum, which IPv6 wants verified (RFC 8200 section 8.1), is verified
 * for what goes to the socket alone, by the kernel. What it protects against is
 * packets and ports that are delivered wrong: both addresses, both ports and the ids
 * are compared with the session's, and the inner packet has checksums of its own,
 * which is when a tunnel may do without (RFC 6936 section 3).
 */
#ifndef LNS_UPLINK_OUTER6_H
#define LNS_UPLINK_OUTER6_H

#include "uplink.h"

#define NEXTHDR_FRAGMENT 44

/* Whether the IPv6 packet at the cursor goes to an address of ours that L2TP is
 * received on. Out of line for the sake of its caller's stack. */
static __noinline int is_ours6(const struct frame *f)
{
	struct cursor at = f->at;
	const struct ipv6hdr *ip;

	ip = take(&at, sizeof(*ip));
	return ip && is_local6(&ip->daddr, 0);
}

/* As from_peer. */
static __always_inline int from_peer6(const struct lns_path *s, const struct ipv6hdr *ip,
				      const struct udphdr *udp)
{
	const struct lns_ends *ends = tunnel_ends(s->tunnel_id);

	return s->flags & LNS_OUTER6 && ends && same_addr6(ends->peer, &ip->saddr) &&
	       same_addr6(ends->local, &ip->daddr) && udp->source == bpf_htons(s->peer_port) &&
	       udp->dest == bpf_htons(s->local_port);
}

/* Judges what has no UDP header at hand. As in IPv4 the address decides. */
static __always_inline enum lns_reason without_ports(const struct ipv6hdr *ip)
{
	struct sender who = { .addr6 = &ip->saddr };

	if (ip->nexthdr != NEXTHDR_FRAGMENT && !has_hop_by_hop(ip))
		return LNS_PASS_NOT_OURS;
	if (!is_lac(&who))
		return LNS_DROP_LAC;
	return has_hop_by_hop(ip) ? LNS_PUNT_OPTIONS : LNS_PUNT_FRAGMENT;
}

/* Judges an IPv6 packet for one of our addresses; the cursor stands before it.
 * LNS_CONTINUE as forward_frame. */
static __noinline enum lns_reason uplink_outer6(struct frame *f)
{
	__u32 at = distance(packet_start(f->ctx), f->at.pos);
	struct ipv6hdr *ip = take_ipv6(&f->at);
	struct uplink up = {};
	struct udphdr *udp;
	enum lns_reason reason;
	__u32 len;

	if (!ip)
		return LNS_PASS_MALFORMED;
	if (ip->nexthdr != IPPROTO_UDP)
		return without_ports(ip);
	udp = take(&f->at, sizeof(*udp));
	if (!udp || !is_local6(&ip->daddr, bpf_ntohs(udp->dest)))
		return LNS_PASS_NOT_OURS;
	len = bpf_ntohs(udp->len);
	/* Without a checksum it is nothing that the kernel would deliver. */
	if (len < sizeof(*udp) || len - sizeof(*udp) > f->at.left || !udp->check)
		return LNS_PASS_MALFORMED;
	f->at.left = len - sizeof(*udp);
	up.tos = traffic_class(ip);
	reason = find_session(f, &up);
	if (reason)
		return shield6(f, at, up.call.tunnel_id, reason);
	reason = may_serve(f, &up, from_peer6(up.path, ip, udp),
			   at + sizeof(*ip) + sizeof(*udp));
	if (!reason)
		return forward_frame(f, &up);
	capture_end(f, up.path->flags, up.path->slot, reason, CAPTURE_UP | CAPTURE_OUTER);
	return reason;
}

#endif
