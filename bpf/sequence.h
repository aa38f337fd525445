/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Data sequence numbers (RFC 2661 section 5.4). A session has one sequence each
 * way, which PPP's own frames and the slow path share with what is forwarded here:
 * all of them count in lns_sequences.
 */
#ifndef LNS_SEQUENCE_H
#define LNS_SEQUENCE_H

#include "frame.h"
#include "l2tp.h"

/* Tries of an update that races with other CPUs. */
#define SEQUENCE_TRIES 8

/* Whether the session's sequence is counted elsewhere than in lns_sequences, so
 * that all its data is left to the slow path. */
static __always_inline int is_numbered_elsewhere(__u32 flags)
{
	return (flags & (LNS_SEQUENCE | LNS_NUMBERED)) == LNS_SEQUENCE;
}

/* The next number to send. */
static __always_inline __u16 next_ns(__u32 slot)
{
	struct lns_sequence *seq = bpf_map_lookup_elem(&lns_sequences, &slot);

	return seq ? __sync_fetch_and_add(&seq->send, 1) : 0;
}

/*
 * Judges the data message of the session in slot whose L2TP header begins at byte
 * at. One that is behind another, or another's copy, is late; a gap is loss. The
 * 32768 numbers below the next expected one are the past (section 5.8). One without
 * a number has no place in the sequence. Not static for the verifier's sake (see
 * write_udp_checksum).
 */
__noinline int judge_sequence(struct xdp_md *ctx, __u32 slot, __u32 at)
{
	struct lns_sequence *seq = bpf_map_lookup_elem(&lns_sequences, &slot);
	const __u16 *word;
	__u32 flags, was;
	__s16 ahead;

	at &= FRAME_OFFSET_MASK;
	word = packet_start(ctx) + at;
	if (!seq || (void *)(word + 1) > packet_end(ctx))
		return LNS_CONTINUE;
	flags = bpf_ntohs(*word);
	if (!(flags & L2TP_SEQUENCE))
		return LNS_CONTINUE;
	word += 3 + bytes_if(flags, L2TP_LENGTH, 1); /* flags and ids */
	if ((void *)(word + 1) > packet_end(ctx))
		return LNS_DROP_L2TP;
	for (int i = 0; i < SEQUENCE_TRIES; i++) {
		was = *(volatile __u32 *)&seq->expect;
		ahead = bpf_ntohs(*word) - (__u16)was;
		if (ahead < 0)
			return LNS_DROP_LATE;
		if (__sync_val_compare_and_swap(&seq->expect, was, was + ahead + 1) == was)
			return LNS_CONTINUE;
	}
	return LNS_DROP_LATE; /* others have gone by meanwhile */
}

#endif
