/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters.
 *
 * Bounds, for any amounts: a read is at least what was surely added when it
 * began and at most what was perhaps added when it ended (below: with what is
 * negative counted the other way).  A read outside of them is INVALID.
 *
 * Exactly, if all amounts are equal: the k-th addition must stand after all
 * reads that saw fewer than k, and before all that saw k or more.  Additions
 * are put off until one must be: because of such a read, or because its answer
 * comes; then the one that is answered first goes.  Nothing is lost by waiting,
 * for what could have been done stays possible until it is answered.
 *
 * Other amounts within the bounds are left to the general engines.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/exact.h"
#include "analyzer/models/functions.h"

struct counter {
    const struct problem *p;
    const struct calls *c;
    struct budget *b;
    struct decision *d;
    int64_t initial;
    int64_t amount;  /* of all additions; 0: they differ */
    uint64_t *adds;  /* answer and call, rising; open ones last */
    uint64_t *reads; /* as needed */
    uint32_t *by_invoke;
    uint32_t add_count, read_count;
    /* by number of additions k: the k-th stands in [first, last] */
    uint32_t *first, *last;
    uint64_t *heap;
    uint32_t heap_count;
    uint32_t *line; /* additions in order */
    uint32_t line_count;
    size_t bytes;
};

static int64_t
counter_amount(const struct counter *k, uint32_t call)
{
    int64_t n = 0;

    (void)value_to_int(k->c, k->c->a[call], &n);
    return n;
}

static int64_t
counter_seen(const struct counter *k, uint32_t read)
{
    int64_t n = 0;

    (void)value_to_int(k->c, k->c->result[read], &n);
    return n;
}

/* ---- bounds ---- */

/* The additions of one sign that answer for a read too low or too high. */
static void
counter_invalid(struct counter *k, uint32_t read, bool high, __int128 bound)
{
    const struct calls *c = k->c;
    struct exact_list core = {0};

    exact_list_add(&core, read);
    for (uint32_t i = 0; i < k->add_count; i++) {
        uint32_t call = k->by_invoke[i];
        bool sure = c->complete[call] < c->invoke[read];
        bool maybe = c->invoke[call] < c->complete[read];
        bool up = counter_amount(k, call) > 0;
        /* Too high: all that can have raised it; what lowered it was sure.
         * Too low: the other way round. */
        if (up == high ? maybe : sure) {
            exact_list_add(&core, call);
        }
    }
    exact_invalid(k->d, core.items, core.count,
                  "'%s' is too %s: it cannot be %s %" PRId64,
                  exact_call(c, read).text, high ? "high" : "low",
                  high ? "above" : "below", (int64_t)bound);
    exact_list_release(&core);
}

static bool
counter_bounds(struct counter *k)
{
    const struct calls *c = k->c;
    /* Sums of positive and negative amounts: surely added at the invocations of
     * reads; perhaps added at their answers, kept by read. */
    __int128 sure[2] = {0}, maybe[2] = {0};
    uint32_t ended = 0, begun = 0;
    CLEANUP_FREE __int128 *at_invoke =
        xrealloc(NULL, 2 * ((size_t)k->read_count + 1) * sizeof(*at_invoke));

    for (uint32_t i = 0; i < k->read_count; i++) {
        uint32_t read = (uint32_t)k->reads[i]; /* by invocation */
        while (ended < k->add_count && k->adds[ended] >> 32 < c->invoke[read]) {
            int64_t n = counter_amount(k, (uint32_t)k->adds[ended++]);
            sure[n < 0] += n;
        }
        at_invoke[2 * i] = sure[0];
        at_invoke[2 * i + 1] = sure[1];
        k->reads[i] = (uint64_t)c->complete[read] << 32 | i;
    }
    CLEANUP_FREE uint32_t *calls =
        xrealloc(NULL, ((size_t)k->read_count + 1) * sizeof(*calls));
    for (uint32_t i = 0, at = 0; i < k->p->count; i++) {
        uint32_t call = problem_call(k->p, i);
        if (c->function[call] == COUNTER_READ &&
            c->complete[call] != CALL_OPEN) {
            calls[at++] = call;
        }
    }
    if (!exact_sort(k->reads, k->read_count, k->b, k->d)) {
        return false;
    }
    for (uint32_t i = 0; i < k->read_count; i++) {
        uint32_t at = (uint32_t)k->reads[i], read = calls[at];
        while (begun < k->add_count &&
               c->invoke[k->by_invoke[begun]] < c->complete[read]) {
            int64_t n = counter_amount(k, k->by_invoke[begun++]);
            maybe[n < 0] += n;
        }
        __int128 low = k->initial + at_invoke[2 * at] + maybe[1];
        __int128 high = k->initial + maybe[0] + at_invoke[2 * at + 1];
        if (low < INT64_MIN || high > INT64_MAX) {
            exact_unknown(k->d, "the sums pass 64 bits");
            return false;
        }
        int64_t seen = counter_seen(k, read);
        if (seen < low || seen > high) {
            counter_invalid(k, read, seen > high, seen > high ? high : low);
            return false;
        }
        k->reads[i] = (uint64_t)(uint32_t)i << 32 | read;
    }
    return true;
}

