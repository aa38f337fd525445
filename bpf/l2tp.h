/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The L2TP data header (RFC 2661 section 3.1) and the start of a PPP frame. */
#ifndef LNS_L2TP_H
#define LNS_L2TP_H

#include "maps.h"
#include "parsing.h"

#define L2TP_CONTROL 0x8000  /* T */
#define L2TP_LENGTH 0x4000   /* L */
#define L2TP_SEQUENCE 0x0800 /* S */
#define L2TP_OFFSET 0x0200   /* O */
#define L2TP_VERSION_MASK 0x000F
#define L2TP_VERSION 2

/* No header is longer, without offset padding; all bits below the highest. */
#define L2TP_HEADER_MASK 0xF

/* Offset padding beyond this cannot be in a frame that XDP gets; the bound is
 * for the verifier. */
#define L2TP_OFFSET_MAX 8191

#define PPP_ADDRESS 0xFF
#define PPP_CONTROL 0x03
#define PPP_IPV4 0x0021
#define PPP_IPV6 0x0057
#define PPP_LCP 0xC021
/* Protocol numbers from here on are network and link control (RFC 1661
 * section 2). */
#define PPP_FIRST_CONTROL 0x8000

/* Returns bytes where flag, one bit, is set in flags, else 0, without a branch. */
static __always_inline __u32 bytes_if(__u32 flags, __u32 flag, __u32 bytes)
{
	return (flags & flag) / flag * bytes;
}

/*
 * Reads the header of an L2TP message up to the PPP frame, and narrows the
 * cursor to the message's Length. Only the ids are wanted: sequence numbers count
 * where a session requires them, see judge_sequence.
 *
 * The places of the fields are computed from the flags, without a branch for
 * each optional one: eight paths in one, to run and for the verifier to walk.
 */
static __always_inline enum lns_reason take_l2tp(struct cursor *at, struct lns_call *call)
{
	void *start = at->pos;
	__u16 *word = start;
	__u32 flags, length, ids, header, offset = 0;

	if (at->left < sizeof(*word) || (void *)(word + 2) > at->end)
		return LNS_DROP_L2TP;
	flags = bpf_ntohs(word[0]);
	/* L2F (1) and L2TPv3 (3) share the port. */
	if ((flags & L2TP_VERSION_MASK) != L2TP_VERSION)
		return LNS_DROP_VERSION;
	if (flags & L2TP_CONTROL)
		return LNS_PUNT_CONTROL;
	ids = 2 + bytes_if(flags, L2TP_LENGTH, 2);
	header = ids + 4 + bytes_if(flags, L2TP_SEQUENCE, 4) + bytes_if(flags, L2TP_OFFSET, 2);
	/* The compiler may add by OR, of which Linux 6.1 learns no bound. */
	asm volatile("" : "+r"(header));
	header &= L2TP_HEADER_MASK;
	if (flags & L2TP_LENGTH) {
		/* Length counts from the flags on: more than arrived is a lie,
		 * what is beyond it is padding. */
		length = bpf_ntohs(word[1]);
		if (length > at->left)
			return LNS_DROP_L2TP;
		at->left = length;
	}
	if (header > at->left || start + header > at->end)
		return LNS_DROP_L2TP;
	word = start + ids;
	if ((void *)(word + 2) > at->end)
		return LNS_DROP_L2TP;
	call->tunnel_id = bpf_ntohs(word[0]);
	call->session_id = bpf_ntohs(word[1]);
	if (flags & L2TP_OFFSET) {
		/* Counted from the end of the field, which ends the header. */
		word = start + header - sizeof(*word);
		if ((void *)(word + 1) > at->end)
			return LNS_DROP_L2TP;
		offset = bpf_ntohs(*word);
		if (offset > L2TP_OFFSET_MAX)
			return LNS_DROP_L2TP;
	}
	return take(at, header + offset) ? LNS_CONTINUE : LNS_DROP_L2TP;
}

/*
 * Reads address, control and protocol of a PPP frame. Address and control may be
 * left out (RFC 1661 section 6.6) and the protocol's first byte too (section
 * 6.5), on any frame and whatever was negotiated. LNS_CONTINUE for IPv4; the
 * number is in *number then and when the frame is to be punted.
 */
static __always_inline enum lns_reason take_ppp(struct cursor *at, __u32 *number)
{
	int byte = take_byte(at);
	__u32 protocol;

	if (byte == PPP_ADDRESS) {
		/* FF is no protocol number (00ff is reserved, RFC 1661 section
		 * 2); without 03 behind it, it is the daemon's to judge. */
		if (take_byte(at) != PPP_CONTROL)
			return LNS_PUNT_PPP_OTHER;
		byte = take_byte(at);
	}
	if (byte < 0)
		return LNS_DROP_L2TP;
	protocol = byte;
	/* A protocol number's last byte is odd, every other one even. */
	if (!(byte & 1)) {
		byte = take_byte(at);
		if (byte < 0)
			return LNS_DROP_L2TP;
		protocol = protocol << 8 | byte;
	}
	*number = protocol;
	if (protocol == PPP_IPV4)
		return LNS_CONTINUE;
	return protocol < PPP_FIRST_CONTROL ? LNS_PUNT_PPP_OTHER : LNS_PUNT_PPP_CONTROL;
}

#endif
