/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Maps and knobs, but for those of single services, which are in throttle_maps.h,
 * filter_maps.h and copy_maps.h. Sizes marked "set at load" come from the daemon's
 * configuration. All maps are pinned and outlive the daemon.
 *
 * A session is reached through its place in lns_uplinks or lns_downlinks, which
 * follows from its ids or its address (see path.h), or, where two want one place,
 * through lns_calls and lns_hosts; or through prefixes, by way of its slot. The daemon
 * writes lns_sessions and the paths first and those keys after them, and takes the
 * keys away before it gives the places to another session.
 *
 * Memory of a session, all allocated at load: lns_sessions 64, lns_uplinks and
 * lns_downlinks 72 each, lns_counters 128, lns_shape_up and lns_shape_down 32 each,
 * lns_lines 16, lns_sequences and lns_paces 8 each, lns_hosts 16 and lns_calls 8 (their
 * buckets, rounded up to a power of two; an element is another 64 bytes), lns_flows 2
 * to 8: 460 bytes of a million. IPv6, where it is on, takes 13 bytes in lns_homes6, 2
 * in lns_nets6 and 32 in lns_counters6. A routed prefix takes some 100 bytes more, when
 * it is installed. TestMapMemory in test/perf asks the kernel.
 */
#ifndef LNS_MAPS_H
#define LNS_MAPS_H

#include "types.h"
#include "reasons.h"

#include <bpf/bpf_helpers.h>

/* Time to live of the outer packets. Set before load. */
const volatile __u8 outer_ttl = 64;

/* For devices whose frames come in several buffers, of which the first can be read
 * directly. Set before load: the program costs others nothing. */
const volatile enum lns_buffers buffers = LNS_ONE_BUFFER;

/* Whether LACs may speak IPv6. Set before load: without, all that concerns them is
 * left out. */
const volatile __u8 outer6 = 0;

/* Whether uplink data is handed to other CPUs, or comes from there; and the CPUs that
 * it is handed to. Set before load. */
const volatile enum lns_spread spread = LNS_SPREAD_OFF;
const volatile __u32 spread_count = 1;
const volatile __u32 spread_cpus[LNS_SPREAD_CPUS] = {};

/* Whether packets of a direction pass the operator's function. Set before load:
 * without, there is nothing of it in the program. */
const volatile __u8 hook_up = 0;
const volatile __u8 hook_down = 0;

/* Packets from one subscriber to another. Set before load. */
const volatile enum lns_hairpin hairpin = LNS_HAIRPIN_ALLOW;

/* Places in lns_uplinks that ids choose from. Set before load. */
const volatile __u32 call_places = 1;

/* What is left out, any of enum lns_part. Set before load, and only to measure what it
 * costs. */
const volatile enum lns_part without = 0;

/* Entries of lns_homes6. Set before load. */
const volatile __u32 homes6 = 1;

/*
 * What forwarding takes of each session, from the subscriber and to it. Written by
 * the daemon, and the counters by XDP with atomic operations, which lose nothing when
 * two CPUs serve one session; read by the daemon through shared memory: being
 * mappable also aligns it to a page, hence each value to a cache line. Every session
 * has one place in each.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load: sessions and an eighth */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lns_path);
} lns_uplinks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load: sessions and an eighth, whole blocks */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lns_path);
} lns_downlinks SEC(".maps");

/* Addresses in a block of lns_downlinks: those of a /24. */
#define LNS_BLOCK 256

/*
 * Where the addresses of a /24 in the main routing table begin in lns_downlinks: a
 * radix tree. The first 256 pages are by an address's first byte; their entries, by
 * the second byte, are the numbers of the other pages, 0 for none. The entries of
 * these, by the third byte, are the number of the block plus one, 0 for none. Written
 * by the daemon, through shared memory. Addresses come in pools: the few entries in
 * use stay in the cache, for a million sessions too.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 512);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lns_page);
} lns_blocks SEC(".maps");

/*
 * Our (tunnel id, session id) to place in lns_uplinks, for sessions whose ids do not
 * lead there by themselves; an entry lives as long as its session. Not preallocated:
 * it is meant to be nearly empty.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set at load: half of the sessions */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lns_call);
	__type(value, __u32);
} lns_calls SEC(".maps");