/* ---- equal amounts ---- */

static void
counter_heap_add(struct counter *k, uint64_t item)
{
    uint32_t at = k->heap_count++;

    while (at > 0 && k->heap[(at - 1) / 2] > item) {
        k->heap[at] = k->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    k->heap[at] = item;
}

static uint64_t
counter_heap_take(struct counter *k)
{
    uint64_t ret = k->heap[0], item = k->heap[--k->heap_count];
    uint32_t at = 0, child;

    while ((child = 2 * at + 1) < k->heap_count) {
        child +=
            child + 1 < k->heap_count && k->heap[child + 1] < k->heap[child];
        if (k->heap[child] >= item) {
            break;
        }
        k->heap[at] = k->heap[child];
        at = child;
    }
    k->heap[at] = item;
    return ret;
}

/* How many additions a read saw; its place in the order of reads. */
static bool
counter_level(const struct counter *k, uint32_t read, uint32_t *ret)
{
    __int128 sum = (__int128)counter_seen(k, read) - k->initial;

    if (k->amount == 0 || sum % k->amount != 0 || sum / k->amount < 0 ||
        sum / k->amount > k->add_count) {
        return false;
    }
    *ret = (uint32_t)(sum / k->amount);
    return true;
}

/* The ranks between which the k-th addition stands, and the reads by level. */
static bool
counter_windows(struct counter *k, uint32_t *ret_most)
{
    const struct calls *c = k->c;
    uint32_t level;

    *ret_most = 0;
    for (uint32_t i = 0; i <= k->add_count + 1; i++) {
        k->first[i] = 0;
        k->last[i] = CALL_OPEN;
    }
    for (uint32_t i = 0; i < k->read_count; i++) {
        uint32_t read = (uint32_t)k->reads[i];
        if (!counter_level(k, read, &level)) {
            return false;
        }
        k->reads[i] = (uint64_t)level << 32 | read;
        *ret_most = level > *ret_most ? level : *ret_most;
        if (c->invoke[read] > k->first[level + 1]) {
            k->first[level + 1] = c->invoke[read];
        }
        if (c->complete[read] < k->last[level]) {
            k->last[level] = c->complete[read];
        }
    }
    for (uint32_t i = 1; i <= k->add_count + 1; i++) {
        k->first[i] =
            k->first[i - 1] > k->first[i] ? k->first[i - 1] : k->first[i];
    }
    for (uint32_t i = k->add_count + 1; i > 0; i--) {
        k->last[i - 1] =
            k->last[i] < k->last[i - 1] ? k->last[i] : k->last[i - 1];
    }
    return true;
}

/* True: there is an order, in 'line'. */
static bool
counter_schedule(struct counter *k, uint32_t most)
{
    const struct calls *c = k->c;
    uint32_t begun = 0, ended = 0;
    CLEANUP_FREE uint8_t *done = xcalloc((size_t)c->count + 1, 1);

    for (;;) {
        while (ended < k->add_count && done[(uint32_t)k->adds[ended]]) {
            ended++;
        }
        uint32_t next = k->line_count + 1;
        uint32_t answer =
            ended < k->add_count ? (uint32_t)(k->adds[ended] >> 32) : CALL_OPEN;
        uint32_t needed = next <= most ? k->last[next] : CALL_OPEN;
        uint32_t at = answer < needed ? answer : needed;
        if (at == CALL_OPEN) {
            return true;
        }
        while (begun < k->add_count && c->invoke[k->by_invoke[begun]] <= at) {
            uint32_t call = k->by_invoke[begun++];
            counter_heap_add(k, (uint64_t)c->complete[call] << 32 | call);
        }
        if (k->heap_count == 0 || k->first[next] > at) {
            return false;
        }
        uint32_t call = (uint32_t)counter_heap_take(k);
        done[call] = 1;
        k->line[k->line_count++] = call;
    }
}

static void
counter_order(struct counter *k)
{
    uint32_t *order = xrealloc(
        NULL, ((size_t)k->read_count + k->line_count + 1) * sizeof(*order));
    uint32_t count = 0, line = 0;

    for (uint32_t i = 0; i < k->read_count; i++) {
        for (; line < k->reads[i] >> 32; line++) {
            order[count++] = k->line[line];
        }
        order[count++] = (uint32_t)k->reads[i];
    }
    for (; line < k->line_count; line++) {
        order[count++] = k->line[line];
    }
    exact_valid(k->d, order, count);
}

static void
counter_exact(struct counter *k)
{
    uint32_t most;

    if (k->amount == 0) {
        exact_unknown(k->d, "the amounts differ; every read is in bounds");
    } else if (!counter_windows(k, &most)) {
        exact_unknown(k->d, "a read is no multiple of the amount");
    } else if (exact_sort(k->reads, k->read_count, k->b, k->d)) {
        if (counter_schedule(k, most)) {
            counter_order(k);
        } else {
            exact_invalid_all(k->d, k->p,
                              "the reads contradict each other, although "
                              "each of them is in bounds");
        }
    }
}

/* ---- the calls ---- */

static bool
counter_read_calls(struct counter *k)
{
    const struct calls *c = k->c;
    int64_t n;

    for (uint32_t i = 0; i < k->p->count; i++) {
        uint32_t call = problem_call(k->p, i);
        bool read = c->function[call] == COUNTER_READ;
        if (c->key[call] != c->key[problem_call(k->p, 0)]) {
            exact_unknown(k->d, "the calls have several keys");
            return false;
        }
        if (read && c->complete[call] == CALL_OPEN) {
            continue;
        }
        if (!value_to_int(c, (read ? c->result : c->a)[call], &n)) {
            exact_unknown(k->d, "'%s' is about no integer",
                          exact_call(c, call).text);
            return false;
        }
        if (read) {
            k->reads[k->read_count++] = call;
            continue;
        }
        if (n == 0 && c->complete[call] == CALL_OPEN) {
            continue;
        }
        k->amount = k->add_count == 0 || k->amount == n ? n : 0;
        k->adds[k->add_count] = (uint64_t)c->complete[call] << 32 | call;
        k->by_invoke[k->add_count++] = call;
    }
    k->amount = k->add_count == 0 ? 1 : k->amount;
    return exact_sort(k->adds, k->add_count, k->b, k->d);
}

static void
counter_decide(const struct problem *p, struct budget *b, struct decision *ret)
{
    struct counter k = {.p = p, .c = p->calls, .b = b, .d = ret};
    size_t most = (size_t)p->count + 2;

    if (p->calls->initial != VALUE_ABSENT &&
        !value_to_int(p->calls, p->calls->initial, &k.initial)) {
        exact_unknown(ret, "the initial value is no integer");
        return;
    }
    k.bytes = most * (3 * sizeof(uint64_t) + 4 * sizeof(uint32_t) +
                      2 * sizeof(__int128) + sizeof(uint32_t)) +
              p->calls->count;
    if (!exact_take(b, k.bytes, ret)) {
        return;
    }
    k.adds = xrealloc(NULL, most * sizeof(*k.adds));
    k.reads = xrealloc(NULL, most * sizeof(*k.reads));
    k.heap = xrealloc(NULL, most * sizeof(*k.heap));
    k.by_invoke = xrealloc(NULL, most * sizeof(*k.by_invoke));
    k.first = xrealloc(NULL, most * sizeof(*k.first));
    k.last = xrealloc(NULL, most * sizeof(*k.last));
    k.line = xrealloc(NULL, most * sizeof(*k.line));
    if (counter_read_calls(&k) && counter_bounds(&k)) {
        counter_exact(&k);
    }
    free(k.adds);
    free(k.reads);
    free(k.heap);
    free(k.by_invoke);
    free(k.first);
    free(k.last);
    free(k.line);
    budget_give(b, k.bytes);
}

const struct engine_ops engine_counter = {
    .name = "counter",
    .description = "reads within bounds; equal amounts exactly",
    .decide = counter_decide,
};
