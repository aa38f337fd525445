/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What may reach the daemon's socket: a flood ends here, before it costs a copy, a
 * wake-up or a queue's place. Runs for what is not forwarded only.
 *
 *	who     a LAC that is configured, where any is
 *	what    a sane control header; a tunnel that lives, from its own peer
 *	how     tunnels, calls and PPP set-up at a rate for each LAC, PPP's frames at
 *	much    a rate for each session
 *
 * HELLO, acknowledgements and StopCCN of live tunnels pass at any rate: without
 * them a flood would take down what is up.
 */
#ifndef LNS_SHIELD_H
#define LNS_SHIELD_H

#include "frame.h"
#include "l2tp.h"
#include "outer6.h"

/* Message types (RFC 2661 section 3.2). A ZLB has none (section 5.8). */
#define L2TP_SCCRQ 1
#define L2TP_STOPCCN 4
#define L2TP_HELLO 6
#define L2TP_OCRQ 7
#define L2TP_ICRQ 10
#define L2TP_ZLB 0
#define L2TP_UNCLEAR 0xFFFF

/* The header of a control message and its first AVP (RFC 2661 sections 3.1, 4.1). */
struct l2tp_control {
	__be16 flags;
	__be16 length;
	__be16 tunnel_id;
	__be16 session_id;
	__be16 ns;
	__be16 nr;
};

struct l2tp_type {
	__be16 flags; /* M and H, and the length */
	__be16 vendor;
	__be16 attribute;
	__be16 value;
};

#define AVP_MANDATORY 0x8000

/* Tries of an update that races with other CPUs. */
#define GATE_TRIES 8

static __always_inline const struct lns_facts *facts(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&lns_live, &first);
}

/*
 * Takes a place at gate, where one is free every interval nanoseconds and a
 * second's worth may be taken at once. The gate is the time at which the places
 * taken so far will have come free again, so that nothing is rounded and an idle
 * gate needs no care (the virtual scheduling of ITU-T I.371). Returns 0 when there
 * is no place. interval is at most a second; 0 is no limit.
 */
static __always_inline int admit(__u64 *gate, __u64 now, __u64 interval)
{
	if (!interval)
		return 1;
	for (int i = 0; i < GATE_TRIES; i++) {
		__u64 was = *(volatile __u64 *)gate;
		__u64 from = was > now ? was : now;

		if (from - now > LNS_GATE_BURST - interval)
			return 0;
		if (__sync_val_compare_and_swap(gate, was, from + interval) == was)
			return 1;
	}
	return 0; /* others have taken the places */
}

static __always_inline __u64 gate_clock(const struct lns_facts *live)
{
	return live->now ? live->now : bpf_ktime_get_ns();
}

/* Who has sent a datagram, in network order. Made where it is used, so that the
 * compiler knows which of the two versions of IP it is. */
struct sender {
	const struct in6_addr *addr6; /* in the packet; NULL: IPv4 */
	__be32 addr;
	__be16 port;
};