/* (routing table, subscriber address) to place in lns_downlinks, likewise. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set at load: sessions */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lns_host);
	__type(value, __u32);
} lns_hosts SEC(".maps");

/*
 * Prefixes routed to subscribers, to slot. Written by the daemon; read where
 * lns_hosts has no answer and lns_live.routes is not 0, and for the source of
 * uplink packets of LNS_ROUTED sessions. Trie: longest match. The kernel
 * allows this type without preallocation only.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1); /* set at load: routes */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lns_prefix);
	__type(value, __u32);
} lns_routes SEC(".maps");

/*
 * By a hash of (routing table, /64), the slots of those whose own it is: the one /64
 * that a subscriber has been told in router advertisements. Written by the daemon,
 * through shared memory, read per IPv6 packet; an entry lives as long as its session.
 * lns_sessions has the /64 itself: a hash table of the kernel's, which would keep it
 * beside links and pointers, takes 88 bytes a session where this takes 13.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load: homes6 */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lns_home6);
} lns_homes6 SEC(".maps");

/* (routing table, /64) to slot, for those that found their place in lns_homes6 taken:
 * some 2 of 100. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set at load: an eighth of the sessions, with IPv6 */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lns_net6);
	__type(value, __u32);
} lns_nets6 SEC(".maps");

/*
 * All other IPv6 prefixes of subscribers (delegated ones, single addresses), to
 * slot. As lns_routes: read where lns_nets6 has no answer and lns_live.routes6 is
 * not 0, and for the source of uplink packets of LNS_ROUTED6 sessions.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1); /* set at load: routes, with IPv6 */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lns_prefix6);
	__type(value, __u32);
} lns_routes6 SEC(".maps");

/*
 * Policy by slot. Written by the daemon alone, through shared memory: being
 * mappable also aligns it to a page, hence each value to a cache line. Slot 0
 * is not used.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load: sessions + 1 */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lns_session);
} lns_sessions SEC(".maps");

/*
 * Counters by slot. Added to by XDP with atomic operations, which lose nothing
 * when two CPUs serve one session; zeroed by the daemon while the slot is in no
 * other map. Shared memory rather than per CPU: the daemon reads a million
 * sessions without a system call, and memory does not grow with the CPUs.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load: sessions + 1 */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lns_usage);
} lns_counters SEC(".maps");

/*
 * The part of lns_counters that is IPv6, by slot, with the same rules. A map of
 * its own, since a direction's cache line is full and IPv4 alone needs none.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load: sessions + 1, with IPv6 */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lns_share6);
} lns_counters6 SEC(".maps");

/*
 * Traces of PPP's own frames by slot. Written by XDP; zeroed by the daemon while
 * the slot is in no other map, and read by it without a system call. Apart from
 * lns_counters, whose cache lines it would make longer for packets that never
 * look here.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load: sessions + 1 */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lns_line);
} lns_lines SEC(".maps");

/*
 * Data sequence numbers by slot. Counted by XDP and by the daemon, with atomic
 * operations; set by the daemon while the slot is in no other map.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load: sessions + 1 */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lns_sequence);
} lns_sequences SEC(".maps");

/*
 * Packets and bytes by enum lns_reason. Written by XDP, read by the daemon;
 * never reset. Per CPU: every packet of every session counts here.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LNS_REASONS);
	__type(key, __u32); /* enum lns_reason; arrays take no other type */
	__type(value, struct lns_tally);
} lns_reasons SEC(".maps");

