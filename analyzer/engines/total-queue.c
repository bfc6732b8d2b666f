/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes in comes out, once.  Per value: how often it was surely put in, how
 * often perhaps, how often it came out.
 *
 *   unexpected  it came out and was never put in
 *   duplicated  it came out more often than it can have been put in
 *   lost        it was surely put in and did not come out, and there are more
 *               such than open dequeues, of which each may have taken one; an
 *               open drain may have taken any number
 *
 * As Jepsen's total-queue, for histories that drain the queue at their end, but
 * for duplicates, which Jepsen only counts, and for open calls.
 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/engines/exact.h"
#include "analyzer/models/functions.h"

struct total_value {
    uint32_t value;
    uint32_t put, maybe, out; /* how often */
    uint32_t last;            /* a call that put it in; or took it out first */
};

struct total_queue {
    const struct problem *p;
    const struct calls *c;
    struct budget *b;
    struct decision *d;
    struct exact_index by_value;
    struct total_value *values;
    uint32_t count;
    uint64_t puts;
    uint32_t low, high;
    uint64_t open; /* dequeues */
    bool open_drain;
    size_t bytes;
};

static bool
total_same(const void *arg, uint32_t item, uint64_t number)
{
    const struct total_queue *q = arg;

    return q->values[item].value == (uint32_t)number;
}

static struct total_value *
total_value(struct total_queue *q, uint32_t value)
{
    uint32_t *slot = exact_index_slot(&q->by_value, value, total_same, q);

    return slot == NULL || *slot == EXACT_NONE ? NULL : &q->values[*slot];
}

static void
total_put(struct total_queue *q, uint32_t call)
{
    uint32_t value = q->c->a[call];
    uint32_t *slot = exact_index_slot(&q->by_value, value, total_same, q);

    if (*slot == EXACT_NONE) {
        *slot = q->count;
        q->values[q->count++] = (struct total_value){.value = value};
    }
    struct total_value *v = &q->values[*slot];
    if (q->c->complete[call] == CALL_OPEN) {
        v->maybe++;
    } else {
        v->put++;
    }
    v->last = call;
}

/* All calls that are about a value. */
static void
total_core(const struct total_queue *q, uint32_t value, struct exact_list *core)
{
    const struct calls *c = q->c;

    for (uint32_t i = 0; i < q->p->count; i++) {
        uint32_t call = problem_call(q->p, i);
        bool about =
            c->function[call] == TOTAL_QUEUE_ENQUEUE
                ? c->a[call] == value
                : c->complete[call] != CALL_OPEN && c->result[call] == value;
        for (uint32_t k = 0; !about && c->function[call] == TOTAL_QUEUE_DRAIN &&
                             k < call_list_count(c, call);
             k++) {
            about = call_list(c, call)[k] == value;
        }
        if (about) {
            exact_list_add(core, call);
        }
    }
}

static bool
total_take(struct total_queue *q, uint32_t call, uint32_t value)
{
    struct total_value *v = total_value(q, value);
    struct exact_list core = {0};

    if (v == NULL) {
        exact_invalid(q->d, &call, 1,
                      "unexpected: %s came out, but nobody put it in",
                      exact_value(q->c, value).text);
        return false;
    }
    if (++v->out <= v->put + v->maybe) {
        return true;
    }
    total_core(q, value, &core);
    exact_invalid(q->d, core.items, core.count,
                  "duplicated: %s was put in %u times and came out %u times",
                  exact_value(q->c, value).text, v->put + v->maybe, v->out);
    exact_list_release(&core);
    return false;
}

static bool
total_takes(struct total_queue *q)
{
    const struct calls *c = q->c;

    for (uint32_t i = 0; i < q->p->count; i++) {
        uint32_t call = problem_call(q->p, i);
        bool drain = c->function[call] == TOTAL_QUEUE_DRAIN;
        if (i % EXACT_POLL_CALLS == 0 && exact_expired(q->b, q->d)) {
            return false;
        }
        if (c->function[call] == TOTAL_QUEUE_ENQUEUE) {
            continue;
        }
        if (c->complete[call] == CALL_OPEN) {
            q->open += !drain;
            q->open_drain = q->open_drain || drain;
            continue;
        }
        if (!drain && c->result[call] != VALUE_NIL &&
            !total_take(q, call, c->result[call])) {
            return false;
        }
        for (uint32_t k = 0; drain && k < call_list_count(c, call); k++) {
            if (!total_take(q, call, call_list(c, call)[k])) {
                return false;
            }
        }
    }
    return true;
}

static void
total_lost(struct total_queue *q)
{
    const struct total_value *first = NULL;
    struct exact_list core = {0};
    uint64_t lost = 0;

    for (uint32_t i = 0; i < q->count; i++) {
        const struct total_value *v = &q->values[i];
        if (v->put > v->out) {
            lost += v->put - v->out;
            first = first == NULL ? v : first;
            if (core.count <= q->open) {
                exact_list_add(&core, v->last);
            }
        }
    }
    if (lost <= q->open || q->open_drain) {
        exact_valid(q->d, NULL, 0);
    } else {
        if (lost == 1) {
            core.count = 0;
            total_core(q, first->value, &core);
        }
        for (uint32_t i = 0; q->open > 0 && i < q->p->count; i++) {
            uint32_t call = problem_call(q->p, i);
            if (q->c->function[call] != TOTAL_QUEUE_ENQUEUE &&
                q->c->complete[call] == CALL_OPEN) {
                exact_list_add(&core, call);
            }
        }
        exact_invalid(q->d, core.items, core.count,
                      "lost: %s was put in and never came out%s",
                      exact_value(q->c, first->value).text,
                      lost == 1 ? "" : ", and it is not the only one");
    }
    exact_list_release(&core);
}

static void
total_queue_decide(const struct problem *p, struct budget *b,
                   struct decision *ret)
{
    struct total_queue q = {
        .p = p, .c = p->calls, .b = b, .d = ret, .low = UINT32_MAX};

    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t call = problem_call(p, i), value = q.c->a[call];
        if (q.c->function[call] == TOTAL_QUEUE_ENQUEUE) {
            q.low = value < q.low ? value : q.low;
            q.high = value > q.high ? value : q.high;
            q.puts++;
        }
    }
    q.bytes = (q.puts + 1) * sizeof(*q.values);
    if (!exact_take(b, q.bytes, ret)) {
        return;
    }
    q.values = xrealloc(NULL, q.bytes);
    if (exact_index_init(&q.by_value, q.low, q.high, q.puts, b, ret)) {
        for (uint32_t i = 0; i < p->count; i++) {
            uint32_t call = problem_call(p, i);
            if (q.c->function[call] == TOTAL_QUEUE_ENQUEUE) {
                total_put(&q, call);
            }
        }
        if (total_takes(&q)) {
            total_lost(&q);
        }
    }
    exact_index_release(&q.by_value, b);
    free(q.values);
    budget_give(b, q.bytes);
}

const struct engine_ops engine_total_queue = {
    .name = "total-queue",
    .description = "nothing lost, nothing twice, nothing made up",
    .decide = total_queue_decide,
};
