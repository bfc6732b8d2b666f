/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the core of an INVALID 1-minimal: whatever call is left out of it, it
 * is not INVALID any more.  By delta debugging (Zeller and Hildebrandt 2002):
 * pieces of falling size are left out, down to single calls, until no single
 * one can go; first while the rest shows the same anomaly, then while it shows
 * any.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/txn-case.h"
#include "harness/base/arena.h"

/* Calls judged in all, per call of the first core and besides: the cores of
 * cycles are small, those without a cycle may be the whole history. */
#define SHRINK_CALLS_MAX 1000000
#define SHRINK_CALLS_PER_CALL 16

struct txn_shrink {
    txn_decide *decide;
    const struct calls *calls;
    struct budget *budget;
    const struct decision *first;
    uint32_t *core, count, *rest;
    uint64_t judged, judged_max;
    bool any; /* anomaly will do */
    bool stopped;
};

/* How much of the headline is the anomaly's name, with a comma. */
static size_t
txn_shrink_name(const struct decision *d)
{
    const char *comma = strchr(d->headline, ',');

    return comma == NULL ? 0 : (size_t)(comma - d->headline) + 1;
}

static bool
txn_shrink_same(const struct txn_shrink *s, const struct decision *d)
{
    return d->verdict == VERDICT_INVALID &&
           strncmp(s->first->headline, d->headline,
                   txn_shrink_name(s->first)) == 0;
}

/* Judges the core without 'count' calls from 'from' on; keeps that if it shows
 * the same. */
static bool
txn_shrink_without(struct txn_shrink *s, uint32_t from, uint32_t count)
{
    struct problem p = {.calls = s->calls,
                        .members = s->rest,
                        .count = s->count - count,
                        .key = VALUE_ABSENT};
    struct decision d = {.verdict = VERDICT_UNKNOWN};
    bool same;

    s->judged += s->count;
    if (s->judged > s->judged_max || budget_expired(s->budget)) {
        s->stopped = true;
        return false;
    }
    memcpy(s->rest, s->core, from * sizeof(*s->rest));
    memcpy(s->rest + from, s->core + from + count,
           (s->count - from - count) * sizeof(*s->rest));
    s->decide(&p, s->budget, &d);
    same = s->any ? d.verdict == VERDICT_INVALID : txn_shrink_same(s, &d);
    decision_release(&d);
    if (same) {
        uint32_t *core = s->core;

        s->core = s->rest;
        s->rest = core;
        s->count -= count;
    }
    return same;
}

/* Pieces of this size, from the last on. */
static bool
txn_shrink_pass(struct txn_shrink *s, uint32_t size)
{
    bool smaller = false;

    for (uint32_t end = s->count; end > 0 && !s->stopped;) {
        uint32_t from = end > size ? end - size : 0;

        smaller = txn_shrink_without(s, from, end - from) || smaller;
        end = from;
    }
    return smaller;
}

/*
 * The smallest core decides what is shown.  When it shows another anomaly than
 * the whole history, the headline says both.
 */
static void
txn_shrink_words(const struct txn_shrink *s, struct decision *d,
                 struct decision *again)
{
    const char *whole = strstr(d->headline, "): ");
    const char *rest = strstr(again->headline, "): ");
    char text[2 * DECISION_HEADLINE_MAX];

    if (!txn_shrink_same(s, again) && whole != NULL && rest != NULL) {
        snprintf(text, sizeof(text), "%.*s); its smallest part shows %.*s%s",
                 (int)(whole - d->headline), d->headline,
                 (int)txn_shrink_name(again) - 1, again->headline, rest + 1);
        snprintf(again->headline, sizeof(again->headline), "%.*s",
                 DECISION_HEADLINE_MAX - 1, text);
    }
    again->steps = d->steps;
    again->peak_bytes = d->peak_bytes;
    decision_release(d);
    *d = *again;
}

static void
txn_shrink_passes(struct txn_shrink *s)
{
    for (uint32_t size = s->count / 2; size > 1 && !s->stopped; size /= 2) {
        txn_shrink_pass(s, size);
    }
    while (!s->stopped && txn_shrink_pass(s, 1)) {
    }
    s->any = true;
    while (!s->stopped && txn_shrink_pass(s, 1)) {
    }
}

void
txn_shrink(txn_decide *decide, const struct problem *p, struct budget *b,
           struct decision *d)
{
    struct txn_shrink s = {.decide = decide,
                           .calls = p->calls,
                           .budget = b,
                           .first = d,
                           .count = d->core_count};
    struct decision again = {.verdict = VERDICT_UNKNOWN};

    s.any = txn_shrink_name(d) == 0 ||
            strncmp(d->headline, "no order", 8) == 0; /* it has no name */
    s.judged_max = SHRINK_CALLS_MAX + SHRINK_CALLS_PER_CALL * (uint64_t)s.count;
    s.core = xcalloc(s.count, sizeof(*s.core));
    s.rest = xcalloc(s.count, sizeof(*s.rest));
    memcpy(s.core, d->core, s.count * sizeof(*s.core));
    txn_shrink_passes(&s);
    if (s.count < d->core_count) {
        struct problem core = {.calls = p->calls,
                               .members = s.core,
                               .count = s.count,
                               .key = VALUE_ABSENT};

        /* In the words of what is left. */
        decide(&core, b, &again);
        if (again.verdict == VERDICT_INVALID) {
            txn_shrink_words(&s, d, &again);
        } else {
            decision_release(&again); /* no time */
        }
    }
    free(s.core);
    free(s.rest);
}

void
txn_shrunk(txn_decide *decide, const struct problem *p, struct budget *b,
           struct decision *ret)
{
    decide(p, b, ret);
    if (ret->verdict == VERDICT_INVALID) {
        txn_shrink(decide, p, b, ret);
    }
}