/*
 * Our UDP sockets, and with port 0 the addresses they are bound to. Written by
 * the daemon at start; the value is not used. A key holds the port because a
 * tunnel that we open may live on another port than 1701 (RFC 2661 section 8.1).
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct lns_local);
	__type(value, __u32);
} lns_locals SEC(".maps");

/* The same for IPv6. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct lns_local6);
	__type(value, __u32);
} lns_locals6 SEC(".maps");

/*
 * (device, VLAN ids) of a frame to the interface that the kernel receives it
 * on. Written by the daemon as interfaces come and go. A frame that is not
 * found here belongs to an interface that is not ours.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct lns_where);
	__type(value, struct lns_port);
} lns_ingress SEC(".maps");

/*
 * Interface index, as the kernel's route lookup gives it, to device and tags.
 * Written by the daemon with lns_ingress. Asked before a packet is written to,
 * so that what would leave by another interface (TUN) is passed on whole.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct lns_exit);
} lns_egress SEC(".maps");

/* Entries of lns_doors and lns_hops. */
#define LNS_DOORS 64
#define LNS_HOPS 1024

/*
 * Part of lns_ingress by the lower bits of the device's number, looked at first:
 * a frame of nearly every port is found here without a hash lookup. Written by the
 * daemon, through shared memory.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LNS_DOORS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lns_door);
} lns_doors SEC(".maps");

/*
 * Answers of route lookups by a hash of what was asked. Written and read by XDP,
 * per CPU. An answer is used again within the tick of the kernel's clock in which
 * it was given, as long as lns_hints allows it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LNS_HOPS);
	__type(key, __u32);
	__type(value, struct lns_hop);
} lns_hops SEC(".maps");

/* The question of a route lookup under way, per CPU: the stack has no room. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lns_question);
} lns_questions SEC(".maps");

/* One value, written by the daemon through shared memory, read per packet. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lns_hint);
} lns_hints SEC(".maps");

/*
 * Devices to redirect to: those that the program is attached to, by interface
 * index. Written by the daemon; the kernel drops an entry with its device.
 */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} lns_devices SEC(".maps");

/*
 * CPUs that take over uplink data, by number, each with its queue and the program as
 * it is loaded for that. Written by the daemon. A program in here must not refer to
 * this map: both would live for ever.
 */
struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(max_entries, 1); /* set at load: CPUs */
	__type(key, __u32);
	__type(value, struct bpf_cpumap_val);
} lns_cpus SEC(".maps");

/* What went through lns_cpus. Written by XDP, per CPU; read by the daemon. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lns_hand);
} lns_hands SEC(".maps");

/*
 * Tunnels that live, by our tunnel id. Written by the daemon, through shared
 * memory, before the first word to a peer; read for what is to reach its socket.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lns_tunnel);
} lns_tunnels SEC(".maps");

/*
 * Both ends of the tunnels over IPv6, by our tunnel id. Written by the daemon: the
 * peer before the tunnel lives, our address before its first session is installed.
 * By tunnel, since all its sessions have the same.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lns_ends);
} lns_outer6 SEC(".maps");

/*
 * Prefixes of LACs that may speak to us; the value is not used. Written by the
 * daemon; asked where lns_live.lacs is not 0, for who is no live tunnel's peer.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lns_range);
	__type(value, __u32);
} lns_lacs SEC(".maps");

/* The same for IPv6. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lns_range6);
	__type(value, __u32);
} lns_lacs6 SEC(".maps");

/*
 * Rates of each source. Written by XDP alone. LRU: sources that are not known
 * beforehand must not fill it up; one that is forgotten begins anew.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct lns_source);
	__type(value, struct lns_gates);
} lns_rates SEC(".maps");

/* The same for IPv6. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct lns_source6);
	__type(value, struct lns_gates);
} lns_rates6 SEC(".maps");

/* Memory to sum what is not in a frame's first buffer. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lns_chunk);
} lns_chunks SEC(".maps");

/* One value, written by the daemon, read per packet that needs it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lns_facts);
} lns_live SEC(".maps");

#endif
