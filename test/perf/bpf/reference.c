/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What lnsd is measured against: a redirect between the two sides that looks at
 * nothing, and the least that any L2TP network server on XDP has to do for a
 * packet: parse, look up one session in one hash table, add or remove 40 bytes of
 * headers, ask the kernel for the next hop, redirect. It checks nothing that
 * security or accounting would want, knows one header layout, and counts nothing.
 */
#include "kernel.h"

struct l2tp_ppp {
	__be16 flags;
	__be16 len;
	__be16 tunnel_id;
	__be16 session_id;
	__be16 addr_control;
	__be16 protocol;
};

struct outer {
	struct iphdr ip;
	struct udphdr udp;
	struct l2tp_ppp l2tp;
};
_Static_assert(sizeof(struct outer) == 40, "the headers of a data packet");

/* Ids and addresses in network order. */
struct ref_call {
	__be16 tunnel_id;
	__be16 session_id;
};

struct ref_session {
	__be16 tunnel_id; /* the peer's */
	__be16 session_id;
	__be32 local;
	__be32 peer;
	__be16 peer_port;
	__u16 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536); /* more at load, for more sessions */
	__type(key, struct ref_call);
	__type(value, struct ref_session);
} ref_calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __be32);
	__type(value, struct ref_session);
} ref_hosts SEC(".maps");

/* A cache line of a session. */
struct ref_line {
	__u64 closed;
	__u64 packets;
	__u64 bytes;
	__u64 pad[5];
};
_Static_assert(sizeof(struct ref_line) == 64, "ref_line");

/* Mappable only to be aligned. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load: line_count */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct ref_line);
} ref_lines SEC(".maps");

/* Lines, and the lowest address of a subscriber (host order). */
const volatile __u32 line_count = 1;
const volatile __u32 first_address = 0;

/* As lnsd spreads ids. */
#define CALL_MIX 0x9E3779B1U

/* Devices by interface index; for the plain redirect, the other side's. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} ref_devices SEC(".maps");

/* Sends the packet, which begins with room for Ethernet, as its IPv4 header says. */
static __always_inline int route(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct bpf_fib_lookup fib = { .family = AF_INET, .ifindex = ctx->ingress_ifindex };

	if ((void *)(ip + 1) > end)
		return XDP_DROP;
	fib.l4_protocol = ip->protocol;
	fib.tot_len = bpf_ntohs(ip->tot_len);
	fib.tos = ip->tos;
	fib.ipv4_src = ip->saddr;
	fib.ipv4_dst = ip->daddr;
	if (bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) != BPF_FIB_LKUP_RET_SUCCESS)
		return XDP_DROP;
	__builtin_memcpy(eth->h_dest, fib.dmac, sizeof(eth->h_dest));
	__builtin_memcpy(eth->h_source, fib.smac, sizeof(eth->h_source));
	eth->h_proto = bpf_htons(ETH_P_IP);
	return bpf_redirect_map(&ref_devices, fib.ifindex, XDP_DROP);
}

/* One off the TTL: the word of TTL and protocol, so the checksum grows by 1 in its
 * high byte. */
static __always_inline void decrement_ttl(struct iphdr *ip)
{
	__u32 check = ip->check + bpf_htons(0x0100);

	ip->check = check + (check >= 0xFFFF);
	ip->ttl--;
}

static __always_inline int decapsulate(struct xdp_md *ctx, struct outer *o)
{
	struct ref_call key = { o->l2tp.tunnel_id, o->l2tp.session_id };
	struct iphdr *inner = (void *)(o + 1);

	if (o->l2tp.flags != bpf_htons(0x4002) || o->l2tp.addr_control != bpf_htons(0xFF03) ||
	    o->l2tp.protocol != bpf_htons(0x0021))
		return XDP_PASS;
	if ((void *)(inner + 1) > (void *)(long)ctx->data_end || !bpf_map_lookup_elem(&ref_calls, &key))
		return XDP_PASS;
	decrement_ttl(inner);
	if (bpf_xdp_adjust_head(ctx, sizeof(*o)))
		return XDP_DROP;
	return route(ctx);
}

