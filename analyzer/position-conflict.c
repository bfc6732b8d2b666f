/* SPDX-License-Identifier: Apache-2.0 */
/*
 * position_conflict: where positions are one total order, each index belongs to
 * one operation, terms never fall along it, and it agrees with real time: what
 * was answered before something else began has the lower index, and no state
 * includes what was not yet asked for.
 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/checker.h"
#include "analyzer/order.h"

/* Somebody says that this operation, or expiry, stands at this index. */
struct entry {
    uint64_t index, term;
    uint32_t operation, lease; /* lease: of an expiry, else NONE */
    uint32_t invoke, end;
};

static int
entry_compare(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;

    if (a->index != b->index)
        return a->index < b->index ? -1 : 1;
    if (a->operation != b->operation)
        return a->operation < b->operation ? -1 : 1;
    return a->end < b->end ? -1 : a->end > b->end;
}

/* Sorted by index; several answers from one execution are one. */
static struct entry *
collect_entries(const struct table *t, uint32_t *ret_count)
{
    const struct operations *o = &t->operations;
    struct entry *e =
        xcalloc((size_t)t->answer_count + t->expired_count + 1, sizeof(*e));
    size_t count = 0;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < t->answer_count; i++) {
        const struct answer *a = &t->answers[i];

        if (a->index == INDEX_NONE ||
            function_is_read((enum function)o->function[a->operation]))
            continue;
        e[count++] = (struct entry){a->index,
                                    a->term,
                                    a->operation,
                                    TABLE_NONE,
                                    o->invoke[a->operation],
                                    a->event};
    }
    for (uint32_t i = 0; i < t->expired_count; i++) {
        const struct expired *x = &t->expired[i];

        e[count++] = (struct entry){x->index,
                                    0,
                                    x->operation,
                                    x->lease,
                                    o->invoke[x->operation],
                                    o->end[x->operation]};
    }
    order_nearly(e, count, sizeof(*e), entry_compare);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || e[kept - 1].index != e[i].index ||
            e[kept - 1].operation != e[i].operation ||
            e[kept - 1].lease != e[i].lease)
            e[kept++] = e[i];
    *ret_count = kept;
    return e;
}

static void
report(struct checker_run *run, const struct entry *a, const struct entry *b,
       const char *why)
{
    const struct table *t = run->table;
    struct text first = describe_operation(t, a->operation);
    struct text second = describe_operation(t, b->operation);

    if (!checker_violation(run,
                           "%s%s stands at position %llu and %s%s at "
                           "position %llu: %s",
                           a->lease == TABLE_NONE ? "" : "an expiry of ",
                           first.s, (unsigned long long)a->index,
                           b->lease == TABLE_NONE ? "" : "an expiry of ",
                           second.s, (unsigned long long)b->index, why))
        return;
    witness_event(run, a->invoke);
    witness_event(run, a->end);
    witness_event(run, b->invoke);
    witness_event(run, b->end);
}

/* Fills, by entry, which one up to it was invoked last. */
static uint32_t *
check_order(struct checker_run *run, const struct entry *e, uint32_t count)
{
    uint32_t *latest = xcalloc(count + 1ul, sizeof(*latest));
    const struct entry *term = NULL;

    for (uint32_t i = 0; i < count && !checker_expired(run); i++) {
        latest[i] = i;
        if (i > 0 && e[i - 1].index == e[i].index)
            report(run, &e[i - 1], &e[i],
                   "one position belongs to one operation");
        if (i > 0 && e[latest[i - 1]].invoke > e[i].invoke)
            latest[i] = latest[i - 1];
        if (e[i].end < e[latest[i]].invoke)
            report(run, &e[latest[i]], &e[i],
                   "the second was answered before the first was invoked");
        if (e[i].lease != TABLE_NONE)
            continue;
        if (term != NULL && term->term > e[i].term)
            report(run, term, &e[i],
                   "the term of the first is higher, and terms never fall");
        term = &e[i];
    }
    return latest;
}

/* The entries, and how many are at or below the index that was looked for
 * last. */
struct entries {
    struct entry *items;
    uint32_t *latest;
    uint32_t count, up_to;
    uint64_t index;
};

static bool
entry_is_up_to(const void *arg, uint32_t i)
{
    const struct entries *e = arg;

    return e->items[i].index <= e->index;
}

static void
check_read(struct checker_run *run, struct entries *e, uint32_t answer)
{
    const struct table *t = run->table;
    const struct answer *a = &t->answers[answer];
    const struct entry *last;
    struct text read, who;

    e->index = a->applied;
    e->up_to = order_search(e->count, e->up_to, entry_is_up_to, e);
    if (e->up_to == 0)
        return;
    last = &e->items[e->latest[e->up_to - 1]];
    if (last->invoke < a->event)
        return;
    read = describe_answer(t, answer);
    who = describe_operation(t, last->operation);
    if (!checker_violation(run,
                           "%s shows the state of position %llu, but %s at "
                           "position %llu was invoked only after that",
                           read.s, (unsigned long long)a->applied, who.s,
                           (unsigned long long)last->index))
        return;
    witness_operation(run, a->operation);
    witness_event(run, last->invoke);
}

static void
position_conflict_check(struct checker_run *run)
{
    const struct table *t = run->table;
    struct entries e = {0};

    if (!t->positions_total)
        return;
    e.items = collect_entries(t, &e.count);
    e.latest = check_order(run, e.items, e.count);
    for (uint32_t i = 0; i < t->answer_count && !checker_expired(run); i++) {
        const struct answer *a = &t->answers[i];

        if (a->applied != INDEX_NONE)
            check_read(run, &e, i);
    }
    free(e.items);
    free(e.latest);
}

const struct checker_ops checker_position_conflict_ops = {
    .name = "position_conflict",
    .description = "positions are one order and agree with real time",
    .model = CHECKER_EVERY_MODEL,
    .check = position_conflict_check,
};
