/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Hooks of the tests; see README of packaging/examples/bpf-dns-count for how to make them. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

SEC("lns_hook")
int nothing(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len)
{
	return 0;
}

SEC("lns_hook")
int drop(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len)
{
	return 1;
}

SEC("lns_hook")
int count(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len)
{
	__u64 *n = bpf_map_lookup_elem(&seen, &slot);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

SEC("lns_hook")
int count_too(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len)
{
	__u64 *n = bpf_map_lookup_elem(&seen, &slot);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

/* Reads what may not be there: the kernel refuses it. */
SEC("lns_hook")
int wild(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len)
{
	return *((char *)(long)ctx->data + at);
}

/* Of another prototype. */
SEC("lns_hook")
int other(struct xdp_md *ctx, __u32 slot)
{
	return 0;
}

/* Moves the packet away under its caller. */
SEC("lns_hook")
int mover(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len)
{
	return bpf_xdp_adjust_head(ctx, 4);
}

char _license[] SEC("license") = "Dual BSD/GPL";
