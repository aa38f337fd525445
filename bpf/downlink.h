/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* To the subscriber: a packet for its address, encapsulated and sent to the
 * peer. */
#ifndef LNS_DOWNLINK_H
#define LNS_DOWNLINK_H

#include "counters.h"
#include "ecn.h"
#include "l2tp.h"
#include "mss6.h"
#include "nexthop.h"
#include "outer6.h"
#include "path.h"
#include "sequence.h"
#include "service.h"

/* A downlink packet of a known session. */
struct downlink {
	struct lns_path *path;
	__u32 place; /* of the path */
	__u32 len;   /* of the packet that becomes the inner one */
	__u32 outer; /* bytes from the outer IPv4 header to the PPP protocol */
};

/* Longest headers from the outer IPv4 to the PPP protocol: IPv4, UDP, L2TP with
 * Length, Ns and Nr, FF 03 and a two-byte protocol. */
#define OUTER_MAX (sizeof(struct iphdr) + sizeof(struct udphdr) + 12 + 4)

/* Bytes from the outer IP header to the PPP protocol. */
static __always_inline __u32 outer_len(__u32 flags)
{
	return sizeof(struct iphdr) + (outer6 ? bytes_if(flags, LNS_OUTER6, OUTER6_EXTRA) : 0) +
	       sizeof(struct udphdr) + /* flags and ids */ 6 +
	       bytes_if(flags, LNS_LENGTH, 2) + bytes_if(flags, LNS_SEQUENCE, 4) +
	       bytes_if(flags, LNS_ADDR_CONTROL, 2) + 2 - bytes_if(flags, LNS_PFC, 1);
}

/* Whether any prefix is routed to a subscriber. */
static __always_inline int any_routes(void)
{
	__u32 first = 0;
	struct lns_facts *facts = bpf_map_lookup_elem(&lns_live, &first);

	return facts && facts->routes;
}

/* Whether addr belongs to a subscriber, as its own address or in a prefix. */
static __always_inline int is_subscriber(__u32 vrf, __be32 addr)
{
	return host_place(vrf, addr) >= 0 || (any_routes() && routed_slot(vrf, addr));
}

/* Finds the session that a packet to addr (network order) is for. */
static __always_inline enum lns_reason find_subscriber(__u32 vrf, __be32 addr,
						       struct downlink *down)
{
	int place = host_place(vrf, addr);
	int own = place >= 0;
	struct lns_path *p;
	__u32 slot = 0;
	__u32 *found;

	if (!own) {
		found = any_routes() ? routed_slot(vrf, addr) : NULL;
		if (!found)
			return LNS_PASS_NOT_OURS;
		slot = *found;
		place = slot_place(slot);
	}
	down->place = place;
	p = downlink_path(place);
	/* What is not in the main table is not sent from here: which of the others
	 * it is does not matter. */
	if (!p || !is_open(p) || !(p->flags & LNS_VRF) != !vrf ||
	    (own ? addr_word(p->address) != addr : p->slot != slot))
		return LNS_PUNT_CLOSED;
	down->path = p;
	return LNS_CONTINUE;
}

/* Makes sure that the packet may be sent to the subscriber from here. */
static __always_inline enum lns_reason check_downlink(const struct frame *f, struct downlink *down)
{
	const struct lns_path *s = down->path;

	if (s->flags & LNS_VRF)
		return LNS_PUNT_VRF;
	if (is_numbered_elsewhere(s->flags))
		return LNS_PUNT_SEQUENCE;
	if (s->flags & LNS_GARDEN)
		return LNS_PUNT_GARDEN;
	if (has_options(f->ip))
		return LNS_PUNT_OPTIONS;
	if (!ipv4_checksum_valid(f->ip))
		return LNS_PASS_MALFORMED;
	if (is_martian(f->ip->saddr))
		return LNS_PUNT_MARTIAN;
	if (f->ip->ttl <= 1)
		return LNS_PUNT_TTL;
	down->len = bpf_ntohs(f->ip->tot_len);
	if (down->len > s->mtu)
		return LNS_PUNT_TOO_BIG;
	down->outer = outer_len(s->flags);
	return LNS_CONTINUE;
}

/* Finds the next hop of the outer packet. */
static __always_inline enum lns_reason route_outer(const struct frame *f,
						   const struct downlink *down, struct nexthop *hop)
{
	const struct lns_path *s = down->path;
	__be32 peer = addr_word(s->peer);
	struct bpf_fib_lookup *fib;

	if (over_ipv6(s->flags))
		return route_outer6(f, s, down->outer + down->len, hop);
	if (known_nexthop(f, hop, peer, 0, down->outer + down->len))
		return LNS_CONTINUE;
	fib = new_question(f, AF_INET);
	if (!fib)
		return LNS_PUNT_FIB;
	fib->l4_protocol = IPPROTO_UDP;
	fib->sport = bpf_htons(s->local_port);
	fib->dport = bpf_htons(s->peer_port);
	fib->tot_len = down->outer + down->len;
	fib->ipv4_src = addr_word(s->local);
	fib->ipv4_dst = peer;
	return ask_nexthop(f, hop, fib);
}

