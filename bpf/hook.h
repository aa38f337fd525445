/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The operator's own function, one for each direction.
 *
 * The two functions below do nothing. Where the operator has a compiled function, the
 * daemon loads the program with that one instead, for the kernel to verify, and puts
 * it in the place of the running program in one step. Its prototype must be
 *
 *	int NAME(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len)
 *
 *	slot  the session's number, as lnsctl shows it (SID)
 *	at    where in the frame the subscriber's IP packet begins, below 16,384
 *	len   the length of that packet in bytes; its header is known to be good
 *
 * It returns 0 for the packet to go on, anything else to drop it. It must not call a
 * helper that moves the packet: the caller goes on with its pointers.
 */
#ifndef LNS_HOOK_H
#define LNS_HOOK_H

#include "counters.h"

/* The compiler can't see through it, and so keeps the calls. */
#define HOOK_PLACE(name)                                                                   \
	__noinline int name(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len)           \
	{                                                                                  \
		int go_on = 0;                                                             \
                                                                                           \
		asm volatile("" : "+r"(go_on) : "r"(ctx), "r"(slot), "r"(at), "r"(len));   \
		return go_on;                                                              \
	}

HOOK_PLACE(lns_hook_up)
HOOK_PLACE(lns_hook_down)

/* Whether there is a function for a direction. */
static __always_inline int hooked(int up)
{
	return up ? hook_up : hook_down;
}

static __always_inline enum lns_reason hook(struct xdp_md *ctx, __u32 slot, __u32 at, __u32 len,
					    int up)
{
	int drop = up ? lns_hook_up(ctx, slot, at, len) : lns_hook_down(ctx, slot, at, len);

	if (!drop)
		return LNS_CONTINUE;
	count_drop(slot, up, LNS_CAUSE_POLICY);
	return LNS_DROP_HOOK;
}

#endif
