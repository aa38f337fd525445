/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Access lists as they are kept for the program. */
#ifndef LNS_FILTER_MAPS_H
#define LNS_FILTER_MAPS_H

#include "maps.h"

/* Access lists: their number, the rules of one for each family, and the counters
 * that go with it: one a rule, and one for what no rule matched. */
#define LNS_FILTERS 128
#define LNS_RULES 64
#define LNS_RULE_COUNTS (2 * (LNS_RULES + 1))

/* Lists that are kept: a list that changes is written anew beside the old one.
 * The first is none. */
#define LNS_LISTS (2 * LNS_FILTERS + 1)

/* Flags of a rule. */
enum lns_rule_flag {
	LNS_RULE_PERMIT = 1 << 0,    /* else deny */
	LNS_RULE_FRAGMENTS = 1 << 1, /* asks for fragments but the first */
	LNS_RULE_DEEP = 1 << 2,      /* asks for ports or TCP flags */
	LNS_RULE_NOT_SOURCE = 1 << 3, /* for source ports out of the range */
	LNS_RULE_NOT_DESTINATION = 1 << 4,
};

/* What a rule asks of the payload, whichever the family. Ports in host order, 0 to
 * 65535 for any. The protocol agrees where its mask has bits. TCP flags: one of any_set
 * set or of any_clear clear, all bits in both for any, and all of all_set set and of
 * all_clear clear. */
struct lns_rule {
	__u16 source_low;
	__u16 source_high;
	__u16 destination_low;
	__u16 destination_high;
	enum lns_rule_flag flags; /* any of them */
	__u8 protocol;
	__u8 protocol_mask;
	__u8 any_set;
	__u8 any_clear;
	__u8 all_set;
	__u8 all_clear;
	__u8 pad[6];
};
_Static_assert(sizeof(struct lns_rule) == 24, "lns_rule");

/* Addresses agree with the rule's where its masks have bits. */
struct lns_rule4 {
	__u8 source[4];
	__u8 source_mask[4];
	__u8 destination[4];
	__u8 destination_mask[4];
	struct lns_rule rest;
};
_Static_assert(sizeof(struct lns_rule4) == 40, "lns_rule4");

struct lns_rule6 {
	__u8 source[16];
	__u8 source_mask[16];
	__u8 destination[16];
	__u8 destination_mask[16];
	struct lns_rule rest;
};
_Static_assert(sizeof(struct lns_rule6) == 88, "lns_rule6");

/* Value of lns_lists. */
struct lns_list {
	char name[32];
	__u32 count4; /* rules in use */
	__u32 count6;
	struct lns_rule4 rules4[LNS_RULES];
	struct lns_rule6 rules6[LNS_RULES];
};
_Static_assert(sizeof(struct lns_list) == 8232, "lns_list");

/*
 * Access lists by the index that sessions know them by, to the list in lns_lists
 * that is in force; 0 is none, which denies everything. Written by the daemon, one
 * word at a time: a packet sees an old list or a new one, never half of each.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LNS_FILTERS + 1); /* index 0 is not used */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64); /* arrays take no less room */
} lns_filters SEC(".maps");

/*
 * The lists themselves. Written by the daemon where no entry of lns_filters leads
 * to, nor did when a packet that is under way came in. 2.1 MB.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LNS_LISTS);
	__type(key, __u32);
	__type(value, struct lns_list);
} lns_lists SEC(".maps");

/*
 * Packets that each rule decided on, LNS_RULE_COUNTS to a list. Written by XDP;
 * zeroed by the daemon with its list. Per CPU: one list may serve every session.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LNS_LISTS * LNS_RULE_COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} lns_rule_hits SEC(".maps");

#endif
