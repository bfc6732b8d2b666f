/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No id is given out twice: a table of all ids that were answered.
 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/engines/exact.h"
#include "analyzer/models/functions.h"

static bool
unique_ids_same(const void *arg, uint32_t call, uint64_t number)
{
    const struct calls *c = arg;

    return c->result[call] == (uint32_t)number;
}

static void
unique_ids_look(const struct problem *p, struct budget *b,
                const struct exact_index *index, struct decision *ret)
{
    const struct calls *c = p->calls;

    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t call = problem_call(p, i);
        if (i % EXACT_POLL_CALLS == 0 && exact_expired(b, ret)) {
            return;
        }
        if (c->complete[call] == CALL_OPEN) {
            continue;
        }
        uint32_t *slot =
            exact_index_slot(index, c->result[call], unique_ids_same, c);
        if (*slot != EXACT_NONE) {
            const uint32_t core[] = {*slot, call};
            exact_invalid(ret, core, 2, "id %s was given out twice",
                          exact_value(c, c->result[call]).text);
            return;
        }
        *slot = call;
    }
    exact_valid(ret, NULL, 0);
}

static void
unique_ids_decide(const struct problem *p, struct budget *b,
                  struct decision *ret)
{
    struct exact_index index;
    uint32_t low = UINT32_MAX, high = 0;

    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t id = p->calls->result[problem_call(p, i)];
        low = id < low ? id : low;
        high = id > high ? id : high;
    }
    if (exact_index_init(&index, low, high, p->count, b, ret)) {
        unique_ids_look(p, b, &index, ret);
    }
    exact_index_release(&index, b);
}

const struct engine_ops engine_unique_ids = {
    .name = "unique-ids",
    .description = "no id twice",
    .decide = unique_ids_decide,
};
