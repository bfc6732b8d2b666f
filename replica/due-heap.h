/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is due when: a binary heap of a table's rows by (deadline, id), in which
 * each row is at most once and can be removed again.
 */
#ifndef ORDEAL_REPLICA_DUE_HEAP_H
#define ORDEAL_REPLICA_DUE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/base/id128.h"

struct due {
    uint64_t deadline;
    struct id128 id;
    uint32_t row;
};

struct due_heap {
    struct due *items;
    uint32_t *at; /* of a row, + 1; 0: not in the heap */
    uint32_t count, max;
};

void due_heap_init(struct due_heap *h, uint32_t max);
void due_heap_release(struct due_heap *h);

/* The row is below 'max' and not in the heap (asserted). */
void due_heap_add(struct due_heap *h, const struct due *d);
/* False: it was not there. */
bool due_heap_remove(struct due_heap *h, uint32_t row);

/* NULL when it is empty; valid until the next change. */
const struct due *due_heap_first(const struct due_heap *h);

/*
 * All with a deadline of at most 'slot', in order; 'ret' has room for
 * h->count.  Costs by what is due, not by what is there.
 */
uint32_t due_heap_collect(const struct due_heap *h, uint64_t slot,
                          struct due *ret);

#endif
