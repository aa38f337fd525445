/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Copies of packets for the daemon, in rings.
 *
 *	interception  every packet of the session that its services let pass, whole. What
 *	              finds no room is counted for the session.
 *	capture       for debugging: what becomes of each packet and why, at a rate that
 *	              all captures share, cut to a length. A ring of its own, so that it
 *	              costs no interception anything.
 *
 * A session without LNS_INTERCEPT and LNS_CAPTURE pays for nothing here: its
 * packets never reach a service for these flags' sake, and those that are not
 * forwarded look at LNS_CAPTURE where they end.
 *
 * A copy is of the packet as it came: the TTL is not decremented, the MSS not clamped.
 */
#ifndef LNS_COPY_H
#define LNS_COPY_H

#include "copy_maps.h"
#include "shield.h"

/* Reads the packet of len bytes at byte at of the frame into the memory of copies,
 * all but data being the caller's; NULL when that can't be done. */
static __always_inline struct lns_copy *begin_copy(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len,
						   __u32 most)
{
	__u32 first = 0;
	const struct lns_session *s = bpf_map_lookup_elem(&lns_sessions, &slot);
	struct lns_copy *copy = bpf_map_lookup_elem(&lns_copying, &first);
	__u32 taken = len < most ? len : most;
	__u32 last = taken - 1;

	if (!copy || !s)
		return NULL;
	copy->time = bpf_ktime_get_ns();
	copy->slot = slot;
	copy->tunnel_id = s->tunnel_id;
	copy->session_id = s->session_id;
	copy->length = len;
	/* The verifier has to see the bounds of what the helper is given, the lower one too,
	 * and before Linux 6.4 in the register that was compared: 1 is added behind that. */
	asm volatile("" : "+r"(last));
	if (last >= LNS_COPY_MOST || bpf_xdp_load_bytes(ctx, at, copy->data, last + 1))
		taken = 0;
	copy->taken = taken;
	return copy;
}

/* Bytes of a copy, header and all, as the verifier can follow. */
static __always_inline __u64 copy_size(const struct lns_copy *copy)
{
	__u64 taken = copy->taken;

	asm volatile("" : "+r"(taken));
	if (taken > LNS_COPY_MOST)
		taken = LNS_COPY_MOST;
	return sizeof(*copy) - sizeof(copy->data) + taken;
}

/* Counts a packet that the interception of the session in slot has missed. */
static __always_inline void count_loss(__u32 slot)
{
	__u64 *lost = bpf_map_lookup_elem(&lns_losses, &slot);
	__u64 none = 0;

	if (!lost) {
		if (bpf_map_update_elem(&lns_losses, &slot, &none, BPF_NOEXIST) && !bpf_map_lookup_elem(&lns_losses, &slot))
			slot = 0;
		lost = bpf_map_lookup_elem(&lns_losses, &slot);
	}
	if (lost)
		__sync_fetch_and_add(lost, 1);
}

/* Copies a packet of len bytes, at byte at of the frame, of the session in slot for its
 * interception. Not static for the verifier's sake (see write_udp_checksum). */
__noinline int intercept(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len, __u32 up)
{
	struct lns_copy *copy = begin_copy(ctx, slot, at & FRAME_OFFSET_MASK, len, LNS_COPY_MOST);

	if (copy) {
		copy->reason = LNS_CONTINUE;
		copy->up = up;
		copy->outer = 0;
		/* One that is cut is none. */
		if (copy->taken == len && !bpf_ringbuf_output(&lns_copies, copy, copy_size(copy), 0))
			return 0;
	}
	count_loss(slot);
	return 0;
}

/* Bits of how a packet is captured, above the reason. */
#define CAPTURE_UP 0x100
#define CAPTURE_OUTER 0x200 /* from the outer IP header on */
#define CAPTURE_REASON 0xFF

/* Captures a packet of the session in slot, within what captures may cost. Not static
 * for the verifier's sake (see write_udp_checksum). */
__noinline int capture(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len, __u32 how)
{
	__u32 first = 0;
	struct lns_allowance *budget = bpf_map_lookup_elem(&lns_budget, &first);
	struct lns_copy *copy;

	if (!budget)
		return 0;
	if (!admit(&budget->gate, bpf_ktime_get_ns(), budget->interval)) {
		__sync_fetch_and_add(&budget->withheld, 1);
		return 0;
	}
	copy = begin_copy(ctx, slot, at & FRAME_OFFSET_MASK, len, budget->snap);
	if (!copy)
		return 0;
	copy->reason = how & CAPTURE_REASON;
	copy->up = !!(how & CAPTURE_UP);
	copy->outer = !!(how & CAPTURE_OUTER);
	if (bpf_ringbuf_output(&lns_captures, copy, copy_size(copy), 0))
		__sync_fetch_and_add(&budget->lost, 1);
	return 0;
}

/* Whether the services decide on reason, which then have captured the packet. */
static __always_inline int is_of_services(enum lns_reason reason)
{
	return reason == LNS_DROP_FILTER || reason == LNS_DROP_THROTTLE || reason == LNS_DROP_PACKETS ||
	       reason == LNS_DROP_HOOK;
}

/*
 * Captures a packet that is not forwarded, at its end: the whole of it, as nobody
 * has written to it. flags and slot are the session's. What is PPP's own reaches the
 * daemon, which captures it.
 */
static __always_inline void capture_end(const struct frame *f, __u32 flags, __u32 slot,
					enum lns_reason reason, __u32 how)
{
	__u32 len;

	if (!(flags & LNS_CAPTURE) || reason < LNS_FIRST_PASS || is_of_services(reason) ||
	    reason == LNS_PUNT_PPP_CONTROL)
		return;
	/* Nobody knows what the frame is by now. */
	len = reason == LNS_DROP_OUTPUT ? 0 : packet_len(f->ctx) - f->l2_len;
	capture(f->ctx, slot, f->l2_len, len, how | reason);
}

#endif
