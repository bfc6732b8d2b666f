/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all engines share: budgets, decisions, and the contract between an
 * engine and whoever asks it.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/engine.h"

/* Between two looks at the clock: what engines do between two polls takes
 * microseconds, so this is far below the 100 ms that are promised. */
#define BUDGET_POLLS_PER_LOOK 64

bool
budget_expired(struct budget *b)
{
    if (b->cancel != NULL &&
        atomic_load_explicit(b->cancel, memory_order_relaxed)) {
        return true;
    }
    if (b->polls++ % BUDGET_POLLS_PER_LOOK != 0) {
        return false;
    }
    if (clock_now_ns(b->clock) < b->deadline_ns) {
        return false;
    }
    b->polls = 0; /* the next one sees it as well */
    return true;
}

bool
budget_take(struct budget *b, size_t bytes)
{
    if (bytes > b->memory_bytes || b->used_bytes > b->memory_bytes - bytes) {
        return false;
    }
    b->used_bytes += bytes;
    if (b->used_bytes > b->peak_bytes) {
        b->peak_bytes = b->used_bytes;
    }
    return true;
}

void
budget_give(struct budget *b, size_t bytes)
{
    assert(bytes <= b->used_bytes);
    b->used_bytes -= bytes;
}

const char *
edge_kind_name(enum edge_kind k)
{
    static const char *const names[] = {
        [EDGE_REAL_TIME] = "real time", [EDGE_OBSERVED] = "observed",
        [EDGE_REFUSED] = "refused",     [EDGE_DEDUPE] = "dedupe",
        [EDGE_EPOCH] = "epoch",         [EDGE_POSITION] = "position",
        [EDGE_OVERWRITE] = "overwrite", [EDGE_ANTI] = "not yet seen",
    };

    assert((size_t)k < ARRAY_LEN(names));
    return names[k];
}

void
decision_release(struct decision *d)
{
    for (uint32_t i = 0; i < d->edge_count; i++) {
        free(d->edges[i].text);
    }
    free(d->edges);
    free(d->order);
    free(d->core);
    free(d->core_firm);
    memset(d, 0, sizeof(*d));
}

void
engine_decide(const struct engine_ops *e, const struct problem *p,
              struct budget *b, struct decision *ret)
{
    size_t before = b->used_bytes;

    memset(ret, 0, sizeof(*ret));
    ret->verdict = VERDICT_UNKNOWN;
    if (e->applies != NULL && !e->applies(p)) {
        snprintf(ret->reason, sizeof(ret->reason),
                 "engine '%s' does not apply to these calls", e->name);
    } else {
        e->decide(p, b, ret);
    }
    if (ret->engine == NULL) {
        ret->engine = e->name;
    }
    assert(b->used_bytes == before); /* engines keep nothing */
    assert(ret->verdict != VERDICT_UNKNOWN || ret->reason[0] != '\0');
    assert(ret->verdict == VERDICT_VALID || ret->order == NULL);
    assert(ret->verdict == VERDICT_INVALID || ret->core == NULL);
    if (ret->peak_bytes < b->peak_bytes) {
        ret->peak_bytes = b->peak_bytes;
    }
}