/* The TOS of the outer packet. Its ECN bits are 0, not ECN-capable, unless
 * decapsulation at the other end is known to obey RFC 6040. */
static __always_inline __u8 outer_tos(const struct lns_path *s, const struct iphdr *inner)
{
	__u8 tos, mask = 0;

	if (!(s->flags & (LNS_COPY_DSCP | LNS_ECN)))
		return s->outer_tos;
	tos = inner->version == 6 ? traffic_class((const void *)inner) : inner->tos;
	if (s->flags & LNS_COPY_DSCP)
		mask |= DSCP_MASK;
	if (s->flags & LNS_ECN)
		mask |= ECN_MASK;
	return (tos & mask) | (s->outer_tos & ~mask);
}

/* Writes the outer IPv4 header. */
static __always_inline void write_ipv4(struct iphdr *ip, const struct lns_path *s, __u32 total,
				       __u8 tos)
{
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = tos;
	ip->tot_len = bpf_htons(total);
	/* A datagram that may be fragmented needs an id of its own; for one that
	 * may not it has no meaning (RFC 6864 section 4). */
	if (s->flags & LNS_DONT_FRAGMENT) {
		ip->id = 0;
		ip->frag_off = bpf_htons(IP_DONT_FRAGMENT);
	} else {
		ip->id = bpf_get_prandom_u32();
		ip->frag_off = 0;
	}
	ip->ttl = outer_ttl;
	ip->protocol = IPPROTO_UDP;
	ip->saddr = addr_word(s->local);
	ip->daddr = addr_word(s->peer);
	ip->check = 0;
	ip->check = ~sum_ipv4(ip);
}

/* Writes the L2TP header from pos on and returns what follows it; message is the
 * L2TP message's length. The caller has made sure of room for the longest. */
static __always_inline void *write_l2tp(void *pos, const struct lns_path *s, __u32 message)
{
	enum lns_flag flags = s->flags;
	__u16 *word = pos;

	*word++ = bpf_htons(L2TP_VERSION | (flags & LNS_LENGTH ? L2TP_LENGTH : 0) |
			    (flags & LNS_SEQUENCE ? L2TP_SEQUENCE : 0));
	if (flags & LNS_LENGTH)
		*word++ = bpf_htons(message);
	*word++ = bpf_htons(s->peer_tunnel_id);
	*word++ = bpf_htons(s->peer_session_id);
	if (flags & LNS_SEQUENCE) {
		*word++ = bpf_htons(next_ns(s->slot));
		*word++ = 0; /* Nr is reserved in data messages (section 3.1) */
	}
	return word;
}

/* Writes what stands before an IP packet in a PPP frame; protocol is PPP's number
 * for it. */
static __always_inline void write_ppp(void *pos, enum lns_flag flags, __u8 protocol)
{
	__u16 *word = pos;
	__u8 *byte;

	if (flags & LNS_ADDR_CONTROL)
		*word++ = bpf_htons(PPP_ADDRESS << 8 | PPP_CONTROL);
	byte = (void *)word;
	if (!(flags & LNS_PFC))
		*byte++ = 0;
	*byte = protocol;
}

/* Writes IP, UDP and L2TP headers from byte at on, and returns what follows them, or
 * NULL; total is the length of the IP packet. The UDP checksum is left zero. */
static __always_inline void *write_headers(struct xdp_md *ctx, __u32 at, const struct lns_path *s,
					   __u32 total, __u8 tos)
{
	void *start = packet_start(ctx) + at;
	struct udphdr *udp;
	__u32 datagram;

	if (over_ipv6(s->flags)) {
		if (start + OUTER_MAX + OUTER6_EXTRA > packet_end(ctx) || write_ipv6(start, s, total, tos))
			return NULL;
		datagram = total - sizeof(struct ipv6hdr);
		udp = start + sizeof(struct ipv6hdr);
	} else {
		if (start + OUTER_MAX > packet_end(ctx))
			return NULL;
		write_ipv4(start, s, total, tos);
		datagram = total - sizeof(struct iphdr);
		udp = start + sizeof(struct iphdr);
	}
	udp->source = bpf_htons(s->local_port);
	udp->dest = bpf_htons(s->peer_port);
	udp->len = bpf_htons(datagram);
	udp->check = 0;
	return write_l2tp(udp + 1, s, datagram - sizeof(*udp));
}

/* Writes the outer UDP checksum where the session has one; at is where the outer IP
 * header begins, total the packet's length. Negative on failure. */
