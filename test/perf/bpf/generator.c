/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Makes each live frame of BPF_PROG_RUN the next packet of a stream and sends it
 * out of the device that the run names.
 *
 * The kernel uses a frame's page again as the last receiver left it, so all the
 * headers are written anew each time: a forwarder has changed them. Everything
 * that does not depend on the session is in head and in the partial sums.
 */
#include "kernel.h"

#define HEAD_WORDS 12

/* The first bytes of a frame, and how many words of 8 bytes there are. */
const volatile __u64 head[HEAD_WORDS] = {};
const volatile __u32 head_words = 0;
/* Offsets from the start of the frame. call_at 0: there is no L2TP header. */
const volatile __u32 call_at = 0;
const volatile __u32 addr_at = 0;
const volatile __u32 ip_check_at = 0;
const volatile __u32 udp_check_at = 0;
const volatile __u32 stamp_at = 0;
/* Sums of all that the checksums cover and this program does not write. */
const volatile __u32 ip_sum = 0;
const volatile __u32 udp_sum = 0;
/* How many entries of the table are used. */
const volatile __u32 sessions = 1;

/* One packet of the stream, in network order. */
struct gen_call {
	__be16 tunnel_id;
	__be16 session_id;
	__be32 addr;
	__u32 index; /* goes into the stamp */
};

/* What the payload begins with, so that a receiver knows what to expect. */
struct gen_stamp {
	__u32 index;
	__u32 seq;
};

/*
 * The sessions in the order in which they are sent. It is read from front to
 * back, so that the generator has no cache misses of its own however many there
 * are; the order in it is random.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct gen_call);
} gen_table SEC(".maps");

/* One thread generates at a time. */
__u32 cursor = 0;
__u32 seq = 0;

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct gen_stamp *stamp;
	struct gen_call *call;
	__u64 *to = data;
	__u32 at = cursor;

	cursor = at + 1 < sessions ? at + 1 : 0;
	call = bpf_map_lookup_elem(&gen_table, &at);
	if (!call || data + head_words * 8 > end)
		return XDP_ABORTED;
#pragma unroll
	for (__u32 i = 0; i < HEAD_WORDS; i++) {
		if (i < head_words)
			to[i] = head[i];
	}
	if (call_at) {
		*(__be16 *)(data + call_at) = call->tunnel_id;
		*(__be16 *)(data + call_at + 2) = call->session_id;
	}
	*(__be32 *)(data + addr_at) = call->addr;
	stamp = data + stamp_at;
	stamp->index = call->index;
	stamp->seq = seq++;
	*(__sum16 *)(data + ip_check_at) = ~fold((__u64)ip_sum + words(call->addr));
	*(__sum16 *)(data + udp_check_at) =
		~fold((__u64)udp_sum + words(call->addr) + words(stamp->index) + words(stamp->seq));
	return XDP_TX;
}

char _license[] SEC("license") = "Dual BSD/GPL";
