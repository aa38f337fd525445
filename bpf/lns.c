/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "maps.h"
#include "counters.h"

char _license[] SEC("license") = "Dual BSD/GPL";

SEC("xdp")
int lns_xdp(struct xdp_md *ctx __attribute__((unused)))
{
	__u32 zero=LNS_PASS_NOT_OURS;
	struct lns_tally *v = bpf_map_lookup_elem(&lns_reasons, &zero);
	if (v) v->packets += outer_ttl;
	bpf_map_lookup_elem(&lns_calls, &zero);
	count_drop(1, 1, LNS_CAUSE_PEER);
	return verdict(zero);
}