/* The gates of key in rates, a map. NULL where there is no memory for more. */
static __always_inline struct lns_gates *gates_in(void *rates, const void *key)
{
	struct lns_gates *gates = bpf_map_lookup_elem(rates, key), fresh = {};

	if (gates)
		return gates;
	bpf_map_update_elem(rates, key, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(rates, key);
}

static __always_inline struct lns_gates *gates_of(const struct sender *who)
{
	struct lns_source6 key6;
	struct lns_source key;

	if (who->addr6) {
		__builtin_memcpy(key6.net, who->addr6, sizeof(key6.net));
		return gates_in(&lns_rates6, &key6);
	}
	__builtin_memcpy(key.addr, &who->addr, sizeof(key.addr));
	return gates_in(&lns_rates, &key);
}

/* Whether who may be a LAC. */
static __always_inline int is_lac(const struct sender *who)
{
	const struct lns_facts *live = facts();
	struct lns_range6 key6 = { .prefixlen = 128 };
	struct lns_range key = { .prefixlen = 32 };

	if (!live || !live->lacs)
		return 1;
	if (who->addr6) {
		__builtin_memcpy(key6.addr, who->addr6, sizeof(key6.addr));
		return bpf_map_lookup_elem(&lns_lacs6, &key6) != NULL;
	}
	__builtin_memcpy(key.addr, &who->addr, sizeof(key.addr));
	return bpf_map_lookup_elem(&lns_lacs, &key) != NULL;
}

/* Whether the tunnel lives and who is its peer: address and port stay the same for
 * its life (RFC 2661 section 8.1). */
static __always_inline int is_peer(__u32 tunnel_id, const struct sender *who)
{
	const struct lns_tunnel *t = bpf_map_lookup_elem(&lns_tunnels, &tunnel_id);
	const struct lns_ends *ends;

	if (!t || !t->live || t->peer_port != bpf_ntohs(who->port))
		return 0;
	if (!who->addr6)
		return !t->ipv6 && addr_word(t->peer) == who->addr;
	ends = tunnel_ends(tunnel_id);
	return t->ipv6 && ends && same_addr6(ends->peer, who->addr6);
}

/* Why something that is for no live tunnel of its sender ends. */
static __always_inline enum lns_reason no_tunnel(const struct sender *who)
{
	return is_lac(who) ? LNS_DROP_TUNNEL : LNS_DROP_LAC;
}

/* Reads the type of the control message of length bytes at h, or a negative number
 * where the message is cut short. */
static __always_inline int message_type(const struct xdp_md *ctx, const struct l2tp_control *h,
					__u32 length)
{
	const struct l2tp_type *avp = (const void *)(h + 1);

	if (length == sizeof(*h))
		return L2TP_ZLB;
	if (length < sizeof(*h) + sizeof(*avp))
		return L2TP_UNCLEAR;
	if ((void *)(avp + 1) > packet_end(ctx))
		return -1;
	/* Message Type is the first AVP, and never hidden (RFC 2661 section 4.4.1);
	 * with a reserved bit it would be unrecognized (section 4.1). */
	if ((bpf_ntohs(avp->flags) & ~AVP_MANDATORY) != sizeof(*avp) || avp->vendor ||
	    avp->attribute || !avp->value)
		return L2TP_UNCLEAR;
	return bpf_ntohs(avp->value);
}

/* Judges a message to tunnel id 0: an SCCRQ, or the StopCCN of a peer that has not
 * learnt our id (RFC 2661 section 4.4.3). Nothing else can be meant for us. */
static __always_inline enum lns_reason judge_newcomer(int type, const struct sender *who)
{
	const struct lns_facts *live = facts();
	struct lns_gates *gates;

	if (!is_lac(who))
		return LNS_DROP_LAC;
	if (type != L2TP_SCCRQ && type != L2TP_STOPCCN)
		return LNS_DROP_TUNNEL;
	gates = gates_of(who);
	if (live && gates && !admit(&gates->sccrq, gate_clock(live), live->sccrq_interval))
		return LNS_DROP_SCCRQ_RATE;
	return LNS_PUNT_CONTROL;
}

/* Judges a message of a live tunnel, from its peer. */
static __always_inline enum lns_reason judge_member(int type, const struct sender *who)
{
	const struct lns_facts *live = facts();
	struct lns_gates *gates;

	if (type == L2TP_ZLB || type == L2TP_HELLO || type == L2TP_STOPCCN)
		return LNS_PUNT_CONTROL;
	gates = gates_of(who);
	if (!live || !gates)
		return LNS_PUNT_CONTROL;
	if (type == L2TP_ICRQ || type == L2TP_OCRQ)
		return admit(&gates->call, gate_clock(live), live->call_interval) ?
			       LNS_PUNT_CONTROL :
			       LNS_DROP_CALL_RATE;
	return admit(&gates->control, gate_clock(live), live->control_interval) ?
		       LNS_PUNT_CONTROL :
		       LNS_DROP_CONTROL_RATE;
}

/* Judges the control message at byte at of the frame, of which left bytes are in
 * the datagram. */
static __always_inline enum lns_reason control_from(const struct sender *who, struct xdp_md *ctx,
						    __u32 at, __u32 left)
{
	const struct l2tp_control *h = packet_start(ctx) + at;
	__u32 flags, length, tunnel_id;
	int type;

	if ((void *)(h + 1) > packet_end(ctx) || left < sizeof(*h))
		return LNS_DROP_CONTROL;
	/* L and S MUST be set, O MUST be 0 (RFC 2661 section 3.1). */
	flags = bpf_ntohs(h->flags) & (L2TP_LENGTH | L2TP_SEQUENCE | L2TP_OFFSET);
	length = bpf_ntohs(h->length);
	if (flags != (L2TP_LENGTH | L2TP_SEQUENCE) || length < sizeof(*h) || length > left)
		return LNS_DROP_CONTROL;
	type = message_type(ctx, h, length);
	if (type < 0)
		return LNS_DROP_CONTROL;
	tunnel_id = bpf_ntohs(h->tunnel_id);
	if (!tunnel_id)
		return judge_newcomer(type, who);
	if (!is_peer(tunnel_id, who))
		return no_tunnel(who);
	return judge_member(type, who);
}

/*
 * Judges a data message of a session that is not installed, or that is being
 * changed: ppp says that PPP's own frame is in it. The session may be on its way
 * up, or one that only the slow path serves, whose users' packets no rate holds.
 */
static __always_inline enum lns_reason data_from(const struct sender *who, __u32 tunnel_id, __u32 ppp)
{
	const struct lns_facts *live = facts();
	struct lns_gates *gates;

	if (!is_peer(tunnel_id & 0xFFFF, who))
		return no_tunnel(who);
	if (!ppp)
		return LNS_CONTINUE;
	gates = gates_of(who);
	if (live && gates && !admit(&gates->setup, gate_clock(live), live->setup_interval))
		return LNS_DROP_SETUP_RATE;
	return LNS_CONTINUE;
}

/* control_from and data_from for a sender at an IPv4 address. Not static for the
 * verifier's sake (see write_udp_checksum). */
__noinline int judge_control(struct xdp_md *ctx, __u32 at, __u32 left, __u32 source, __u32 port)
{
	struct sender who = { .addr = source, .port = port };

	return control_from(&who, ctx, at & FRAME_OFFSET_MASK, left);
}

__noinline int judge_data(__u32 tunnel_id, __u32 source, __u32 port, __u32 ppp)
{
	struct sender who = { .addr = source, .port = port };

	return data_from(&who, tunnel_id, ppp);
}

/* The same for one at an IPv6 address; the IPv6 header, and UDP's behind it, is at
 * byte at. */
static __always_inline int read_sender6(struct xdp_md *ctx, __u32 at, struct sender *who)
{
	const struct ipv6hdr *ip = packet_start(ctx) + at;
	const struct udphdr *udp = (const void *)(ip + 1);

	if ((void *)(udp + 1) > packet_end(ctx))
		return -1;
	who->addr6 = &ip->saddr;
	who->port = udp->source;
	return 0;
}

__noinline int judge_control6(struct xdp_md *ctx, __u32 at, __u32 left)
{
	struct sender who = {};

	at &= FRAME_OFFSET_MASK;
	if (read_sender6(ctx, at, &who))
		return LNS_DROP_CONTROL;
	return control_from(&who, ctx, at + sizeof(struct ipv6hdr) + sizeof(struct udphdr), left);
}

__noinline int judge_data6(struct xdp_md *ctx, __u32 at, __u32 tunnel_id, __u32 ppp)
{
	struct sender who = {};

	at &= FRAME_OFFSET_MASK;
	if (read_sender6(ctx, at, &who))
		return LNS_DROP_TUNNEL;
	return data_from(&who, tunnel_id, ppp);
}

/* Judges a frame of PPP itself that the session in slot has for the daemon. Not
 * static for the verifier's sake (see write_udp_checksum). */
__noinline int judge_ppp(__u32 slot)
{
	struct lns_line *line = bpf_map_lookup_elem(&lns_lines, &slot);
	const struct lns_facts *live = facts();

	if (line && live && !admit(&line->ppp, gate_clock(live), live->ppp_interval))
		return LNS_DROP_PPP_RATE;
	return LNS_PUNT_PPP_CONTROL;
}

/* Whether a data message that is passed up for reason has a frame of PPP itself at
 * the cursor. */
static __always_inline __u32 is_ppps_own(const struct frame *f, enum lns_reason reason)
{
	struct cursor at = f->at;
	__u32 protocol;

	return reason == LNS_PUNT_UNKNOWN && take_ppp(&at, &protocol) == LNS_PUNT_PPP_CONTROL;
}

/*
 * Judges a datagram that is to be passed to the daemon for reason. The cursor
 * stands before the L2TP header of a control message, before the PPP frame of a
 * data message, whose tunnel is tunnel_id.
 */
static __always_inline enum lns_reason shield(const struct frame *f, const struct udphdr *udp,
					      __u16 tunnel_id, enum lns_reason reason)
{
	enum lns_reason verdict;

	if (reason == LNS_PUNT_CONTROL)
		return judge_control(f->ctx, distance(packet_start(f->ctx), f->at.pos), f->at.left,
				     f->ip->saddr, udp->source);
	if (reason != LNS_PUNT_UNKNOWN && reason != LNS_PUNT_CLOSED)
		return reason;
	verdict = judge_data(tunnel_id, f->ip->saddr, udp->source, is_ppps_own(f, reason));
	return verdict ? verdict : reason;
}

/* The same for a datagram whose IPv6 header is at byte at. */
static __always_inline enum lns_reason shield6(const struct frame *f, __u32 at, __u16 tunnel_id,
					       enum lns_reason reason)
{
	enum lns_reason verdict;

	if (reason == LNS_PUNT_CONTROL)
		return judge_control6(f->ctx, at, f->at.left);
	if (reason != LNS_PUNT_UNKNOWN && reason != LNS_PUNT_CLOSED)
		return reason;
	verdict = judge_data6(f->ctx, at, tunnel_id, is_ppps_own(f, reason));
	return verdict ? verdict : reason;
}

#endif