static __always_inline int seal(struct xdp_md *ctx, const struct lns_path *s, __u32 at, __u32 total)
{
	__u32 v6 = over_ipv6(s->flags);
	__u32 header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	if (!v6 && !(s->flags & LNS_UDP_CHECKSUM))
		return 0;
	if (is_scattered(ctx, at, total))
		return write_scattered_checksum(ctx, at, total - header, v6);
	return v6 ? write_udp_checksum6(ctx, at, total - header) : write_udp_checksum(ctx, at, total - header);
}

/*
 * Writes everything between Ethernet and the inner packet of len bytes, and what
 * changes in the inner packet; at is where the outer IP header begins, place that of
 * the path. Negative on failure. Not static for the verifier's sake (see write_udp_checksum).
 */
__noinline int write_outer(struct xdp_md *ctx, __u32 place, __u32 at, __u32 len)
{
	const struct lns_path *s = bpf_map_lookup_elem(&lns_downlinks, &place);
	struct iphdr *inner;
	__u8 protocol = PPP_IPV4;
	__u8 tos;
	__u32 outer;
	void *ppp;

	if (!s)
		return -1;
	at &= FRAME_OFFSET_MASK;
	outer = outer_len(s->flags);
	inner = packet_start(ctx) + at + outer;
	if ((void *)(inner + 1) > packet_end(ctx))
		return -1;
	tos = outer_tos(s, inner);
	if (inner->version == 6) {
		protocol = PPP_IPV6;
		((struct ipv6hdr *)inner)->hop_limit--;
	} else {
		decrement_ttl(inner);
	}
	ppp = write_headers(ctx, at, s, outer + len, tos);
	if (!ppp)
		return -1;
	write_ppp(ppp, s->flags, protocol);
	if (s->clamp_mss && protocol == PPP_IPV6)
		clamp_mss6(ctx, at + outer, s->clamp_mss);
	else if (s->clamp_mss)
		clamp_mss(ctx, at + outer, s->clamp_mss);
	return seal(ctx, s, at, outer + len);
}

/* What becomes of an IPv4 packet from another subscriber besides. */
struct crossing {
	__u16 max_mss; /* largest MSS in SYN segments, 0: leave alone */
	__u8 ecn;      /* ECN field that the packet came in with, 0: leave alone */
};

/* Does so; at is where the packet begins. Negative on failure. */
static __always_inline int cross(struct xdp_md *ctx, __u32 at, const struct crossing *crossing)
{
	struct iphdr *ip = packet_start(ctx) + (at & FRAME_OFFSET_MASK);

	if ((void *)(ip + 1) > packet_end(ctx))
		return -1;
	if (crossing->ecn)
		mark_ipv4(ip, crossing->ecn);
	if (crossing->max_mss)
		clamp_mss(ctx, at, crossing->max_mss);
	return 0;
}

/* Makes room, writes the outer headers and sends the packet, which begins at byte
 * at of the frame; crossing is NULL for one that no subscriber sent. */
static __always_inline enum lns_reason send_down(struct xdp_md *ctx, __u32 at,
						 const struct downlink *down,
						 const struct nexthop *hop,
						 const struct crossing *crossing)
{
	int grow = hop->way->l2_len + down->outer - at;

	if (bpf_xdp_adjust_head(ctx, -grow))
		return LNS_PUNT_HEADROOM;
	/* The packet is changed from here on: any failure is a drop. */
	if ((crossing && cross(ctx, hop->way->l2_len + down->outer, crossing)) ||
	    cut_after(ctx, hop->way->l2_len + down->outer + down->len) ||
	    write_outer(ctx, down->place, hop->way->l2_len, down->len) ||
	    write_ethernet(ctx, hop, outer_ethertype(down->path->flags)) || !redirect(hop)) {
		count_drop(down->path->slot, 0, LNS_CAUSE_OUTPUT);
		return LNS_DROP_OUTPUT;
	}
	return LNS_SENT_DOWN;
}

/* Judges a packet that is not for one of our sockets. */
static __always_inline enum lns_reason downlink(const struct frame *f)
{
	struct downlink down = {};
	struct nexthop hop = {};
	enum lns_reason reason;

	reason = find_subscriber(f->vrf, f->ip->daddr, &down);
	if (!reason)
		reason = check_downlink(f, &down);
	if (!reason)
		reason = route_outer(f, &down, &hop);
	if (!reason)
		reason = serve_down(f->ctx, down.path->flags, down.path->slot, f->l2_len, down.len);
	if (!reason)
		reason = send_down(f->ctx, f->l2_len, &down, &hop, NULL);
	if (reason == LNS_SENT_DOWN)
		count_path(down.path, down.len, hop.now);
	else if (down.path)
		capture_end(f, down.path->flags, down.path->slot, reason, 0);
	return reason;
}

#endif
