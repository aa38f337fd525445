/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Why each packet ended as it did. The groups give the verdict: sent on, passed
 * to the kernel untouched, dropped. Values index lns_reasons; new ones go to the
 * end of their group together with a new LNS_LAYOUT.
 */
#ifndef LNS_REASONS_H
#define LNS_REASONS_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

enum lns_reason {
	/* No end yet: go on. Never counted. */
	LNS_CONTINUE = 0,

	/* Sent on (XDP_REDIRECT). */
	LNS_SENT_UP,   /* decapsulated, towards the routed side */
	LNS_SENT_DOWN, /* encapsulated, towards the peer */
	LNS_SENT_ECHO, /* LCP Echo-Request, answered */
	LNS_SENT_HAIRPIN, /* from one subscriber to another */

	/* Not for us (XDP_PASS). */
	LNS_PASS_NOT_IP,     /* another ethertype, or more tags than two */
	LNS_PASS_PORT,       /* interface or VLAN that is not configured */
	LNS_PASS_OTHER_HOST, /* destination MAC is not the interface's */
	LNS_PASS_MALFORMED,  /* IP or UDP header that the kernel will refuse */
	LNS_PASS_NOT_OURS,   /* neither our socket nor a subscriber */

	/* Left to the slow path (XDP_PASS). */
	LNS_PUNT_CONTROL,     /* L2TP control message */
	LNS_PUNT_UNKNOWN,     /* data for a session that is not installed */
	LNS_PUNT_CLOSED,      /* session that is being changed */
	LNS_PUNT_VRF,         /* session outside the main routing table */
	LNS_PUNT_SEQUENCE,    /* data sequence numbers that are counted elsewhere */
	LNS_PUNT_PPP_CONTROL, /* LCP, authentication, NCPs */
	LNS_PUNT_PPP_OTHER,   /* other network protocol, or IPv6 where it is not on */
	LNS_PUNT_FRAGMENT,    /* fragment of an outer datagram */
	LNS_PUNT_OPTIONS,     /* IPv4 options, IPv6 hop-by-hop options */
	LNS_PUNT_MARTIAN,     /* source or destination that no router forwards */
	LNS_PUNT_TTL,         /* TTL or hop limit runs out here */
	LNS_PUNT_TOO_BIG,     /* larger than the session's or the route's MTU */
	LNS_PUNT_FOREIGN,     /* next hop through an interface that is not ours */
	LNS_PUNT_NO_NEIGH,    /* next hop's MAC address is not known */
	LNS_PUNT_LOCAL,       /* destination is this host, or has no route */
	LNS_PUNT_UNROUTABLE,  /* blackhole, unreachable or prohibit route */
	LNS_PUNT_FWD_OFF,     /* forwarding is off on the receiving interface */
	LNS_PUNT_FIB,         /* any other answer of the kernel's lookup */
	LNS_PUNT_HEADROOM,    /* no room for the outer headers */
	LNS_PUNT_LINK_LOCAL,  /* IPv6 of one link: link-local or multicast */
	LNS_PUNT_GARDEN,      /* from or to a session in a walled garden */

	LNS_PUNT_BUFFERS,     /* frame in several buffers, which this kernel cannot redirect */

	/* Dropped (XDP_DROP). */
	LNS_DROP_VERSION,   /* L2F or L2TPv3 on our port */
	LNS_DROP_L2TP,      /* malformed L2TP data header */
	LNS_DROP_PEER,      /* data not from the session's peer */
	LNS_DROP_SOURCE,    /* inner source is not the subscriber's */
	LNS_DROP_MALFORMED, /* inner packet is not valid IP */
	LNS_DROP_OUTPUT,    /* rewritten, and then could not be sent */
	LNS_DROP_ECN,       /* marked outside, and inside not ECN-capable */
	LNS_DROP_HAIRPIN,   /* to another subscriber, which is not allowed */
	LNS_DROP_LAC,       /* source is no LAC that is configured */
	LNS_DROP_CONTROL,   /* malformed L2TP control header */
	LNS_DROP_TUNNEL,    /* for no live tunnel, or not from its peer */
	LNS_DROP_SCCRQ_RATE,   /* too many tunnels asked for by this LAC */
	LNS_DROP_CALL_RATE,    /* too many calls asked for by this LAC */
	LNS_DROP_CONTROL_RATE, /* too many other control messages of this LAC */
	LNS_DROP_SETUP_RATE,   /* too many PPP frames of this LAC's new sessions */
	LNS_DROP_PPP_RATE,     /* too many PPP frames of this session */
	LNS_DROP_THROTTLE,     /* beyond the session's rate */
	LNS_DROP_LATE,         /* data message that a later one has overtaken */
	LNS_DROP_FILTER,       /* denied by the session's access list */
	LNS_DROP_PACKETS,      /* more packets to the session than packet_limit */
	LNS_DROP_HOOK,         /* the operator's function said so */

	LNS_REASONS,
};

#define LNS_FIRST_PASS LNS_PASS_NOT_IP
#define LNS_FIRST_DROP LNS_DROP_VERSION

/* The one place that turns a reason into a verdict. */
static __always_inline int verdict(enum lns_reason reason)
{
	if (reason < LNS_FIRST_PASS)
		return XDP_REDIRECT;
	if (reason < LNS_FIRST_DROP)
		return XDP_PASS;
	return XDP_DROP;
}

#endif
