/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the measuring programs use of the kernel's user-space ABI beyond the types
 * of the product's program, and the few things that they share. */
#ifndef PERF_KERNEL_H
#define PERF_KERNEL_H

#include "vmlinux.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define AF_INET 2
#define ETH_P_IP 0x0800
#define IPPROTO_UDP 17
#define L2TP_PORT 1701
#define L2TP_CONTROL 0x8000

enum {
	BPF_MAP_TYPE_DEVMAP = 14,
	BPF_RB_NO_WAKEUP = 1,
	TCX_NEXT = -1,
	TCX_DROP = 2,
};

/* The start of the kernel's structure, as far as it is read here. */
struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto;
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u32 tc_index;
	__u32 cb[5];
	__u32 hash;
	__u32 tc_classid;
	__u32 data;
	__u32 data_end;
};

/* Folds a sum of 16-bit words, taken as they lie in memory (RFC 1071). */
static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xFFFFFFFF) + (sum >> 32);
	sum = (sum & 0xFFFF) + (sum >> 16);
	sum = (sum & 0xFFFF) + (sum >> 16);
	sum = (sum & 0xFFFF) + (sum >> 16);
	return sum;
}

/* The two words of a 32-bit number. */
static __always_inline __u32 words(__u32 v)
{
	return (v & 0xFFFF) + (v >> 16);
}

#endif
