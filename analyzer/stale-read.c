/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stale_read: a read keeps the claim it made.
 *   linearizable  its state includes everything that was acknowledged before
 *                 the read began (by position), and shows it (by value);
 *   fenced        its state includes the fence, and shows what its position
 *                 says;
 *   any           nothing here: phantom_result wants that what it shows
 *                 existed.
 * Reads of the sweeps are judged by lost_write as to their values.  Of quotas
 * and pools positions alone are judged here; 'linearizable' judges values.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/judge-read.h"
#include "analyzer/order.h"

/* By the event of an answer: the one with the highest position that is known to
 * the clients. */
struct known {
    uint32_t event, answer;
};

static int
known_compare(const void *x, const void *y)
{
    const struct known *a = x, *b = y;

    return a->event < b->event ? -1 : a->event > b->event;
}

/* The position of what an answer shows, or of what it did. */
static uint64_t
known_index(const struct table *t, uint32_t answer)
{
    const struct answer *a = &t->answers[answer];
    enum function f = (enum function)t->operations.function[a->operation];

    return function_is_read(f) ? a->applied : a->index;
}

/* Answers in order of time, each with the highest position up to it. */
static struct known *
collect_known(const struct table *t, uint32_t *ret_count)
{
    struct known *known = xcalloc(t->answer_count + 1ul, sizeof(*known));
    const struct operations *o = &t->operations;
    uint32_t count = 0;

    for (uint32_t i = 0; i < t->answer_count; i++) {
        const struct answer *a = &t->answers[i];
        bool read = function_is_read((enum function)o->function[a->operation]);

        if (known_index(t, i) == INDEX_NONE ||
            (read && o->claim[a->operation] != CLAIM_LINEARIZABLE))
            continue;
        known[count++] = (struct known){a->event, i};
    }
    order_nearly(known, count, sizeof(known[0]), known_compare);
    for (uint32_t i = 1; i < count; i++)
        if (known_index(t, known[i - 1].answer) >=
            known_index(t, known[i].answer))
            known[i].answer = known[i - 1].answer;
    *ret_count = count;
    return known;
}

/* What is known, and where it was looked for last. */
struct knowledge {
    struct known *items;
    uint32_t count, hint;
    uint32_t event; /* that is looked for */
};

static bool
known_is_below(const void *arg, uint32_t i)
{
    const struct knowledge *k = arg;

    return k->items[i].event < k->event;
}

/* The highest position acknowledged before 'event'; NULL: none. */
static const struct known *
known_before(struct knowledge *k, uint32_t event)
{
    k->event = event;
    k->hint = order_search(k->count, k->hint, known_is_below, k);
    return k->hint == 0 ? NULL : &k->items[k->hint - 1];
}

static bool
behind(struct checker_run *run, struct knowledge *knowledge, uint32_t answer)
{
    const struct table *t = run->table;
    const struct answer *a = &t->answers[answer];
    const struct known *k =
        known_before(knowledge, t->operations.invoke[a->operation]);
    struct text read, who;

    if (k == NULL || a->applied == INDEX_NONE ||
        known_index(t, k->answer) <= a->applied)
        return false;
    read = describe_answer(t, answer);
    who = describe_answer(t, k->answer);
    if (checker_violation(
            run,
            "linearizable %s shows the state of position %llu, but %s was "
            "acknowledged at position %llu before the read began",
            read.s, (unsigned long long)a->applied, who.s,
            (unsigned long long)known_index(t, k->answer))) {
        witness_event(run, t->attempts.invoke[t->answers[k->answer].attempt]);
        witness_event(run, t->answers[k->answer].event);
        witness_operation(run, a->operation);
    }
    return true;
}

static bool
before_fence(struct checker_run *run, uint32_t answer)
{
    const struct table *t = run->table;
    const struct answer *a = &t->answers[answer];
    uint64_t required = t->operations.required[a->operation];
    struct text read;

    if (required == INDEX_NONE || a->applied == INDEX_NONE ||
        a->applied >= required)
        return false;
    read = describe_answer(t, answer);
    if (checker_violation(run,
                          "fenced %s asked for a state at or after position "
                          "%llu and got that of position %llu",
                          read.s, (unsigned long long)required,
                          (unsigned long long)a->applied))
        witness_operation(run, a->operation);
    return true;
}

static void
by_value(struct checker_run *run, uint32_t answer)
{
    const struct table *t = run->table;
    const struct answer *a = &t->answers[answer];
    bool resource =
        t->operations.function[a->operation] == FUNCTION_GET_RESOURCE;
    struct contradiction c;
    struct text read, at, id;

    if (!read_contradicts(run->facts, answer, &c))
        return;
    read = describe_answer(t, answer);
    at = describe_position(t, a->applied);
    id = describe_id(
        t, resource ? t->lists[t->operations.resources[a->operation].first]
                    : t->operations.lease[a->operation]);
    if (checker_violation(run, "%s of %s %s%s %s", read.s,
                          resource ? "resource" : "lease", id.s, at.s,
                          c.text)) {
        witness_operation(run, a->operation);
        witness_operation(run, c.by);
    }
}

static void
stale_read_check(struct checker_run *run)
{
    const struct table *t = run->table;
    const struct operations *o = &t->operations;
    bool leases = strcmp(t->model, "allocator") == 0;
    struct knowledge known = {0};

    if (t->positions_total)
        known.items = collect_known(t, &known.count);

    for (uint32_t i = 0; i < t->answer_count && !checker_expired(run); i++) {
        const struct answer *a = &t->answers[i];
        uint32_t op = a->operation;

        if (!function_is_read((enum function)o->function[op]))
            continue;
        if (t->positions_total && before_fence(run, i))
            continue;
        if (o->claim[op] == CLAIM_ANY ||
            (o->claim[op] == CLAIM_FENCED && !t->positions_total))
            continue;
        if (o->claim[op] == CLAIM_LINEARIZABLE && behind(run, &known, i))
            continue;
        if (leases && !facts_in_sweep(run->facts, o->invoke[op]))
            by_value(run, i);
    }
    free(known.items);
    if (strcmp(t->model, "block") == 0)
        block_values_check(run, false);
}

const struct checker_ops checker_stale_read_ops = {
    .name = "stale_read",
    .description = "a read keeps the claim it made, by value and by position",
    .model = CHECKER_EVERY_MODEL,
    .check = stale_read_check,
};
