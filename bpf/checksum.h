/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Internet checksums (RFC 1071, RFC 1624). Sums are taken over 16-bit words as
 * they lie in memory, so no byte is swapped on the way.
 */
#ifndef LNS_CHECKSUM_H
#define LNS_CHECKSUM_H

#include "frame.h"

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xFFFFFFFF) + (sum >> 32);
	sum = (sum & 0xFFFFFFFF) + (sum >> 32);
	sum = (sum & 0xFFFF) + (sum >> 16);
	sum = (sum & 0xFFFF) + (sum >> 16);
	return sum;
}

/* The sum of a 20-byte IPv4 header, 0xFFFF when its checksum is right. */
static __always_inline __u16 sum_ipv4(const struct iphdr *ip)
{
	const __u32 *word = (const void *)ip;

	return fold((__u64)word[0] + word[1] + word[2] + word[3] + word[4]);
}

/* Checks the header checksum of an IPv4 header without options, as a router
 * must (RFC 1812 section 5.2.2). */
static __always_inline int ipv4_checksum_valid(const struct iphdr *ip)
{
	return sum_ipv4(ip) == 0xFFFF;
}

/* Puts new for old into a checksum (RFC 1624 section 3, equation 3). */
static __always_inline void replace_in_checksum(__sum16 *check, __u16 old, __u16 new)
{
	*check = ~fold((__u64)(__u16)~*check + (__u16)~old + new);
}

/* Takes one off the time to live. */
static __always_inline void decrement_ttl(struct iphdr *ip)
{
	__u16 *word = (__u16 *)&ip->ttl; /* TTL and protocol */
	__u16 old = *word;

	ip->ttl--;
	replace_in_checksum(&ip->check, old, *word);
}

/* The largest datagram whose checksum is written, bytes. */
#define CHECKSUM_MAX 9216

/* Bytes are summed in constant chunks, since the verifier must see each access
 * in bounds: large ones, as large as bpf_csum_diff takes (up to Linux 6.12),
 * then smaller ones. What is left over is copied to the stack, which the callers
 * leave little of. */
#define LARGE_CHUNK 512
#define MIDDLE_CHUNK 128
#define SMALL_CHUNK 32

/* Adds the next whole chunks of size, a constant, of which there are at most
 * most, as long as something is left behind them. */
#define SUM_CHUNKS(size, most)                                                 \
	for (__u32 i = 0; i < (most) && left > (size); i++) {                 \
		if (pos + (size) > end)                                        \
			return -1;                                             \
		sum = bpf_csum_diff(NULL, 0, pos, (size), sum);                \
		pos += (size);                                                 \
		left -= (size);                                                \
	}

/* Sums len bytes from byte at on, which are not all in the first buffer, as
 * sum_bytes does. */
static __always_inline __s64 sum_buffers(struct xdp_md *ctx, __u32 at, __u32 len, __u32 seed)
{
	__u32 first = 0;
	struct lns_chunk *chunk = bpf_map_lookup_elem(&lns_chunks, &first);
	__s64 sum = seed;

	if (!chunk)
		return -1;
	for (__u32 i = 0; i < CHECKSUM_MAX / LARGE_CHUNK && len > LARGE_CHUNK; i++) {
		if (bpf_xdp_load_bytes(ctx, at, chunk, LARGE_CHUNK))
			return -1;
		sum = bpf_csum_diff(NULL, 0, (void *)chunk, LARGE_CHUNK, sum);
		at += LARGE_CHUNK;
		len -= LARGE_CHUNK;
	}
	/* After the loop: zeros are stored by many instructions, which the verifier
	 * would walk each time round. Never nothing is left, see sum_bytes. */
	__builtin_memset(chunk, 0, sizeof(*chunk));
	if (bpf_xdp_load_bytes(ctx, at, chunk, (len - 1) % LARGE_CHUNK + 1))
		return -1;
	sum = bpf_csum_diff(NULL, 0, (void *)chunk, LARGE_CHUNK, sum);
	return fold((__u32)sum);
}

/*
 * Sums len bytes, at least one, of the packet from byte at on, starting from the
 * partial sum seed. Returns the folded sum, or a negative number where the bytes
 * are not all there.
 */
static __always_inline __s64 sum_bytes(struct xdp_md *ctx, __u32 at, __u32 len, __u32 seed)
{
	__u8 rest[SMALL_CHUNK + 4] = {};
	void *end = packet_end(ctx);
	void *pos = packet_start(ctx) + at;
	__u32 left = len;
	__s64 sum = seed;

	SUM_CHUNKS(LARGE_CHUNK, CHECKSUM_MAX / LARGE_CHUNK)
	SUM_CHUNKS(MIDDLE_CHUNK, LARGE_CHUNK / MIDDLE_CHUNK)
	SUM_CHUNKS(SMALL_CHUNK, MIDDLE_CHUNK / SMALL_CHUNK)
	/* What is left goes through a buffer of zeros, for bpf_csum_diff wants
	 * a multiple of 4 bytes. It is never nothing: the verifier of Linux 6.1
	 * does not learn from a comparison that a length is not zero. */
	left = (len - 1) % SMALL_CHUNK + 1;
	if (bpf_xdp_load_bytes(ctx, at + len - left, rest, left))
		return -1;
	sum = bpf_csum_diff(NULL, 0, (void *)rest, (left + 3) & ~3U, sum);
	return fold((__u32)sum);
}

/*
 * Writes the checksum (RFC 768) of the UDP datagram, of len bytes, behind the
 * IPv4 header, without options, at byte at of the packet. The checksum field
 * must be zero. Negative on failure.
 *
 * Not static: the verifier checks such a function once by itself, and not again
 * with each state that its caller can be in.
 */
__noinline int write_udp_checksum(struct xdp_md *ctx, __u32 at, __u32 len)
{
	struct iphdr *ip;
	struct udphdr *udp;
	__u64 pseudo;
	__s64 sum;

	if (len < sizeof(*udp) || len > CHECKSUM_MAX)
		return -1;
	at &= FRAME_OFFSET_MASK;
	ip = packet_start(ctx) + at;
	udp = (void *)(ip + 1);
	if ((void *)(udp + 1) > packet_end(ctx))
		return -1;
	pseudo = (__u64)ip->saddr + ip->daddr + bpf_htons(IPPROTO_UDP) + bpf_htons(len);
	sum = sum_bytes(ctx, at + sizeof(*ip), len, fold(pseudo));
	if (sum < 0)
		return -1;
	/* A computed zero is sent as all ones; zero means none. */
	udp->check = sum == 0xFFFF ? 0xFFFF : ~sum;
	return 0;
}

#endif
