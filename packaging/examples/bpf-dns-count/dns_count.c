/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counts the DNS questions of each session, by UDP over IPv4 and IPv6:
 *
 *	clang -O2 -g -target bpf -mcpu=v3 -c dns_count.c -o dns_count.o
 *	lnsctl hook load up dns_count.o
 *	bpftool map dump pinned /sys/fs/bpf/lnsd/hook_up_dns_questions
 *
 * A hook needs no header of lnsd's. -g is needed: the kernel compares prototypes.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Questions by session number (SID). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 20);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u64);
} dns_questions SEC(".maps");

/* The UDP header, or NULL. Fragments and extension headers are not looked into. */
static __always_inline struct udphdr *find_udp(void *packet, void *end)
{
	struct ipv6hdr *ip6 = packet;
	struct iphdr *ip = packet;

	if ((void *)(ip + 1) > end)
		return NULL;
	if (ip->version == 4) {
		if (ip->protocol != IPPROTO_UDP || ip->frag_off & bpf_htons(0x1fff))
			return NULL;
		return packet + ip->ihl * 4;
	}
	if ((void *)(ip6 + 1) > end || ip6->nexthdr != IPPROTO_UDP)
		return NULL;
	return (void *)(ip6 + 1);
}

SEC("lns_hook")
int count_dns(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len)
{
	void *end = (void *)(long)ctx->data_end;
	struct udphdr *udp = find_udp((void *)(long)ctx->data + (at & 0x3fff), end);
	__u64 *count, one = 1;

	if (!udp || (void *)(udp + 1) > end || udp->dest != bpf_htons(53))
		return 0;
	count = bpf_map_lookup_elem(&dns_questions, &slot);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&dns_questions, &slot, &one, BPF_NOEXIST);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
