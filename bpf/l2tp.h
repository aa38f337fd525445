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

/* Offset padding beyond this cannot be in a frame that XDP gets; the bound is
 * for the verifier. */
#define L2TP_OFFSET_MAX 8191

#define PPP_ADDRESS 0xFF
#define PPP_CONTROL 0x03
#define PPP_IPV4 0x0021
/* Protocol numbers from here on are network and link control (RFC 1661
 * section 2). */
#define PPP_FIRST_CONTROL 0x8000

/*
 * Reads the header of an L2TP message up to the PPP frame, and narrows the
 * cursor to the message's Length. Only the ids are wanted: sequence numbers of
 * data count where a session requires them, and those are punted.
 */
static __always_inline enum lns_reason take_l2tp(struct cursor *at, struct lns_call *call)
{
	__u32 room = at->left;
	__u16 *field = take_u16(at);
	__u16 flags, *id;
	__u32 length;

	if (!field)
		return LNS_DROP_L2TP;
	flags = bpf_ntohs(*field);
	/* L2F (1) and L2TPv3 (3) share the port. */
	if ((flags & L2TP_VERSION_MASK) != L2TP_VERSION)
		return LNS_DROP_VERSION;
	if (flags & L2TP_CONTROL)
		return LNS_PUNT_CONTROL;
	if (flags & L2TP_LENGTH) {
		field = take_u16(at);
		if (!field)
			return LNS_DROP_L2TP;
		/* Length counts from the flags on: more than arrived is a lie,
		 * what is beyond it is padding. */
		length = bpf_ntohs(*field);
		if (length > room || length < 2 * sizeof(__u16))
			return LNS_DROP_L2TP;
		at->left = length - 2 * sizeof(__u16);
	}
	id = take(at, 2 * sizeof(*id));
	if (!id)
		return LNS_DROP_L2TP;
	call->tunnel_id = bpf_ntohs(id[0]);
	call->session_id = bpf_ntohs(id[1]);
	if (flags & L2TP_SEQUENCE && !take(at, 2 * sizeof(__u16))) /* Ns, Nr */
		return LNS_DROP_L2TP;
	if (flags & L2TP_OFFSET) {
		field = take_u16(at);
		if (!field)
			return LNS_DROP_L2TP;
		/* Counted from the end of the field. */
		length = bpf_ntohs(*field);
		if (length > L2TP_OFFSET_MAX || !take(at, length))
			return LNS_DROP_L2TP;
	}
	return LNS_CONTINUE;
}

/*
 * Reads address, control and protocol of a PPP frame. Address and control may be
 * left out (RFC 1661 section 6.6) and the protocol's first byte too (section
 * 6.5), on any frame and whatever was negotiated. LNS_CONTINUE for IPv4.
 */
static __always_inline enum lns_reason take_ppp(struct cursor *at)
{
	int byte = take_byte(at);
	__u32 protocol;

	if (byte == PPP_ADDRESS) {
		byte = take_byte(at);
		if (byte >= 0 && byte != PPP_CONTROL)
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
	if (protocol == PPP_IPV4)
		return LNS_CONTINUE;
	return protocol < PPP_FIRST_CONTROL ? LNS_PUNT_PPP_OTHER : LNS_PUNT_PPP_CONTROL;
}

#endif
