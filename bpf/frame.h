/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef LNS_FRAME_H
#define LNS_FRAME_H

#include "maps.h"
#include "parsing.h"

/* Masks an offset into a frame, which no frame is large enough to change, and
 * thereby shows the verifier a bound. */
#define FRAME_OFFSET_MASK 0x3FFF

/* A received frame on its way to a verdict. Pointers into the packet are void
 * once the packet is moved. */
struct frame {
	struct xdp_md *ctx;
	struct cursor at;
	struct iphdr *ip; /* the first IPv4 header */
	__u32 l2_len;     /* Ethernet header and tags, bytes */
	__u32 ifindex;    /* interface that it came in on */
	__u32 vrf;        /* and that interface's routing table */
	__u16 protocol;   /* ethertype, host order */
	/* Set for IPv6 from a subscriber alone: the cursor stands before it. */
	__u8 tos; /* of the packet that it came in */
	__u32 slot;
	struct lns_session *session;
};

static __always_inline void *packet_start(const struct xdp_md *ctx)
{
	return (void *)(long)ctx->data;
}

static __always_inline void *packet_end(const struct xdp_md *ctx)
{
	return (void *)(long)ctx->data_end;
}

/*
 * The distance between two pointers into the packet. Kept in 64 bits: the
 * verifier refuses the 32-bit pointer arithmetic that the compiler would make
 * of it where the result is used as 32 bits.
 */
static __always_inline __u32 distance(const void *from, const void *to)
{
	__u64 bytes = to - from;

	asm volatile("" : "+r"(bytes));
	return bytes;
}

/* Bytes of the frame that are in its first buffer. */
static __always_inline __u32 first_buffer(const struct xdp_md *ctx)
{
	return distance(packet_start(ctx), packet_end(ctx));
}

static __always_inline __u32 packet_len(struct xdp_md *ctx)
{
	return buffers ? bpf_xdp_get_buff_len(ctx) : first_buffer(ctx);
}

/* Compares and copies addresses, which are bytes in maps and words in headers. */
static __always_inline __u32 addr_word(const __u8 *addr)
{
	__u32 word;

	__builtin_memcpy(&word, addr, sizeof(word));
	return word;
}

/* The bit of an address, in network order as it lies in memory, in lns_hints.locals
 * is addr * LOCAL_MIX >> LOCAL_SHIFT, a number below 64. */
#define LOCAL_MIX 0x9E3779B1U
#define LOCAL_SHIFT 26

/* The value of lns_hints; NULL never happens. */
static __always_inline const struct lns_hint *hints_now(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&lns_hints, &first);
}

/* The slot of the longest prefix that addr (network order) lies in, or NULL. */
static __always_inline __u32 *routed_slot(__u32 vrf, __be32 addr)
{
	struct lns_prefix key = {
		.prefixlen = LNS_PREFIX_VRF_BITS + 32,
		.vrf = vrf,
	};

	__builtin_memcpy(key.addr, &addr, sizeof(key.addr));
	return bpf_map_lookup_elem(&lns_routes, &key);
}

/* Cuts padding after len bytes of frame, or fails with a negative number. */
static __always_inline int cut_after(struct xdp_md *ctx, __u32 len)
{
	__u32 have = packet_len(ctx);

	return have > len ? bpf_xdp_adjust_tail(ctx, (int)len - (int)have) : 0;
}

#endif
