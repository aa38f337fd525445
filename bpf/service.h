/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Services: what is done to the packets of a session beyond forwarding them.
 *
 * One function for each direction, which is the subscriber's: service_up for what
 * it sends, service_down for what it receives. A session without any of the
 * flags LNS_SERVICES_UP (LNS_SERVICES_DOWN) never gets here: its packets pay for one
 * branch. A packet from one subscriber to another passes the first one's
 * service_up and then the second one's service_down.
 *
 * When: the packet is known to be good, its next hop is known, and nothing of it
 * is written yet, so that what the slow path will see again was not judged here.
 *
 * Stages, in this order, each in a header of its own:
 *
 *	filter      drops what an access list denies
 *	throttle    drops, or marks, what is beyond the rate, and first of all what is
 *	            beyond the number of packets
 *	hook        the operator's own function
 *	intercept,  copy what is left; a capture copies drops as well
 *	capture
 *
 * A stage is called only for sessions with its flag, but for the hook: that is part of
 * a program for all sessions, or of none. It returns LNS_CONTINUE, or
 * the reason of a drop, which it has counted for the session; then no later stage
 * runs, but for a capture. It finds the packet at byte at of the frame, len
 * bytes of it, IPv4 or IPv6 by its first four bits: header checked, no more of it
 * than that, and not options or extension headers. It may change bits in place,
 * with the checksums over them. It must not move the packet, nor make it longer or
 * shorter, nor call a helper that does: the caller goes on with its pointers.
 *
 * Stack: the deepest chain of callers leaves little of the 512 bytes that all
 * share (Linux counts them over calls too). A stage that needs more than a few words
 * keeps them in a map of its own per CPU.
 */
#ifndef LNS_SERVICE_H
#define LNS_SERVICE_H

#include "filter.h"
#include "hook.h"
#include "throttle.h"

#define LNS_SERVICES_UP (LNS_FILTER_UP | LNS_THROTTLE_UP)
#define LNS_SERVICES_DOWN (LNS_FILTER_DOWN | LNS_PACKET_LIMIT | LNS_THROTTLE_DOWN)

/* The throttle. */
static __always_inline enum lns_reason hold(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len,
					    int up)
{
	int verdict = is_paid(slot << 1 | up, len) ? LNS_CONTINUE : throttle(slot, len, up);

	return verdict == LOOK_CLOSER ? throttle_flow(ctx, slot, at, len, up) : verdict;
}

/* Passes a packet of the session in slot through its services, in the direction
 * that is a constant for the compiler. */
static __always_inline enum lns_reason serve(struct xdp_md *ctx, __u32 slot, __u32 at,
					     __u32 len, int up)
{
	const struct lns_session *s = bpf_map_lookup_elem(&lns_sessions, &slot);
	enum lns_reason reason = LNS_CONTINUE;

	if (!s)
		return LNS_CONTINUE;
	at &= FRAME_OFFSET_MASK;
	if (packet_start(ctx) + at > packet_end(ctx))
		return LNS_CONTINUE;
	if (s->flags & (up ? LNS_FILTER_UP : LNS_FILTER_DOWN))
		reason = filter(ctx, s, slot, at, up);
	if (!up && !reason && s->flags & LNS_PACKET_LIMIT)
		reason = limit_packets(slot);
	if (!reason && s->flags & (up ? LNS_THROTTLE_UP : LNS_THROTTLE_DOWN))
		reason = hold(ctx, slot, at, len, up);
	if (!reason && hooked(up))
		reason = hook(ctx, slot, at, len, up);
	return reason;
}

/* Not static for the verifier's sake (see write_udp_checksum). */
__noinline int service_up(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len)
{
	return serve(ctx, slot, at, len, 1);
}

__noinline int service_down(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len)
{
	return serve(ctx, slot, at, len, 0);
}

/* What the forwarding paths call: LNS_CONTINUE, or why the packet ends. packet
 * is where it begins. */
static __always_inline enum lns_reason serve_up(struct xdp_md *ctx, __u32 flags, __u32 slot,
						const void *packet, __u32 len)
{
	if (without & LNS_PART_SERVICES || (!(flags & LNS_SERVICES_UP) && !hooked(1)))
		return LNS_CONTINUE;
	/* Most packets of sessions that are throttled, and no more than that. */
	if ((flags & LNS_SERVICES_UP) == LNS_THROTTLE_UP && !hooked(1) &&
	    is_paid(slot << 1 | 1, len))
		return LNS_CONTINUE;
	return service_up(ctx, slot, distance(packet_start(ctx), packet), len);
}

static __always_inline enum lns_reason serve_down(struct xdp_md *ctx, __u32 flags, __u32 slot,
						  __u32 at, __u32 len)
{
	if (without & LNS_PART_SERVICES || (!(flags & LNS_SERVICES_DOWN) && !hooked(0)))
		return LNS_CONTINUE;
	if ((flags & LNS_SERVICES_DOWN) == LNS_THROTTLE_DOWN && !hooked(0) &&
	    is_paid(slot << 1, len))
		return LNS_CONTINUE;
	return service_down(ctx, slot, at, len);
}

#endif
