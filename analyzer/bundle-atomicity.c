/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle_atomicity: the members of a bundle change together.  A lease holds all
 * its resources from its grant to its end, without a gap, and its state only
 * goes on: reserved, active, revoking.  So
 *
 *   - a read of one member that does not show the lease is wrong when another
 *     member shows it there or later;
 *   - a read of one member that shows an earlier state is wrong when another
 *     member showed the later one there or before.
 *
 * "There or later" is by the positions reads were served from, or, where these
 * are not one order, by real time between reads that claim to be linearizable.
 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/checker.h"

/* States a lease goes through while it holds its resources. */
#define STEPS 3

/* A read that shows the lease on a member. */
struct sight {
    uint64_t place;
    uint32_t answer, resource; /* answer TABLE_NONE: none */
};

/* The outermost sight and that of another member. */
struct sights {
    struct sight first, other;
};

struct bundle {
    struct sights last;         /* the lease was still there */
    struct sights since[STEPS]; /* it had come as far as this state */
};

static bool
bundle_total(const struct checker_run *run, const struct answer *a)
{
    return run->table->positions_total && a->applied != INDEX_NONE;
}

static bool
bundle_linearizable(const struct table *t, const struct answer *a)
{
    return t->operations.claim[a->operation] == CLAIM_LINEARIZABLE;
}

/* Keeps the best of two different members. */
static void
sights_add(struct sights *s, const struct sight *x, bool later)
{
    bool best = s->first.answer == TABLE_NONE ||
                (later ? x->place > s->first.place : x->place < s->first.place);

    if (best) {
        if (s->first.resource != x->resource)
            s->other = s->first;
        s->first = *x;
    } else if (s->first.resource != x->resource &&
               (s->other.answer == TABLE_NONE ||
                (later ? x->place > s->other.place
                       : x->place < s->other.place))) {
        s->other = *x;
    }
}

static const struct sight *
sights_beside(const struct sights *s, uint32_t resource)
{
    const struct sight *x =
        s->first.resource == resource ? &s->other : &s->first;

    return x->answer == TABLE_NONE ? NULL : x;
}

static uint32_t
bundle_resource(const struct checker_run *run, const struct answer *a)
{
    const struct table *t = run->table;
    struct span span = t->operations.resources[a->operation];

    return run->facts->resource_of_id[t->lists[span.first]];
}

/* Of a lease whose grant was answered and named several resources. */
static bool
bundle_has(const struct checker_run *run, uint32_t lease, uint32_t resource)
{
    const struct facts *f = run->facts;
    const struct table *t = run->table;
    uint32_t creator = f->leases[lease].creator;
    struct span span;

    if (creator == TABLE_NONE)
        return false;
    span = t->operations.resources[t->answers[creator].operation];
    for (uint32_t i = 0; span.count > 1 && i < span.count; i++)
        if (f->resource_of_id[t->lists[span.first + i]] == resource)
            return true;
    return false;
}

static bool
bundle_shows(const struct checker_run *run, const struct answer *a,
             uint32_t lease)
{
    return a->found && a->state < STEPS && a->lease != TABLE_NONE &&
           run->facts->lease_of_id[a->lease] == lease;
}

/* Of leases with several resources, which have numbers of their own: most
 * leases have one, and need none of this. */
struct bundles {
    uint32_t *number; /* by lease */
    struct bundle *items;
    uint32_t count;
};

static struct bundle *
bundle_of(const struct bundles *b, uint32_t lease)
{
    return &b->items[b->number[lease]];
}

static void
bundles_init(struct bundles *b, const struct facts *f)
{
    const struct table *t = f->table;

    *b = (struct bundles){0};
    b->number = xcalloc(f->lease_count + 1ul, sizeof(*b->number));
    for (uint32_t i = 0; i < f->lease_count; i++) {
        uint32_t creator = f->leases[i].creator;

        b->number[i] = b->count;
        b->count +=
            creator != TABLE_NONE &&
            t->operations.resources[t->answers[creator].operation].count > 1;
    }
    b->items = xcalloc(b->count + 1ul, sizeof(*b->items));
    for (uint32_t i = 0; i < b->count; i++) {
        struct bundle *x = &b->items[i];

        x->last.first.answer = x->last.other.answer = TABLE_NONE;
        x->last.first.resource = TABLE_NONE;
        for (unsigned k = 0; k < STEPS; k++)
            x->since[k] = x->last;
    }
}

