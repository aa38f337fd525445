/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counts the packets of a stream by receive queue, keeps every so many of them in
 * full, and drops them. Everything else goes on to the kernel.
 *
 * There are two entries that do the same: by XDP for frames that a forwarder
 * redirects, by TCX for those that come as socket buffers, which XDP would have
 * to copy first; the copying would count against the forwarder.
 */
#include "kernel.h"

/* What is_ours looks at. */
#define HEAD_LEN (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr) + 2)
#define QUEUES 64
#define FRAME_MAX 1536

/* UDP destination port of the stream's packets, network order. */
const volatile __be16 port = 0;
/* L2TP data in frames of this length or more is the stream's: PPP's own packets
 * are shorter. */
const volatile __u32 least = 0;
/* One of so many packets is kept; 0 keeps none. */
const volatile __u32 every = 0;

struct tally {
	__u64 packets;
	__u64 bytes;
	__u64 next; /* packet to keep */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, QUEUES);
	__type(key, __u32);
	__type(value, struct tally);
} rx_tally SEC(".maps");

struct sample {
	__u32 len;
	__u32 queue;
	__u8 frame[FRAME_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} rx_samples SEC(".maps");

/* Whether the frame belongs to the stream. */
static __always_inline int is_ours(void *data, void *end, __u32 len)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__be16 *flags = (void *)(udp + 1);

	if ((void *)(flags + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_UDP)
		return 0;
	if (udp->dest == port)
		return 1;
	return udp->source == bpf_htons(L2TP_PORT) && !(*flags & bpf_htons(L2TP_CONTROL)) && len >= least;
}

/* Counts the packet; true when it is one to keep. */
static __always_inline int count(__u32 queue, __u32 len)
{
	struct tally *t;

	queue %= QUEUES;
	t = bpf_map_lookup_elem(&rx_tally, &queue);
	if (!t)
		return 0;
	t->packets++;
	t->bytes += len;
	if (!every || t->packets < t->next)
		return 0;
	t->next = t->packets + every;
	return 1;
}

/* Keeps a frame of len bytes, which load reads from ctx. */
#define KEEP(ctx, rxq, frame_len, load)                                                   \
	do {                                                                              \
		struct sample *s = bpf_ringbuf_reserve(&rx_samples, sizeof(*s), 0);       \
		__u32 size = (frame_len);                                                 \
		if (!s)                                                                   \
			break;                                                            \
		s->len = size;                                                            \
		s->queue = (rxq);                                                         \
		if (size > 0 && size <= FRAME_MAX && load(ctx, 0, s->frame, size) == 0)   \
			bpf_ringbuf_submit(s, BPF_RB_NO_WAKEUP);                          \
		else                                                                      \
			bpf_ringbuf_discard(s, BPF_RB_NO_WAKEUP);                         \
	} while (0)

SEC("xdp")
int receive_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u64 len = end - data;

	if (!is_ours(data, end, len))
		return XDP_PASS;
	if (count(ctx->rx_queue_index, len))
		KEEP(ctx, ctx->rx_queue_index, len, bpf_xdp_load_bytes);
	return XDP_DROP;
}

SEC("tcx/ingress")
int receive_skb(struct __sk_buff *skb)
{
	void *data, *end;

	/* Of a datagram that the kernel has cut from a bundle only the headers up to
	 * UDP's are where data points. */
	if (bpf_skb_pull_data(skb, skb->len < HEAD_LEN ? skb->len : HEAD_LEN))
		return TCX_NEXT;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;

	if (!is_ours(data, end, skb->len))
		return TCX_NEXT;
	/* A recorded queue counts from 1. */
	if (count(skb->queue_mapping ? skb->queue_mapping - 1 : 0, skb->len))
		KEEP(skb, skb->queue_mapping, skb->len, bpf_skb_load_bytes);
	return TCX_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
