/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_overcommit: what is held and what is consumed never exceed a pool.  At
 * each hold that was placed, by its position: those placed before it that must
 * still take their part then.  A hold that was confirmed, at whatever time, has
 * taken its part since it was placed.  One that was not takes it for certain
 * only while no command that nobody knows the end of can have ended it, and
 * while the slot has not passed its deadline.  And a read that shows more than
 * there is needs no argument.
 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/checker.h"
#include "analyzer/holds.h"

/* A hold that was placed. */
struct placing {
    uint32_t pool; /* in ids */
    uint64_t index;
    uint32_t hold; /* in hold_facts */
};

static int
placing_compare(const void *x, const void *y)
{
    const struct placing *a = x, *b = y;

    if (a->pool != b->pool)
        return a->pool < b->pool ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static bool
pool_is_confirmed(const struct table *t, const struct hold_fact *h)
{
    return h->ended != TABLE_NONE &&
           t->operations.function[h->ended] == FUNCTION_CONFIRM_HOLD;
}

/* Whether the earlier hold must take its part at the position and slot. */
static bool
pool_takes(const struct table *t, const struct hold_fact *h, uint64_t index,
           int64_t slot)
{
    int64_t deadline =
        table_number(t, t->operations.resources[h->placed], PLACE_DEADLINE);

    if (pool_is_confirmed(t, h))
        return true;
    return !h->doubtful && slot != SLOT_NONE && slot <= deadline &&
           index < h->over;
}

static void
pool_report(struct checker_run *run, const struct hold_facts *holds,
            const struct placing *p, const uint32_t *active, size_t count,
            int64_t total)
{
    const struct table *t = run->table;
    const struct operations *o = &t->operations;
    struct text pool = describe_id(t, p->pool);
    struct text who = describe_operation(t, holds->items[p->hold].placed);
    int64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += o->amount[holds->items[active[i]].placed];
    if (!checker_violation(run,
                           "pool %s has %lld, but with %s at position %llu "
                           "%zu holds take %lld of it",
                           pool.s, (long long)total, who.s,
                           (unsigned long long)p->index, count, (long long)sum))
        return;
    for (size_t i = count; i-- > 0;)
        witness_event(run, o->end[holds->items[active[i]].placed]);
}

/* By pool (in ids): its size, or -1. */
static int64_t *
pool_totals(const struct table *t)
{
    int64_t *totals = xcalloc(t->id_count + 1ul, sizeof(*totals));
    const struct operations *o = &t->operations;

    for (uint32_t i = 0; i < t->id_count; i++)
        totals[i] = -1;
    for (uint32_t op = 0; op < o->count; op++)
        if (o->function[op] == FUNCTION_CREATE_POOL &&
            o->answer[op] != TABLE_NONE &&
            t->answers[o->answer[op]].code == CODE_OK)
            totals[t->lists[o->resources[op].first + POOL_ID]] = o->amount[op];
    return totals;
}

static struct placing *
pool_placings(const struct table *t, const struct hold_facts *holds,
              size_t *ret_count)
{
    struct placing *list = xcalloc(holds->count + 1ul, sizeof(*list));
    size_t count = 0;

    for (uint32_t i = 0; i < holds->count; i++) {
        uint32_t op = holds->items[i].placed;
        uint64_t index;

        if (op == TABLE_NONE)
            continue;
        index = t->answers[t->operations.answer[op]].index;
        if (index != INDEX_NONE)
            list[count++] = (struct placing){
                t->lists[t->operations.resources[op].first + PLACE_POOL], index,
                i};
    }
    qsort(list, count, sizeof(*list), placing_compare);
    *ret_count = count;
    return list;
}

/* The holds of one pool in order; 'active' has room for them. */
static void
pool_check(struct checker_run *run, const struct hold_facts *holds,
           const struct placing *list, size_t count, int64_t total,
           uint32_t *active)
{
    const struct table *t = run->table;
    const struct operations *o = &t->operations;
    size_t held = 0;

    for (size_t i = 0; i < count && !checker_expired(run); i++) {
        uint32_t placed = holds->items[list[i].hold].placed;
        int64_t slot = t->answers[o->answer[placed]].slot, sum = 0;
        size_t kept = 0;

        active[held++] = list[i].hold;
        for (size_t k = 0; k < held; k++) {
            const struct hold_fact *h = &holds->items[active[k]];

            /* Just placed, it is there, whatever comes then. */
            if (active[k] != list[i].hold &&
                !pool_takes(t, h, list[i].index, slot))
                continue;
            if (__builtin_add_overflow(sum, o->amount[h->placed], &sum))
                sum = INT64_MAX;
            active[kept++] = active[k];
        }
        held = kept;
        if (sum > total)
            pool_report(run, holds, &list[i], active, held, total);
    }
}

static void
pool_check_reads(struct checker_run *run)
{
    const struct table *t = run->table;

    for (uint32_t i = 0; i < t->answer_count && !checker_expired(run); i++) {
        const struct answer *a = &t->answers[i];
        int64_t total = table_number(t, a->resources, READ_POOL_TOTAL);
        int64_t held = table_number(t, a->resources, READ_POOL_HELD);
        int64_t consumed = table_number(t, a->resources, READ_POOL_CONSUMED);
        struct text who;

        if (t->operations.function[a->operation] != FUNCTION_GET_POOL ||
            !a->found || held <= total - consumed)
            continue;
        who = describe_answer(t, i);
        if (checker_violation(
                run, "%s shows %lld held and %lld consumed of %lld", who.s,
                (long long)held, (long long)consumed, (long long)total))
            witness_operation(run, a->operation);
    }
}

static void
pool_overcommit_check(struct checker_run *run)
{
    const struct table *t = run->table;
    CLEANUP(hold_facts_release) struct hold_facts holds;
    CLEANUP_FREE int64_t *totals = pool_totals(t);
    CLEANUP_FREE struct placing *list = NULL;
    CLEANUP_FREE uint32_t *active = NULL;
    size_t count, begin = 0;

    hold_facts_init(&holds, run->facts);
    pool_check_reads(run);
    if (!t->positions_total)
        return;
    list = pool_placings(t, &holds, &count);
    active = xcalloc(count + 1, sizeof(*active));
    for (size_t i = 1; i <= count; i++) {
        if (i < count && list[i].pool == list[begin].pool)
            continue;
        if (totals[list[begin].pool] >= 0)
            pool_check(run, &holds, &list[begin], i - begin,
                       totals[list[begin].pool], active);
        begin = i;
    }
}

const struct checker_ops checker_pool_overcommit_ops = {
    .name = "pool_overcommit",
    .description = "held and consumed never exceed a pool",
    .model = "pool",
    .check = pool_overcommit_check,
};
