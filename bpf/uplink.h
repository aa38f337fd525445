/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From the subscriber: a datagram for one of our sockets, decapsulated and
 * routed on.
 *
 * The outer UDP checksum is not verified: summing every byte costs more than all
 * the rest, the ids and addresses it covers are checked against the session, and
 * the inner packet has checksums of its own.
 */
#ifndef LNS_UPLINK_H
#define LNS_UPLINK_H

#include "echo.h"
#include "ecn.h"
#include "hairpin.h"
#include "service.h"
#include "shield.h"

/* An uplink packet of a known session. */
struct uplink {
	struct lns_path *path;
	struct iphdr *ip; /* inner */
	__u32 len;      /* of the inner packet */
	struct lns_call call;
	__u32 protocol; /* PPP's number for what the frame carries */
	__u8 tos;       /* outer */
};

/* Whether the datagram comes from the session's peer, address and port, to the
 * address and port that the session is served on: they never change in the life
 * of a tunnel (RFC 2661 section 8.1), and nothing else tells one LAC's data from
 * a stranger's. */
static __always_inline int from_peer(const struct lns_path *s, const struct iphdr *ip,
				     const struct udphdr *udp)
{
	return ip->saddr == addr_word(s->peer) && udp->source == bpf_htons(s->peer_port) &&
	       ip->daddr == addr_word(s->local) && udp->dest == bpf_htons(s->local_port);
}

/* Finds the session that the message at the cursor names. */
static __always_inline enum lns_reason find_session(struct frame *f, struct uplink *up)
{
	enum lns_reason reason = take_l2tp(&f->at, &up->call);
	struct lns_path *s;

	if (reason)
		return reason;
	/* Data may overtake the end of the set-up: the daemon holds it. */
	s = uplink_path(&up->call);
	if (!s)
		return LNS_PUNT_UNKNOWN;
	if (!is_open(s) || !is_of_call(s, &up->call))
		return LNS_PUNT_CLOSED;
	up->path = s;
	return LNS_CONTINUE;
}

/* Makes sure that a message may be served here, whose sender is the peer or not and
 * whose L2TP header begins at byte l2tp. */
static __always_inline enum lns_reason may_serve(const struct frame *f, const struct uplink *up,
						 int from_peer, __u32 l2tp)
{
	const struct lns_path *s = up->path;
	enum lns_reason reason;

	if (!from_peer) {
		count_drop(up->path->slot, 1, LNS_CAUSE_PEER);
		return LNS_DROP_PEER;
	}
	if (s->flags & LNS_VRF)
		return LNS_PUNT_VRF;
	if (!(s->flags & LNS_SEQUENCE))
		return LNS_CONTINUE;
	if (is_numbered_elsewhere(s->flags))
		return LNS_PUNT_SEQUENCE;
	/* Before it is known what the frame is, since what is punted has its place
	 * in the sequence too. */
	reason = judge_sequence(f->ctx, up->path->slot, l2tp);
	if (reason)
		count_drop(up->path->slot, 1, LNS_CAUSE_MALFORMED);
	return reason;
}

/* Whether addr is the subscriber's own or lies in a prefix routed to it. A
 * session without an IPv4 address has 0.0.0.0, which is nobody's. */
static __always_inline int owns_source(const struct uplink *up, __be32 addr)
{
	const struct lns_path *s = up->path;
	__u32 *slot;

	if (is_martian(addr))
		return 0;
	if (addr == addr_word(s->address))
		return 1;
	if (!(s->flags & LNS_ROUTED))
		return 0;
	slot = routed_slot(0, addr);
	return slot && *slot == up->path->slot;
}

/* Reads the inner IPv4 header and makes sure that the packet may be routed on. */
static __always_inline enum lns_reason check_inner(struct frame *f, struct uplink *up)
{
	struct iphdr *ip = take_ipv4(&f->at);

	if (!ip || (!has_options(ip) && !ipv4_checksum_valid(ip))) {
		count_drop(up->path->slot, 1, LNS_CAUSE_MALFORMED);
		return LNS_DROP_MALFORMED;
	}
	if (!owns_source(up, ip->saddr)) {
		count_drop(up->path->slot, 1, LNS_CAUSE_SOURCE);
		return LNS_DROP_SOURCE;
	}
	if (hairpin_denied(0, ip->daddr)) {
		count_drop(up->path->slot, 1, LNS_CAUSE_POLICY);
		return LNS_DROP_HAIRPIN;
	}
	if (up->path->flags & LNS_GARDEN)
		return LNS_PUNT_GARDEN;
	if (has_options(ip))
		return LNS_PUNT_OPTIONS;
	if (is_martian(ip->daddr))
		return LNS_PUNT_MARTIAN;
	if (ip->ttl <= 1)
		return LNS_PUNT_TTL;
	if (up->path->flags & LNS_ECN && ecn_lost(up->tos, ip->tos)) {
		count_drop(up->path->slot, 1, LNS_CAUSE_MALFORMED);
		return LNS_DROP_ECN;
	}
	up->ip = ip;
	up->len = bpf_ntohs(ip->tot_len);
	return LNS_CONTINUE;
}

/* Judges a frame of PPP itself: most are the daemon's. */
static __always_inline enum lns_reason ppp_control(const struct frame *f, const struct uplink *up,
						   struct nexthop *hop)
{
	enum lns_reason reason = LNS_PUNT_PPP_CONTROL;

