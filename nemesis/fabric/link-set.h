/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of directed links: pairs (from, to) of ports of one switch.  What goes
 * from a to b and what goes from b to a are two links.
 */
#ifndef ORDEAL_NEMESIS_FABRIC_LINK_SET_H
#define ORDEAL_NEMESIS_FABRIC_LINK_SET_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#define SWITCH_PORT_COUNT_MAX 16 /* NODE_COUNT_MAX and room for clients */

/* Bit 'to' of to[from].  All zero is the empty set. */
struct link_set {
    uint32_t to[SWITCH_PORT_COUNT_MAX];
};

static inline void
link_set_add(struct link_set *s, unsigned from, unsigned to)
{
    assert(from < SWITCH_PORT_COUNT_MAX && to < SWITCH_PORT_COUNT_MAX);
    if (from != to)
        s->to[from] |= UINT32_C(1) << to;
}

static inline void
link_set_add_both(struct link_set *s, unsigned a, unsigned b)
{
    link_set_add(s, a, b);
    link_set_add(s, b, a);
}

static inline bool
link_set_has(const struct link_set *s, unsigned from, unsigned to)
{
    assert(from < SWITCH_PORT_COUNT_MAX && to < SWITCH_PORT_COUNT_MAX);
    return s->to[from] >> to & 1;
}

static inline unsigned
link_set_count(const struct link_set *s)
{
    unsigned count = 0;

    for (unsigned from = 0; from < SWITCH_PORT_COUNT_MAX; from++)
        count += (unsigned)__builtin_popcount(s->to[from]);
    return count;
}

/* Every link among the first 'port_count' ports. */
static inline struct link_set
link_set_all(unsigned port_count)
{
    struct link_set s = {{0}};

    for (unsigned from = 0; from < port_count; from++)
        for (unsigned to = 0; to < port_count; to++)
            link_set_add(&s, from, to);
    return s;
}

#endif
