/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replica_divergence: the digests that nodes give of their state at one
 * position (notes "digest") are equal.
 */
#include "config.h"

#include <string.h>

#include "analyzer/checker.h"

static void
compare(struct checker_run *run, const struct remark *a, const struct remark *b,
        int64_t index)
{
    const struct table *t = run->table;
    const struct value *x = fields_get(&a->fields, "digest");
    const struct value *y = fields_get(&b->fields, "digest");

    if (value_equal(x, y))
        return;
    if (checker_violation(run,
                          "%s and %s have different states at position %lld "
                          "(digests at events %u and %u)",
                          t->names[a->node], t->names[b->node],
                          (long long)index, a->event, b->event)) {
        witness_event(run, a->event);
        witness_event(run, b->event);
    }
}

static void
replica_divergence_check(struct checker_run *run)
{
    const struct table *t = run->table;
    struct map first = {0};

    for (uint32_t i = 0; i < t->remark_count && !checker_expired(run); i++) {
        const struct remark *r = &t->remarks[i];
        uint32_t *at;
        int64_t index;

        if (r->fault || strcmp(r->function, "digest") != 0 ||
            !fields_int(&r->fields, "index", &index) ||
            fields_get(&r->fields, "digest") == NULL)
            continue;
        at = map_put(&first, (struct id128){0, (uint64_t)index});
        if (*at == MAP_NONE)
            *at = i;
        else
            compare(run, &t->remarks[*at], r, index);
    }
    map_release(&first);
}

const struct checker_ops checker_replica_divergence_ops = {
    .name = "replica_divergence",
    .description = "replicas have one state at one position",
    .model = CHECKER_EVERY_MODEL,
    .check = replica_divergence_check,
};
