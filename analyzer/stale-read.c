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

/* By the event of an answer: the highest position known to the clients. */
struct known {
    uint32_t event, answer;
    uint64_t index;
};

static int
known_compare(const void *x, const void *y)
{
    const struct known *a = x, *b = y;

    return a->event < b->event ? -1 : a->event > b->event;
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
        uint64_t index = read ? a->applied : a->index;

        if (index == INDEX_NONE ||
            (read && o->claim[a->operation] != CLAIM_LINEARIZABLE))
            continue;
        known[count++] = (struct known){a->event, i, index};
    }
    order_nearly(known, count, sizeof(known[0]), known_compare);
    for (uint32_t i = 1; i < count; i++) {
        if (known[i - 1].index >= known[i].index) {
            known[i].index = known[i - 1].index;
            known[i].answer = known[i - 1].answer;
        }
    }
    *ret_count = count;
    return known;
}

/* The highest position acknowledged before 'event'; NULL: none. */
static const struct known *
known_before(const struct known *known, uint32_t count, uint32_t event)
{
    uint32_t low = 0, high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (known[middle].event < event)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? NULL : &known[low - 1];
}

static bool
behind(struct checker_run *run, const struct known *known, uint32_t count,
       uint32_t answer)
{
    const struct table *t = run->table;
    const struct answer *a = &t->answers[answer];
    const struct known *k =
        known_before(known, count, t->operations.invoke[a->operation]);
    struct text read, who;

    if (k == NULL || a->applied == INDEX_NONE || k->index <= a->applied)
        return false;
    read = describe_answer(t, answer);
    who = describe_answer(t, k->answer);
    if (checker_violation(
            run,
            "linearizable %s shows the state of position %llu, but %s was "
            "acknowledged at position %llu before the read began",
            read.s, (unsigned long long)a->applied, who.s,
            (unsigned long long)k->index)) {
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
    uint32_t count = 0;
    CLEANUP_FREE struct known *known =
        t->positions_total ? collect_known(t, &count) : NULL;

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
        if (o->claim[op] == CLAIM_LINEARIZABLE && behind(run, known, count, i))
            continue;
        if (leases && !facts_in_sweep(run->facts, o->invoke[op]))
            by_value(run, i);
    }
    if (strcmp(t->model, "block") == 0)
        block_values_check(run, false);
}

const struct checker_ops checker_stale_read_ops = {
    .name = "stale_read",
    .description = "a read keeps the claim it made, by value and by position",
    .model = CHECKER_EVERY_MODEL,
    .check = stale_read_check,
};