static __always_inline int encapsulate(struct xdp_md *ctx, struct iphdr *ip)
{
	__u32 len = bpf_ntohs(ip->tot_len) + sizeof(struct outer);
	struct ref_session *s = bpf_map_lookup_elem(&ref_hosts, &ip->daddr);
	struct ethhdr *eth;
	struct outer *o;

	if (!s)
		return XDP_PASS;
	decrement_ttl(ip);
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*o)))
		return XDP_DROP;
	eth = (void *)(long)ctx->data;
	o = (void *)(eth + 1);
	if ((void *)(o + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	o->ip = (struct iphdr){
		.version = 4, .ihl = 5, .tot_len = bpf_htons(len), .frag_off = bpf_htons(0x4000),
		.ttl = 64, .protocol = IPPROTO_UDP, .saddr = s->local, .daddr = s->peer,
	};
	o->ip.check = ~fold((__u64)bpf_htons(0x4500) + bpf_htons(len) + bpf_htons(0x4000) +
			    bpf_htons(64 << 8 | IPPROTO_UDP) + words(s->local) + words(s->peer));
	len -= sizeof(o->ip);
	o->udp = (struct udphdr){
		.source = bpf_htons(L2TP_PORT), .dest = s->peer_port, .len = bpf_htons(len),
	};
	o->l2tp = (struct l2tp_ppp){
		.flags = bpf_htons(0x4002), .len = bpf_htons(len - sizeof(o->udp)),
		.tunnel_id = s->tunnel_id, .session_id = s->session_id,
		.addr_control = bpf_htons(0xFF03), .protocol = bpf_htons(0x0021),
	};
	return route(ctx);
}

SEC("xdp")
int reference(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct outer *o = (void *)(eth + 1);

	if ((void *)(&o->ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || o->ip.ihl != 5)
		return XDP_PASS;
	if (o->ip.protocol == IPPROTO_UDP && (void *)(o + 1) <= end &&
	    o->udp.dest == bpf_htons(L2TP_PORT))
		return decapsulate(ctx, o);
	return encapsulate(ctx, &o->ip);
}

SEC("xdp")
int plain(struct xdp_md *ctx)
{
	return bpf_redirect_map(&ref_devices, ctx->ingress_ifindex, XDP_DROP);
}

/* The line of the session that a packet is of, NULL for none. No two sessions that are
 * measured share one, as long as lnsd's do not. */
static __always_inline struct ref_line *line_of(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct outer *o = (void *)(eth + 1);
	__u32 place;

	if ((void *)(&o->ip + 1) > end)
		return NULL;
	place = bpf_ntohl(o->ip.daddr) - first_address;
	if (o->ip.protocol == IPPROTO_UDP && (void *)(o + 1) <= end && o->udp.dest == bpf_htons(L2TP_PORT)) {
		place = (__u32)bpf_ntohs(o->l2tp.tunnel_id) << 16 | bpf_ntohs(o->l2tp.session_id);
		place = (__u64)(place * CALL_MIX) * line_count >> 32;
	}
	return bpf_map_lookup_elem(&ref_lines, &place);
}

/* The plain redirect that reads a line of the packet's session, and counts there. */
SEC("xdp")
int touch(struct xdp_md *ctx)
{
	struct ref_line *line = line_of(ctx);

	if (!line || line->closed)
		return XDP_PASS;
	__sync_fetch_and_add(&line->packets, 1);
	__sync_fetch_and_add(&line->bytes, ctx->data_end - ctx->data);
	return bpf_redirect_map(&ref_devices, ctx->ingress_ifindex, XDP_DROP);
}

char _license[] SEC("license") = "Dual BSD/GPL";
