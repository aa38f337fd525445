/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fast path of the L2TP network server: one program on every attached
 * device, whichever way its packets go.
 *
 *	frame ─► port ─► IPv4 ─► UDP to a socket of ours ─► uplink
 *	                      └► a subscriber's address  ─► downlink
 *	                      └► anything else           ─► the kernel
 *	               └► IPv6 ─► to an address of ours ────► uplink
 *	                      └► in a subscriber's prefix ─► downlink
 *
 * Whatever is not forwarded here is passed to the kernel as it came, which hands
 * it to the slow path, or dropped; either way one reason is counted for it. Where
 * data from LACs is spread over CPUs (spread.h), that happens on the CPU it is for.
 */
#include "downlink.h"
#include "downlink6.h"
#include "local.h"
#include "spread.h"
#include "uplink.h"
#include "uplink6.h"
#include "uplink_outer6.h"

/* The interface that the kernel would receive on. */
static __always_inline struct lns_port *find_port(const struct lns_where *where)
{
	__u32 index = where->device % LNS_DOORS;
	struct lns_door *door = bpf_map_lookup_elem(&lns_doors, &index);

	if (door && door->where.device == where->device && door->where.vlan[0] == where->vlan[0] &&
	    door->where.vlan[1] == where->vlan[1])
		return &door->port;
	return bpf_map_lookup_elem(&lns_ingress, where);
}

static __always_inline int same_mac(const __u8 *a, const __u8 *b)
{
	return *(const __u32 *)a == *(const __u32 *)b &&
	       *(const __u16 *)(a + 4) == *(const __u16 *)(b + 4);
}

/* Reads Ethernet and makes sure that the kernel would take the frame in on an
 * interface of ours. */
static __always_inline enum lns_reason enter(struct frame *f)
{
	struct lns_where where = { .device = f->ctx->ingress_ifindex };
	struct lns_port *port;
	struct ethhdr *eth;

	eth = take_ethernet(&f->at, where.vlan, LNS_TAGS, &f->protocol);
	if (!eth || (f->protocol != ETH_P_IP && f->protocol != ETH_P_IPV6))
		return LNS_PASS_NOT_IP;
	port = find_port(&where);
	if (!port)
		return LNS_PASS_PORT;
	if (!same_mac(eth->h_dest, port->mac))
		return LNS_PASS_OTHER_HOST;
	f->l2_len = distance(packet_start(f->ctx), f->at.pos);
	f->ifindex = port->ifindex;
	f->vrf = port->vrf;
	return LNS_CONTINUE;
}

/* Judges an IPv4 packet; the cursor stands before it. Out of line, so that enum
 * lns_reason is part of a prototype and with it of the BTF, where tools find the
 * names. */
static __noinline enum lns_reason judge(struct frame *f)
{
	struct sender who = {};
	struct udphdr *udp;

	f->ip = take_ipv4(&f->at);
	if (!f->ip)
		return LNS_PASS_MALFORMED;
	if (f->ip->protocol == IPPROTO_UDP) {
		if (has_options(f->ip) || is_fragment(f->ip)) {
			/* Without ports at hand the address decides; the
			 * socket gets it once the kernel has dealt with it. */
			if (is_local(f->ip->daddr, 0)) {
				who.addr = f->ip->saddr;
				if (!is_lac(&who))
					return LNS_DROP_LAC;
				return has_options(f->ip) ? LNS_PUNT_OPTIONS : LNS_PUNT_FRAGMENT;
			}
		} else {
			udp = take(&f->at, sizeof(*udp));
			if (udp && is_local(f->ip->daddr, bpf_ntohs(udp->dest)))
				return uplink(f, udp);
		}
	}
	return downlink(f);
}

SEC("xdp")
int lns_xdp(struct xdp_md *ctx)
{
	__u32 frame_len = packet_len(ctx);
	struct frame f = {
		.ctx = ctx,
		.at = {
			.pos = packet_start(ctx),
			.end = packet_end(ctx),
			.left = frame_len,
		},
	};
	enum lns_reason reason = LNS_CONTINUE;

	if (spread == LNS_SPREAD_HAND && hand_over(ctx))
		return XDP_REDIRECT; /* counted where it is judged */
	if (spread == LNS_SPREAD_TAKE)
		count_taken();
	if (buffers == LNS_BUFFERS_LEFT && frame_len > first_buffer(ctx))
		reason = LNS_PUNT_BUFFERS;
	if (!reason)
		reason = enter(&f);

	if (!reason && f.protocol == ETH_P_IPV6)
		reason = outer6 && is_ours6(&f) ? uplink_outer6(&f) : downlink6(&f);
	else if (!reason)
		reason = judge(&f);
	if (f.session) /* IPv6 in a tunnel */
		reason = uplink6(&f);
	count_reason(reason, frame_len);
	return verdict(reason);
}

char _license[] SEC("license") = "Dual BSD/GPL";
