/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef LNS_COUNTERS_H
#define LNS_COUNTERS_H

#include "maps.h"

/* Counts one packet of frame_len bytes under reason. */
static __always_inline void count_reason(enum lns_reason reason, __u32 frame_len)
{
	__u32 key = reason;
	struct lns_tally *tally = bpf_map_lookup_elem(&lns_reasons, &key);

	if (!tally)
		return;
	tally->packets++;
	tally->bytes += frame_len;
}

/*
 * Counts one forwarded inner packet of bytes bytes at now, as count_path does.
 */
static __always_inline void count_flow(struct lns_flow *flow, __u64 bytes, __u64 now)
{
	__sync_fetch_and_add(&flow->packets, 1);
	__sync_fetch_and_add(&flow->bytes, bytes);
	flow->last_seen = now;
}

/* Counts one forwarded IPv6 packet of bytes bytes. */
static __always_inline void count_flow6(__u32 slot, int up, __u64 bytes, __u64 now)
{
	struct lns_usage *usage = bpf_map_lookup_elem(&lns_counters, &slot);
	struct lns_share6 *share = bpf_map_lookup_elem(&lns_counters6, &slot);

	if (!usage || !share)
		return;
	count_flow(up ? &usage->up : &usage->down, bytes, now);
	__sync_fetch_and_add(up ? &share->up_packets : &share->down_packets, 1);
	__sync_fetch_and_add(up ? &share->up_bytes : &share->down_bytes, bytes);
}

/* Counts one dropped packet of the session in slot. Out of line: it is no part
 * of the fast path, and its prototype carries enum lns_cause into the BTF. */
static __noinline int count_drop(__u32 slot, int up, enum lns_cause cause)
{
	struct lns_usage *usage = bpf_map_lookup_elem(&lns_counters, &slot);
	struct lns_flow *flow;

	if (!usage || cause >= LNS_CAUSES)
		return 0;
	flow = up ? &usage->up : &usage->down;
	__sync_fetch_and_add(&flow->drops[cause], 1);
	return 0;
}

#endif