static void
bundles_release(struct bundles *b)
{
    free(b->number);
    free(b->items);
}

static void
bundle_see(struct checker_run *run, struct bundles *bundles, uint32_t answer)
{
    const struct table *t = run->table;
    const struct answer *a = &t->answers[answer];
    uint32_t resource = bundle_resource(run, a), lease;
    struct sight x = {.answer = answer, .resource = resource};
    bool total = bundle_total(run, a);

    if (!a->found || a->state >= STEPS || a->lease == TABLE_NONE)
        return;
    lease = run->facts->lease_of_id[a->lease];
    if (!bundle_has(run, lease, resource))
        return;
    x.place = total ? a->applied : t->operations.invoke[a->operation];
    if (total || bundle_linearizable(t, a))
        sights_add(&bundle_of(bundles, lease)->last, &x, true);
    x.place = total ? a->applied : a->event;
    for (unsigned state = 0; state <= a->state; state++)
        sights_add(&bundle_of(bundles, lease)->since[state], &x, false);
}

static void
bundle_report(struct checker_run *run, const struct answer *a, uint32_t lease,
              const struct sight *beside)
{
    const struct table *t = run->table;
    const struct answer *b = &t->answers[beside->answer];
    struct text id = describe_id(t, run->facts->leases[lease].id);
    struct text r =
        describe_id(t, run->facts->resources[bundle_resource(run, a)].id);
    struct text s = describe_id(t, run->facts->resources[beside->resource].id);
    struct text at_a = describe_position(t, a->applied);
    struct text at_b = describe_position(t, b->applied);
    struct text by_a = describe_operation(t, a->operation);
    struct text by_b = describe_operation(t, b->operation);

    if (!checker_violation(
            run,
            "lease %s has resources %s and %s, but %s shows %s %s%s, and %s "
            "shows %s %s under that lease%s",
            id.s, r.s, s.s, by_a.s, r.s,
            a->found ? state_name((enum state)a->state) : "nowhere", at_a.s,
            by_b.s, s.s, state_name((enum state)b->state), at_b.s))
        return;
    witness_operation(run,
                      t->answers[run->facts->leases[lease].creator].operation);
    witness_operation(run, a->operation);
    witness_operation(run, b->operation);
}

static void
bundle_judge(struct checker_run *run, const struct bundles *bundles,
             uint32_t answer)
{
    const struct table *t = run->table;
    const struct answer *a = &t->answers[answer];
    uint32_t resource = bundle_resource(run, a);
    struct viewpoint vp = viewpoint_of_read(run->facts, answer);
    const struct grant *g = last_grant(run->facts, resource, &vp);
    bool total = bundle_total(run, a);
    const struct sight *beside;
    const struct bundle *b;

    if (g == NULL || !bundle_has(run, g->lease, resource) ||
        (!total && !bundle_linearizable(t, a)) ||
        (total && g->index == INDEX_NONE))
        return;
    b = bundle_of(bundles, g->lease);
    if (bundle_shows(run, a, g->lease)) {
        for (unsigned state = a->state + 1u; state < STEPS; state++) {
            beside = sights_beside(&b->since[state], resource);
            if (beside != NULL &&
                (total ? beside->place <= a->applied
                       : beside->place < t->operations.invoke[a->operation])) {
                bundle_report(run, a, g->lease, beside);
                return;
            }
        }
        return;
    }
    beside = sights_beside(&b->last, resource);
    if (beside != NULL &&
        (total ? beside->place >= a->applied : beside->place > a->event))
        bundle_report(run, a, g->lease, beside);
}

static void
bundle_atomicity_check(struct checker_run *run)
{
    const struct table *t = run->table;
    struct bundles bundles;

    bundles_init(&bundles, run->facts);
    for (int pass = 0; pass < 2 && bundles.count > 0; pass++)
        for (uint32_t i = 0; i < t->answer_count && !checker_expired(run);
             i++) {
            if (t->operations.function[t->answers[i].operation] !=
                FUNCTION_GET_RESOURCE)
                continue;
            if (pass == 0)
                bundle_see(run, &bundles, i);
            else
                bundle_judge(run, &bundles, i);
        }
    bundles_release(&bundles);
}

const struct checker_ops checker_bundle_atomicity_ops = {
    .name = "bundle_atomicity",
    .description = "the members of a bundle change together",
    .check = bundle_atomicity_check,
};
