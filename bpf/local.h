/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef LNS_LOCAL_H
#define LNS_LOCAL_H

#include "frame.h"

/* Whether addr (network order) and port are a socket of ours; port 0 asks for
 * the address alone. */
static __always_inline int is_local(__be32 addr, __u16 port)
{
	struct lns_local key = { .port = port };
	const struct lns_hint *hints = hints_now();

	if (!hints || !(hints->locals >> (addr * LOCAL_MIX >> LOCAL_SHIFT) & 1))
		return 0;
	if (port && addr == addr_word(hints->local.addr) && port == hints->local.port)
		return 1;
	__builtin_memcpy(key.addr, &addr, sizeof(key.addr));
	return bpf_map_lookup_elem(&lns_locals, &key) != NULL;
}

#endif