	/* A capture shows them, which the daemon sees alone. */
	if (up->protocol == PPP_LCP && (up->path->flags & (LNS_ECHO | LNS_CAPTURE)) == LNS_ECHO)
		reason = answer_echo(f, up->path->slot, hop);
	return reason == LNS_PUNT_PPP_CONTROL ? (enum lns_reason)judge_ppp(up->path->slot) : reason;
}

/* Finds the next hop. */
static __always_inline enum lns_reason route_inner(const struct frame *f, const struct uplink *up,
						   struct nexthop *hop)
{
	struct cursor at = f->at;
	const struct iphdr *ip = up->ip;
	struct bpf_fib_lookup *fib;
	__be16 *ports;

	if (known_nexthop(f, hop, ip->daddr, ip->tos, up->len))
		return LNS_CONTINUE;
	fib = new_question(f, AF_INET);
	if (!fib)
		return LNS_PUNT_FIB;
	fib->l4_protocol = ip->protocol;
	fib->tos = ip->tos;
	fib->tot_len = up->len;
	fib->ipv4_src = ip->saddr;
	fib->ipv4_dst = ip->daddr;
	if (!is_fragment(ip) && (ip->protocol == IPPROTO_UDP || ip->protocol == IPPROTO_TCP)) {
		ports = take(&at, 2 * sizeof(*ports));
		if (ports) {
			fib->sport = ports[0];
			fib->dport = ports[1];
		}
	}
	return ask_nexthop(f, hop, fib);
}

/* Turns the frame into the inner packet on its next link and sends it. Writes
 * from the first line on: any failure is a drop. */
static __always_inline enum lns_reason send_up(struct xdp_md *ctx, const struct uplink *up,
					       const struct nexthop *hop)
{
	__u32 at = distance(packet_start(ctx), up->ip);
	__u16 max_mss = up->path->clamp_mss;

	decrement_ttl(up->ip);
	if (up->path->flags & LNS_ECN)
		mark_ipv4(up->ip, up->tos);
	if (max_mss)
		clamp_mss(ctx, at, max_mss);
	if (bpf_xdp_adjust_head(ctx, (int)(at - hop->way->l2_len)) || cut_after(ctx, hop->way->l2_len + up->len) ||
	    write_ethernet(ctx, hop, ETH_P_IP) || !redirect(hop)) {
		count_drop(up->path->slot, 1, LNS_CAUSE_OUTPUT);
		return LNS_DROP_OUTPUT;
	}
	return LNS_SENT_UP;
}

/* Judges the PPP frame at the cursor. LNS_CONTINUE for IPv6, which is uplink6's. */
static __always_inline enum lns_reason forward_frame(struct frame *f, struct uplink *up)
{
	struct nexthop hop = {};
	enum lns_reason reason = take_ppp(&f->at, &up->protocol);

	if (reason == LNS_PUNT_PPP_CONTROL)
		return ppp_control(f, up, &hop);
	if (!reason)
		reason = check_inner(f, up);
	else if (reason == LNS_DROP_L2TP)
		count_drop(up->path->slot, 1, LNS_CAUSE_MALFORMED);
	else if (up->protocol == PPP_IPV6 && up->path->flags & LNS_IPV6) {
		f->slot = up->path->slot;
		f->session = bpf_map_lookup_elem(&lns_sessions, &f->slot);
		f->tos = up->tos;
		return f->session ? LNS_CONTINUE : LNS_PUNT_CLOSED;
	}
	if (!reason)
		reason = route_inner(f, up, &hop);
	if (reason == LNS_PUNT_FOREIGN)
		reason = send_across(f, up->ip, up->path, up->tos, &hop);
	else if (!reason)
		reason = serve_up(f->ctx, up->path->flags, up->path->slot, up->ip, up->len);
	if (!reason)
		reason = send_up(f->ctx, up, &hop);
	if (reason == LNS_SENT_UP || reason == LNS_SENT_HAIRPIN)
		count_path(up->path, up->len, hop.now);
	else
		capture_end(f, up->path->flags, up->path->slot, reason, CAPTURE_UP | CAPTURE_OUTER);
	return reason;
}

/* Judges a datagram for one of our sockets; the cursor stands behind udp.
 * LNS_CONTINUE as forward_frame. */
static __always_inline enum lns_reason uplink(struct frame *f, const struct udphdr *udp)
{
	struct uplink up = { .tos = f->ip->tos };
	__u32 len = bpf_ntohs(udp->len);
	__u32 l2tp = distance(packet_start(f->ctx), f->at.pos);
	enum lns_reason reason;

	if (len < sizeof(*udp) || len - sizeof(*udp) > f->at.left || !ipv4_checksum_valid(f->ip))
		return LNS_PASS_MALFORMED;
	f->at.left = len - sizeof(*udp);
	reason = find_session(f, &up);
	if (reason)
		return shield(f, udp, up.call.tunnel_id, reason);
	reason = may_serve(f, &up, from_peer(up.path, f->ip, udp), l2tp);
	if (!reason)
		return forward_frame(f, &up);
	capture_end(f, up.path->flags, up.path->slot, reason, CAPTURE_UP | CAPTURE_OUTER);
	return reason;
}

#endif
