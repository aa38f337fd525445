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

/* The gates of a source (network order). NULL where there is no memory for more. */
static __always_inline struct lns_gates *gates_of(__be32 source)
{
	struct lns_source key = {};
	struct lns_gates *gates, fresh = {};

	__builtin_memcpy(key.addr, &source, sizeof(key.addr));
	gates = bpf_map_lookup_elem(&lns_rates, &key);
	if (gates)
		return gates;
	bpf_map_update_elem(&lns_rates, &key, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&lns_rates, &key);
}

/* Whether source (network order) may be a LAC. */
static __always_inline int is_lac(__be32 source)
{
	const struct lns_facts *live = facts();
	struct lns_range key = { .prefixlen = 32 };

	if (!live || !live->lacs)
		return 1;
	__builtin_memcpy(key.addr, &source, sizeof(key.addr));
	return bpf_map_lookup_elem(&lns_lacs, &key) != NULL;
}

/* Whether the tunnel lives and its peer is at source and port (network order),
 * which stay the same for its life (RFC 2661 section 8.1). */
static __always_inline int is_peer(__u32 tunnel_id, __be32 source, __be16 port)
{
	const struct lns_tunnel *t = bpf_map_lookup_elem(&lns_tunnels, &tunnel_id);

	return t && t->live && addr_word(t->peer) == source && t->peer_port == bpf_ntohs(port);
}

/* Why something that is for no live tunnel of its sender ends. */
static __always_inline enum lns_reason no_tunnel(__be32 source)
{
	return is_lac(source) ? LNS_DROP_TUNNEL : LNS_DROP_LAC;
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
static __always_inline enum lns_reason judge_newcomer(int type, __be32 source)
{
	const struct lns_facts *live = facts();
	struct lns_gates *gates;

	if (!is_lac(source))
		return LNS_DROP_LAC;
	if (type != L2TP_SCCRQ && type != L2TP_STOPCCN)
		return LNS_DROP_TUNNEL;
	gates = gates_of(source);
	if (live && gates && !admit(&gates->sccrq, gate_clock(live), live->sccrq_interval))
		return LNS_DROP_SCCRQ_RATE;
	return LNS_PUNT_CONTROL;
}

/* Judges a message of a live tunnel, from its peer. */
static __always_inline enum lns_reason judge_member(int type, __be32 source)
{
	const struct lns_facts *live = facts();
	struct lns_gates *gates;

	if (type == L2TP_ZLB || type == L2TP_HELLO || type == L2TP_STOPCCN)
		return LNS_PUNT_CONTROL;
	gates = gates_of(source);
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

/*
 * Judges the control message at byte at of the frame, of which left bytes are in
 * the datagram; source and port (network order) are the sender's. Not static for
 * the verifier's sake (see write_udp_checksum).
 */
__noinline int judge_control(struct xdp_md *ctx, __u32 at, __u32 left, __u32 source, __u32 port)
{
	const struct l2tp_control *h;
	__u32 flags, length, tunnel_id;
	int type;

	at &= FRAME_OFFSET_MASK;
	h = packet_start(ctx) + at;
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
		return judge_newcomer(type, source);
	if (!is_peer(tunnel_id, source, port))
		return no_tunnel(source);
	return judge_member(type, source);
}

/*
 * Judges a data message of a session that is not installed, or that is being
 * changed: ppp says that PPP's own frame is in it. The session may be on its way
 * up, or one that only the slow path serves, whose users' packets no rate holds.
 * Not static for the verifier's sake (see write_udp_checksum).
 */
__noinline int judge_data(__u32 tunnel_id, __u32 source, __u32 port, __u32 ppp)
{
	const struct lns_facts *live = facts();
	struct lns_gates *gates;

	if (!is_peer(tunnel_id & 0xFFFF, source, port))
		return no_tunnel(source);
	if (!ppp)
		return LNS_CONTINUE;
	gates = gates_of(source);
	if (live && gates && !admit(&gates->setup, gate_clock(live), live->setup_interval))
		return LNS_DROP_SETUP_RATE;
	return LNS_CONTINUE;
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

/*
 * Judges a datagram that is to be passed to the daemon for reason. The cursor
 * stands before the L2TP header of a control message, before the PPP frame of a
 * data message, whose tunnel is tunnel_id.
 */
static __always_inline enum lns_reason shield(const struct frame *f, const struct udphdr *udp,
					      __u16 tunnel_id, enum lns_reason reason)
{
	struct cursor at = f->at;
	enum lns_reason verdict;
	__u32 protocol, ppp;

	if (reason == LNS_PUNT_CONTROL)
		return judge_control(f->ctx, distance(packet_start(f->ctx), at.pos), at.left,
				     f->ip->saddr, udp->source);
	if (reason != LNS_PUNT_UNKNOWN && reason != LNS_PUNT_CLOSED)
		return reason;
	ppp = reason == LNS_PUNT_UNKNOWN && take_ppp(&at, &protocol) == LNS_PUNT_PPP_CONTROL;
	verdict = judge_data(tunnel_id, f->ip->saddr, udp->source, ppp);
	return verdict ? verdict : reason;
}

#endif
