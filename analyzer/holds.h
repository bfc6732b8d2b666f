/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a history says of each hold of a pool: who placed it, and the commands
 * on it that can have ended it.  Shared by pool_overcommit and hold_misuse.
 *
 * Threads: built by one, then immutable.
 */
#ifndef ORDEAL_ANALYZER_HOLDS_H
#define ORDEAL_ANALYZER_HOLDS_H

#include "analyzer/facts.h"

struct hold_fact {
    uint32_t id;                   /* in table->ids */
    uint32_t placed, placed_again; /* operations answered ok, or NONE */
    uint32_t ended, ended_again;   /* confirm, release or expire, the same */
    /* Some command that ends holds has no known result, or may have been
     * executed a second time. */
    bool doubtful;
    /* The lowest position at which it is known to be over, or INDEX_NONE. */
    uint64_t over;
};

struct hold_facts {
    struct hold_fact *items;
    uint32_t count, *of_id; /* by id: its place, or NONE */
};

void hold_facts_init(struct hold_facts *h, const struct facts *f);
void hold_facts_release(struct hold_facts *h);

/* The operation is a confirm, release or expire of a hold. */
bool hold_is_ending(enum function f);

#endif
